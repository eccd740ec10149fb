import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.errors import InputError
from coread.evaluation import survival as sv
from coread.evaluation.roc import areas

SETS = {"veteran": (60, 120, 180), "gbsg2": (365, 730, 1095, 1461)}
tables = st.lists(st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 5)), min_size=4, max_size=30)


@pytest.fixture(params=SETS)
def cohort(request, reference):
    table = reference(f"survival/surv_{request.param}_predictions.csv")
    horizons = SETS[request.param]
    s = np.column_stack([table[f"S_{h}"].astype(float) for h in horizons])
    values = [table[c].astype(float).to_numpy() for c in ("time", "status", "lp")]
    return (*values, s, horizons, reference("survival/r_survival_metrics.json")[request.param])


def test_concordance_equals_r(cohort):
    t, e, lp, _, _, want = cohort
    assert sv.harrell(t, e, lp).value == pytest.approx(want["harrell"], rel=1e-10)
    assert sv.uno(t, e, lp).value == pytest.approx(want["uno_full_ipcw_n_over_G2"], rel=1e-10)


def test_areas_and_brier_scores_equal_risk_regression(cohort):
    t, e, _, s, horizons, want = cohort
    for k, h in enumerate(horizons):
        (area,) = [r["AUC"] for r in want["auc"] if r["times"] == h]
        assert sv.time_dependent_auc(t, e, 1 - s[:, k], [h])[0] == pytest.approx(area, rel=1e-10)
    rows = {r["times"]: r for r in want["brier"] if r["model"] == "cox"}
    found = sv.brier(t, e, s, horizons)
    assert found == pytest.approx([rows[h]["Brier"] for h in horizons], rel=1e-10)
    null = {r["times"]: r["Brier"] for r in want["brier"] if r["model"] == "Null model"}
    km = sv.kaplan_meier(t, e).at(horizons)
    flat = np.tile(km, (t.size, 1))
    assert sv.brier(t, e, flat, horizons) == pytest.approx([null[h] for h in horizons], rel=1e-10)
    for k in range(1, len(horizons)):
        whole = sv.integrated_brier(horizons[: k + 1], found[: k + 1])
        assert whole == pytest.approx(rows[horizons[k]]["IBS"], rel=1e-6)


def test_their_standard_errors_equal_risk_regression(cohort):
    t, e, lp, s, horizons, want = cohort
    want_areas = {r["times"]: r["se"] for r in want["auc"]}
    scores = {r["times"]: r["se"] for r in want["brier"] if r["model"] == "cox"}
    found = sv.time_dependent_auc_se(t, e, lp, horizons)
    assert found == pytest.approx([want_areas[h] for h in horizons], rel=1e-9)
    assert sv.brier_se(t, e, s, horizons) == pytest.approx([scores[h] for h in horizons], rel=1e-9)


def test_without_censoring_errors_are_those_of_a_mean_and_of_delong():
    rng = np.random.default_rng(8)
    t, risk = rng.permutation(60) + 1.0, rng.integers(0, 9, 60).astype(float)
    loss = ((t > 30) - risk / 10) ** 2
    found = sv.brier_se(t, np.ones(60), risk / 10, [30.0])
    assert found == pytest.approx([loss.std(ddof=1) / np.sqrt(60)], rel=1e-12)
    delong = np.sqrt(areas((t <= 30).astype(int), risk).covariance[0, 0])
    assert sv.time_dependent_auc_se(t, np.ones(60), risk, [30.0])[0] == pytest.approx(delong, rel=0.02)


@given(tables)
def test_concordance_is_the_share_of_pairs(rows):
    t, e, r = (np.array(c) for c in zip(*rows, strict=True))
    good = tied = total = 0.0
    for i in range(t.size):
        for j in range(t.size):
            if e[i] and (t[i] < t[j] or (t[i] == t[j] and not e[j])):
                total += 1
                good += r[i] > r[j]
                tied += r[i] == r[j]
    if total == 0:
        with pytest.raises(InputError):
            sv.harrell(t, e, r)
        return
    assert sv.harrell(t, e, r).value == pytest.approx((good + tied / 2) / total, abs=1e-12)


@given(tables)
def test_without_censoring_kaplan_meier_is_the_share_alive_and_uno_is_harrell(rows):
    t, _, r = (np.array(c) for c in zip(*rows, strict=True))
    e = np.ones(t.size)
    assert sv.kaplan_meier(t, e).at(np.arange(9)) == pytest.approx([(t > h).mean() for h in range(9)])
    if np.unique(t).size > 1:
        assert sv.uno(t, e, r).value == pytest.approx(sv.harrell(t, e, r).value, abs=1e-12)


# Freireich 1963, 6-MP arm, in every textbook: S(6) = 0.857, S(10) = 0.753, S(23) = 0.448
def test_kaplan_meier_of_freireich():
    t = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    e = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    found = sv.kaplan_meier(t, e).at([6, 7, 10, 13, 16, 22, 23])
    assert found == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)


def test_rules_of_integration_are_named():
    assert sv.integrated_brier([1.0, 3.0], [0.1, 0.2]) == pytest.approx(0.1 * 2 / 3)
    assert sv.integrated_brier([1.0, 3.0], [0.1, 0.2], rule="trapezium") == pytest.approx(0.15)
    with pytest.raises(InputError, match="left-step"):
        sv.integrated_brier([1.0, 3.0], [0.1, 0.2], rule="simpson")


def test_standard_errors_equal_r(cohort):
    t, e, lp, _, _, want = cohort
    assert sv.concordance_se(t, e, lp) == pytest.approx(want["harrell_se"], rel=1e-10)
    assert sv.concordance_se(t, e, lp, index="uno") == pytest.approx(want["uno_se"], rel=1e-10)


def test_true_survival_is_calibrated_at_a_horizon_under_censoring():
    rng = np.random.default_rng(1)
    rate = np.exp(rng.normal(size=20_000))
    death, end = rng.exponential(1 / rate), rng.exponential(2.0, rate.size)
    predicted, observed = sv.calibration_at(np.minimum(death, end), death <= end, np.exp(-rate * 0.5), 0.5)
    assert observed == pytest.approx(predicted, abs=0.05)
    assert len(predicted) == 10
    wrong, seen = sv.calibration_at(np.minimum(death, end), death <= end, np.exp(-rate * 0.1), 0.5)
    assert (seen < wrong - 0.02).all()


def plain_concordance_se(t, e, r, weight):
    """The infinitesimal jackknife by all pairs of cases."""
    longer = (t[:, None] < t) | ((t[:, None] == t) & ~e)
    pairs = longer * (e * weight)[:, None]
    won = pairs * ((r[:, None] > r) + 0.5 * (r[:, None] == r))
    good, all_ = won.sum(axis=0) + won.sum(axis=1), pairs.sum(axis=0) + pairs.sum(axis=1)
    influence = (good - good.sum() / all_.sum() * all_) / (all_.sum() / 2)
    return np.sqrt((influence**2).sum())


@pytest.mark.parametrize("seed", range(6))
def test_error_of_concordance_equals_all_pairs_with_ties(seed):
    rng = np.random.default_rng(seed)
    t, e = np.ceil(rng.exponential(8, 300)), rng.random(300) < 0.6
    r = rng.integers(0, 9, 300) / 3
    assert sv.concordance_se(t, e, r) == pytest.approx(plain_concordance_se(t, e, r, np.ones(300)), rel=1e-12)
    g = sv.censoring_distribution(t, e).before(t)
    weight = np.divide(1.0, g**2, out=np.zeros(300), where=g > 0)
    found = sv.concordance_se(t, e, r, index="uno")
    assert found == pytest.approx(plain_concordance_se(t, e, r, weight), rel=1e-12)


def test_error_of_concordance_of_50_000_cases_takes_seconds():
    rng = np.random.default_rng(1)
    start = time.process_time()
    assert (
        0 < sv.concordance_se(rng.exponential(size=50_000), np.ones(50_000), rng.normal(size=50_000)) < 0.01
    )
    assert time.process_time() - start < 5


def test_limits_of_kaplan_meier_of_freireich():
    """R's survfit (conf.type "log") of the 6-MP arm, as printed in textbooks: S(23) 0.448 (0.249, 0.807)."""
    t = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    e = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    low, high = sv.kaplan_meier_limits(t, e)
    # 3 of 21 die: Greenwood's sum is 3 / (21 * 18)
    half = 1.959963984540054 * np.sqrt(3 / (21 * 18))
    assert low.at(6) == pytest.approx(18 / 21 * np.exp(-half), rel=1e-12)
    assert low.at(6) == pytest.approx(0.720, abs=5e-4)
    assert high.at(6) == 1.0
    assert low.at(23) == pytest.approx(0.249, abs=5e-4)
    assert high.at(23) == pytest.approx(0.807, abs=5e-4)
    ended = sv.kaplan_meier_limits([1.0, 2.0], [1, 1])
    assert [f.at(2.0) for f in ended] == [0, 0]
