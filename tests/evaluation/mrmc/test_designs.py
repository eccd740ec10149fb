import numpy as np
import pytest

from coread.errors import InputError
from coread.evaluation.mrmc import analyse, study_from_frame
from coread.evaluation.mrmc.designs import (
    analyse_case_means,
    area_pseudovalues,
    dbm,
    margin_test,
    one_modality,
    split_plot,
)
from coread.evaluation.mrmc.planning import (
    RoeMetz,
    cases_needed,
    power,
    roc_cases,
    roc_pair_cases,
    roc_pair_power,
    roc_power,
    roe_metz,
)
from coread.evaluation.mrmc.study import ReaderStudy
from coread.evaluation.mrmc.ustatistics import mean_area
from coread.evaluation.roc import areas
from coread.evaluation.tables import reader_table


@pytest.fixture(scope="module")
def van_dyke(reference):
    return study_from_frame(reader_table(reference("mrmc/mrmcaov_VanDyke.csv")))


def study(simulated, *shape, **how):
    truth, ratings = simulated(*shape, **how)
    names = [tuple(str(k) for k in range(n)) for n in ratings.shape]
    return ReaderStudy(*names, truth, ratings)


def test_dbm_equals_rjafroc(reference, van_dyke):
    want = reference("mrmc/rjafroc_02_VANDYKE.json")["sig"]["Wilcoxon_DBM"]
    found = dbm(area_pseudovalues(van_dyke))
    squares = {r["row"]: r["MS"] for r in want["ANOVA"]["TRCanova"] if r["row"] != "Total"}
    assert found.mean_squares == pytest.approx(squares, rel=1e-8)
    parts = {r["row"]: r["Estimates"] for r in want["ANOVA"]["VarCom"]}
    theirs = [parts[k] for k in ("VarR", "VarC", "VarTR", "VarTC", "VarRC", "VarErr")]
    assert list(found.components.values()) == pytest.approx(theirs, rel=1e-8)
    test, error = want["RRRC"]["FTests"]
    assert (found.f, found.df2, found.p) == pytest.approx((test["FStat"], error["DF"], test["p"]), rel=1e-8)


@pytest.mark.parametrize("levels", [0, 5])
def test_dbm_equals_obuchowski_rockette_with_three_modalities(simulated, levels):
    s = study(simulated, 3, 4, 50, levels=levels)
    one, two = dbm(area_pseudovalues(s)), analyse(s, method="jackknife")
    assert (one.f, one.df2, one.p) == pytest.approx((two.test.statistic, two.test.df2, two.test.p), rel=1e-9)


def test_one_modality_equals_mrmcaov(reference, van_dyke):
    (want,) = [
        a
        for a in reference("mrmc/mrmcaov_VanDyke.json")
        if (a["cov"], a["fixed"], a["case_column"]) == ("DeLong", "none", "case")
    ]
    for name, row in zip(("1", "2"), want["test_means"], strict=True):
        found = one_modality(van_dyke, name)
        assert (found.estimate, found.se, found.df) == pytest.approx(
            (row["Estimate"], row["StdErr"], row["df"]), rel=1e-8
        )
    with pytest.raises(InputError, match="no modality"):
        one_modality(van_dyke, "3")


def test_covariances_of_missing_readings_equal_the_jackknife_by_leaving_out(simulated):
    s = study(simulated, 2, 3, 30, levels=6, seed=8)
    ratings = s.ratings.copy()
    ratings[np.random.default_rng(1).random(ratings.shape) < 0.15] = np.nan
    s = ReaderStudy(s.modalities, s.readers, s.cases, s.truth, ratings)

    def areas(keep):
        cells = ratings.reshape(6, -1)[:, keep]
        t = s.truth[keep]
        psi = (cells[:, t][:, :, None] > cells[:, ~t][:, None]) + 0.5 * (
            cells[:, t][:, :, None] == cells[:, ~t][:, None]
        )
        read = ~np.isnan(cells)
        return psi.sum(axis=(1, 2)) / (read[:, t].sum(axis=1) * read[:, ~t].sum(axis=1))

    left = np.array([areas(np.arange(30) != k) for k in range(30)])
    cov = np.cov(left, rowvar=False) * 29**2 / 30
    c = cov.reshape(2, 3, 2, 3)
    found = analyse(s, method="jackknife").components
    cov1 = np.mean([c[0, r, 1, r] for r in range(3)])
    assert found.cov1 == pytest.approx(cov1, rel=1e-10)
    assert found.variance == pytest.approx(np.trace(cov) / 6, rel=1e-10)


@pytest.mark.parametrize("figure", ["sensitivity", "specificity"])
def test_case_means_of_one_reader_pair_equal_mcnemar(simulated, figure):
    s = study(simulated, 2, 3, 60, seed=4)
    found = analyse_case_means(s, figure, 0.5, fixed="readers")
    calls = s.ratings >= 0.5
    right = calls[:, :, s.truth] if figure == "sensitivity" else ~calls[:, :, ~s.truth]
    d = right[0].astype(float) - right[1]
    for r, contrast in enumerate(found.by_reader):
        assert contrast.estimate == pytest.approx(d[r].mean())
        assert contrast.se == pytest.approx(d[r].std(ddof=1) / np.sqrt(d.shape[1]))
    both = d.mean(axis=0)
    assert found.differences[0].estimate == pytest.approx(both.mean())


def test_margins(van_dyke):
    (contrast,) = analyse(van_dyke).differences
    assert not margin_test(contrast, 0.05).holds  # the lower limit -0.0879 lies below -0.05
    assert margin_test(contrast, 0.09).holds
    assert margin_test(contrast, 0.05).bound == pytest.approx(contrast.interval.low, rel=1e-12)
    assert margin_test(contrast, 0.0, kind="superiority").p > 0.5
    with pytest.raises(InputError):
        margin_test(contrast, -0.1)


def test_two_groups_with_the_same_data_halve_the_variance(van_dyke):
    one = analyse(van_dyke).differences[0]
    both = split_plot([van_dyke, van_dyke])
    assert both.estimate == pytest.approx(one.estimate)
    assert both.se == pytest.approx(one.se / np.sqrt(2))
    assert both.df == pytest.approx(2 * one.df)


def test_planning_with_the_pilots_own_size_uses_its_own_error(van_dyke):
    pilot = analyse(van_dyke, method="jackknife")
    found = power(pilot, 114, readers=5, cases=114)
    assert found.df2 == pytest.approx(pilot.test.df2, rel=1e-9)
    assert found.noncentrality == pytest.approx(pilot.test.statistic, rel=1e-9)
    more = cases_needed(pilot, 114, readers=10)
    assert more.power >= 0.8 > power(pilot, 114, readers=10, cases=more.cases - 1).power
    assert cases_needed(pilot, 114, readers=3, effect=1e-5) is None


def test_power_of_one_curve_equals_proc(reference):
    want = reference("roc/proc_aSAH.json")["power"]["one_roc"]
    found = roc_power(want["auc"], cases=want["ncases"], controls=want["ncontrols"])
    assert found == pytest.approx(want["power"], rel=1e-9)
    n = roc_cases(want["auc"], power=want["power"], ratio=want["ncontrols"] / want["ncases"])
    assert n == pytest.approx(want["ncases"], rel=1e-6)


def test_cases_for_one_curve_equal_proc(reference):
    """pROC with an area of 0.7, as many controls, power 0.95."""
    want = reference("roc/proc_aSAH.json")["power"]["n_for_power_0.95"]
    assert roc_cases(0.7, power=0.95) == pytest.approx(want["ncases"], rel=1e-9)


def test_cases_for_two_curves_equal_proc(reference):
    """pROC with `wfns` (its variance under the null hypothesis) and `ndka` of its data, power 0.9."""
    want = reference("roc/proc_aSAH.json")["power"]["two_roc"]
    table = reference("roc/proc_aSAH.csv")
    sick = (table["outcome"] == "Poor").to_numpy()
    found = areas(sick, table[["wfns", "ndka"]].to_numpy(dtype=float))
    n = roc_pair_cases(found, int(sick.sum()), power=0.9)
    assert n == pytest.approx(want["ncases"], rel=1e-9)
    assert n * (~sick).sum() / sick.sum() == pytest.approx(want["ncontrols"], rel=1e-9)
    assert roc_pair_power(found, n, int(sick.sum())) == pytest.approx(0.9, rel=1e-9)
    with pytest.raises(InputError, match="do not differ"):
        roc_pair_cases(found, 41, power=0.9, first=1, second=1)


def test_simulated_areas_and_their_variance_are_the_models():
    model = RoeMetz((1.0, 1.5))
    rng = np.random.default_rng(11)
    found = np.array(
        [
            analyse(roe_metz(model, readers=4, diseased=40, healthy=40, rng=rng)).figures.mean(axis=1)
            for _ in range(200)
        ]
    )
    se = found.std(axis=0) / np.sqrt(200)
    assert np.abs(found.mean(axis=0) - [model.area(0), model.area(1)]).max() < 4 * se.max()
    with pytest.raises(InputError, match="sum to"):
        RoeMetz((1.0,), case=0.5)


def test_negative_variance_falls_back_by_name(simulated):
    for seed in range(200):
        s = study(simulated, 2, 2, 12, levels=3, seed=seed)
        found = mean_area(s, "0", "1")
        assert np.isfinite([found.variance, found.df, found.p]).all()
        if found.unbiased < 0:
            assert found.variance == found.biased >= 0
            assert "the unbiased variance is negative" in found.method
            return
    pytest.fail("no study had a negative variance")
