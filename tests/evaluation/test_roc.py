import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coread.errors import AnalysisError, InputError
from coread.evaluation import roc

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=6, max_size=40).filter(
    lambda rows: 2 <= sum(t for t, _ in rows) <= len(rows) - 2
)


@pytest.fixture(scope="module")
def asah(reference):
    table = reference("roc/proc_aSAH.csv")
    scores = np.column_stack([table[c].astype(float) for c in ("s100b", "ndka", "wfns")])
    return table, (table["outcome"] == "Poor").to_numpy(), scores, reference("roc/proc_aSAH.json")


def test_areas_equal_proc(asah):
    _, truth, scores, expected = asah
    found = roc.areas(truth, scores)
    for k, name in enumerate(("s100b", "ndka", "wfns")):
        assert found.area[k] == pytest.approx(expected[name]["auc"], rel=1e-12)
        assert found.covariance[k, k] == pytest.approx(expected[name]["delong_var"], rel=1e-9)
        low, _, high = expected[name]["delong_ci"]
        interval = found.interval(k)
        assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-9)


def test_paired_tests_equal_proc(asah):
    _, truth, scores, expected = asah
    found = roc.areas(truth, scores)
    for (a, b), name in {(0, 1): "s100b_ndka", (0, 2): "s100b_wfns", (1, 2): "ndka_wfns"}.items():
        test = roc.compare_paired(found, a, b)
        assert test.statistic == pytest.approx(expected["paired"][name]["Z"], rel=1e-9)
        assert test.p == pytest.approx(expected["paired"][name]["p"], rel=1e-9)
        assert (test.interval.low, test.interval.high) == pytest.approx(
            expected["paired"][name]["ci"], rel=1e-9
        )
        assert found.covariance[a, b] == pytest.approx(expected["paired"][name]["cov"], rel=1e-9)


def test_unpaired_test_equals_proc(asah):
    table, truth, scores, expected = asah
    groups = [(table["gender"] == sex).to_numpy() for sex in ("Male", "Female")]
    parts = [roc.areas(truth[g], scores[g, 0]) for g in groups]
    test = roc.compare_unpaired(*parts, (int(groups[0].sum()), int(groups[1].sum())))
    want = expected["unpaired_male_female_s100b"]
    assert [p.area[0] for p in parts] == pytest.approx(want["auc"], rel=1e-12)
    assert (test.statistic, test.df, test.p) == pytest.approx((want["D"], want["df"], want["p"]), rel=1e-9)


def test_parts_and_thresholds_equal_proc(asah):
    _, truth, scores, expected = asah
    for k, name in enumerate(("s100b", "ndka", "wfns")):
        want, x = expected[name], scores[:, k]
        assert roc.partial_auc(truth, x, 0.9, 1.0) == pytest.approx(want["pauc_spec_1_0.9"], rel=1e-10)
        corrected = roc.partial_auc(truth, x, 0.9, 1.0, corrected=True)
        assert corrected == pytest.approx(want["pauc_spec_1_0.9_corrected"], rel=1e-10)
        sens = roc.partial_auc(truth, x, 0.8, 1.0, over="sensitivity")
        assert sens == pytest.approx(want["pauc_sens_1_0.8"], rel=1e-10)
        best = want["youden"]
        assert roc.youden(truth, x) == pytest.approx(
            (best["threshold"], best["sensitivity"], best["specificity"]), rel=1e-12
        )


def test_hand_till_equals_proc(asah):
    table, _, scores, expected = asah
    found = roc.hand_till(table["gos6"].to_numpy(), scores[:, 0])
    assert found == pytest.approx(expected["multiclass_hand_till"], rel=1e-9)


@given(cases)
def test_area_is_the_share_of_ordered_pairs(rows):
    truth, score = (np.array(column) for column in zip(*rows, strict=True))
    pairs = [(1.0 if a > b else 0.5 if a == b else 0.0) for a in score[truth] for b in score[~truth]]
    assert roc.auc(truth, score) == pytest.approx(np.mean(pairs), abs=1e-12)


@given(cases)
def test_order_and_monotone_change_leave_the_area_and_negation_mirrors_it(rows):
    truth, score = (np.array(column) for column in zip(*rows, strict=True))
    order = np.random.default_rng(0).permutation(truth.size)
    first, second = roc.areas(truth, score), roc.areas(truth[order], np.exp(score[order] / 3.0))
    assert second.area == pytest.approx(first.area, abs=1e-12)
    assert second.covariance == pytest.approx(first.covariance, abs=1e-12)
    assert roc.auc(truth, -score) == pytest.approx(1 - first.area[0], abs=1e-12)


@given(cases)
def test_variance_equals_its_definition(rows):
    truth, score = (np.array(column) for column in zip(*rows, strict=True))
    psi = (score[truth][:, None] > score[~truth]) + 0.5 * (score[truth][:, None] == score[~truth])
    by_hand = psi.mean(axis=1).var(ddof=1) / truth.sum() + psi.mean(axis=0).var(ddof=1) / (~truth).sum()
    assert roc.areas(truth, score).covariance[0, 0] == pytest.approx(by_hand, abs=1e-12)


@given(cases)
def test_the_whole_part_is_the_area_and_the_curve_encloses_it(rows):
    truth, score = (np.array(column) for column in zip(*rows, strict=True))
    found = roc.curve(truth, score)
    area = np.trapezoid(found.sensitivity, 1 - found.specificity)
    assert area == pytest.approx(roc.auc(truth, score), abs=1e-12)
    assert roc.partial_auc(truth, score, 0.0, 1.0) == pytest.approx(area, abs=1e-12)


def test_clusters_of_one_equal_the_definition_and_doubled_cases_keep_the_variance():
    rng = np.random.default_rng(3)
    truth = rng.random(80) < 0.4
    score = rng.normal(size=80) + truth
    alone = roc.areas(truth, score)
    twice = roc.areas(np.r_[truth, truth], np.r_[score, score], clusters=np.r_[np.arange(80), np.arange(80)])
    assert twice.area == pytest.approx(alone.area, abs=1e-12)
    # every patient twice carries no information: the variance stays (up to the cross term of 0 and n/(n-1))
    assert twice.covariance[0, 0] == pytest.approx(alone.covariance[0, 0], rel=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_independent_clusters_of_mixed_classes_match_a_direct_sum(seed):
    rng = np.random.default_rng(seed)
    truth, groups = rng.random(60) < 0.5, rng.integers(0, 15, 60)
    score = rng.normal(size=60) + truth
    parts = roc.components(truth, score)
    d = np.zeros(60)
    d[truth] = (parts.diseased[:, 0] - parts.area[0]) / truth.sum()
    h = np.zeros(60)
    h[~truth] = (parts.healthy[:, 0] - parts.area[0]) / (~truth).sum()
    names = np.unique(groups)
    by = np.array([[d[groups == g].sum(), h[groups == g].sum()] for g in names])
    i10, i01 = np.unique(groups[truth]).size, np.unique(groups[~truth]).size
    n = names.size
    direct = (
        i10 / (i10 - 1) * (by[:, 0] ** 2).sum()
        + i01 / (i01 - 1) * (by[:, 1] ** 2).sum()
        + 2 * n / (n - 1) * (by[:, 0] * by[:, 1]).sum()
    )
    assert roc.areas(truth, score, clusters=groups).covariance[0, 0] == pytest.approx(direct, rel=1e-9)


@pytest.mark.parametrize(
    ("truth", "score", "words"),
    [
        ([1, 1, 1], [1, 2, 3], "all 3 cases are diseased"),
        ([0, 1, 2], [1, 2, 3], "rows 3"),
        ([0, 1, 1], [1, np.nan, 3], "rows 2"),
        ([0, 1], [1, 2, 3], "shape"),
    ],
)
def test_bad_tables_are_refused_by_row(truth, score, words):
    with pytest.raises(InputError, match=words):
        roc.auc(truth, score)


def test_equal_curves_have_nothing_to_test():
    truth, score = [0, 0, 1, 1, 0, 1], [1, 2, 2, 3, 1, 3]
    with pytest.raises(AnalysisError, match="do not differ"):
        roc.compare_paired(roc.areas(truth, np.column_stack([score, score])))
