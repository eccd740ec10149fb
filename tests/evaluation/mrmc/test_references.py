"""Analyses of reader studies against MRMCaov, RJafroc and iMRMC."""

import numpy as np
import pytest

from coread.evaluation.mrmc import analyse, study_from_frame
from coread.evaluation.mrmc.ustatistics import COMPONENTS, _scores, mean_area, moments
from coread.evaluation.tables import reader_table


def van_dyke(reference, case="case"):
    table = reference("mrmc/mrmcaov_VanDyke.csv")
    return study_from_frame(reader_table(table.assign(case=table[case])))


def mrmcaov(reference):
    return [a for a in reference("mrmc/mrmcaov_VanDyke.json") if a["case_column"] == "case"]


@pytest.mark.parametrize("method", ["DeLong", "jackknife", "unbiased"])
@pytest.mark.parametrize("fixed", ["none", "reader", "case"])
def test_obuchowski_rockette_equals_mrmcaov(reference, method, fixed):
    (want,) = [a for a in mrmcaov(reference) if a["cov"] == method and a["fixed"] == fixed]
    ours = {"none": "none", "reader": "readers", "case": "cases"}[fixed]
    found = analyse(van_dyke(reference), method=method.lower(), fixed=ours)
    areas = {(a["test"], a["reader"]): a["auc"] for a in want["foms"]}
    for i, row in enumerate(found.figures, start=1):
        assert row == pytest.approx([areas[str(i), str(j)] for j in range(1, 6)], rel=1e-12)
    test = want["test_equality"]
    assert found.test.statistic == pytest.approx(test.get("F", test.get("X2")), rel=1e-8)
    assert found.test.p == pytest.approx(test["p-value"], rel=1e-8)
    if "df2" in test:
        assert found.test.df2 == pytest.approx(test["df2"], rel=1e-8)
    if want["vcov_comps"]:
        c, v = found.components, want["vcov_comps"]
        assert (c.variance, c.cov1, c.cov2, c.cov3) == pytest.approx(
            (v["Error"], v["Cov1"], v["Cov2"], v["Cov3"]), rel=1e-8
        )
        assert (c.reader, c.interaction) == pytest.approx((v["reader"], v["treatment:reader"]), rel=1e-8)
    for mine, theirs in zip(
        (*found.differences, *found.means), (*want["test_diffs"], *want["test_means"]), strict=True
    ):
        assert (mine.estimate, mine.se) == pytest.approx((theirs["Estimate"], theirs["StdErr"]), rel=1e-8)
        assert (mine.interval.low, mine.interval.high) == pytest.approx(theirs["CI"], rel=1e-8)
    if fixed == "reader":
        for mine, theirs in zip(found.by_reader, want["reader_test_diffs"], strict=True):
            assert mine.reader == theirs["Reader"]
            assert (mine.estimate, mine.se, mine.p) == pytest.approx(
                (theirs["Estimate"], theirs["StdErr"], theirs["p-value"]), rel=1e-8
            )


def test_cases_nested_in_modalities(reference):
    """MRMCaov, jackknife, case3 as text: every case has a reading in one modality only."""
    found = analyse(van_dyke(reference, "case3"), method="jackknife")
    assert found.test.statistic == pytest.approx(2.104491, abs=5e-7)
    assert found.test.df2 == pytest.approx(68.42325, abs=5e-6)
    assert found.test.p == pytest.approx(0.151436, abs=5e-7)


def test_identifiers_are_text(reference):
    assert len(van_dyke(reference, "case2").cases) == 570
    assert len(van_dyke(reference, "case3").cases) == 228


def test_jackknife_equals_rjafroc(reference):
    want = reference("mrmc/rjafroc_02_VANDYKE.json")["sig"]["Wilcoxon_OR"]
    found = analyse(van_dyke(reference), method="jackknife")
    assert found.test.statistic == pytest.approx(want["RRRC"]["FTests"][0]["FStat"], rel=1e-8)
    assert found.test.df2 == pytest.approx(want["RRRC"]["FTests"][1]["DF"], rel=1e-8)
    squares = {row["row"]: row["MS"] for row in want["ANOVA"]["TRanova"]}
    assert found.mean_squares == pytest.approx(squares, rel=1e-8)
    for mine, theirs in zip(found.means, want["RRRC"]["ciAvgRdrEachTrt"], strict=True):
        assert (mine.estimate, mine.se, mine.df) == pytest.approx(
            (theirs["Estimate"], theirs["StdErr"], theirs["DF"]), rel=1e-8
        )
        assert (mine.interval.low, mine.interval.high) == pytest.approx(
            (theirs["CILower"], theirs["CIUpper"]), rel=1e-8
        )


IMRMC = ["imrmc_dfMRMC_example", "imrmc_roemetz_full", "imrmc_VanDyke"]


def imrmc_study(reference, name):
    if name == "imrmc_VanDyke":
        return van_dyke(reference)
    return study_from_frame(reader_table(reference(f"mrmc/{name}.csv")))


@pytest.mark.parametrize("estimator", ["Ustat", "MLE"])
@pytest.mark.parametrize("name", IMRMC)
def test_u_statistics_equal_imrmc(reference, name, estimator):
    study = imrmc_study(reference, name)
    a, b = study.modalities
    rows = reference(f"mrmc/{name}.json")["Ustat" if estimator == "Ustat" else "MLEstat"]
    kind = "unbiased" if estimator == "Ustat" else "biased"
    for (first, second), want in zip([(a, None), (b, None), (a, b)], rows, strict=True):
        found = mean_area(study, first, second, estimator=kind)
        estimate = want["AUCA"] if second is None else want["AUCAminusAUCB"]
        variance = want["varAUCA"] if second is None else want["varAUCAminusAUCB"]
        assert found.estimate == pytest.approx(estimate, abs=1e-12)
        assert found.variance == pytest.approx(variance, rel=1e-8)
        assert found.df == pytest.approx(want["dfBDG"], rel=1e-8)
        assert found.p == pytest.approx(want["pValueBDG"], rel=1e-8)
        assert (found.interval.low, found.interval.high) == pytest.approx(
            (want["botCIBDG"], want["topCIBDG"]), rel=1e-8
        )
        assert (found.interval_normal.low, found.interval_normal.high) == pytest.approx(
            (want["botCInormal"], want["topCInormal"]), rel=1e-8
        )


# computed by iMRMC 2.1.2 (CC0) on its own example and on Roe and Metz's simulation
COMMITTED = {"dfMRMC_example": (-0.07275, 0.00161032219756743, 30.3679136851654, 0.0798633683942331)}


def test_imrmc_example_against_committed_values(reference):
    found = mean_area(imrmc_study(reference, "imrmc_dfMRMC_example"), "testA", "testB")
    assert (found.estimate, found.variance, found.df, found.p) == pytest.approx(
        COMMITTED["dfMRMC_example"], rel=1e-9
    )


@pytest.mark.parametrize("name", IMRMC)
def test_components_of_variance_equal_imrmc(reference, name):
    study = imrmc_study(reference, name)
    want = reference(f"mrmc/{name}.json")["varDecomp"]["BCK"]
    one, two = (_scores(study, m) for m in study.modalities)
    found = [moments(one, one), moments(two, two), moments(one, two)]
    for kind, biased in (("Ustat", False), ("MLE", True)):
        for mine, theirs in zip(found, want[kind]["comp"], strict=True):
            values = [v for v in theirs.values() if isinstance(v, float | int)]
            parts = mine.components(biased=biased)
            assert [parts[c] for c in COMPONENTS] == pytest.approx(values[:7], rel=1e-7, abs=1e-12), theirs


def test_moments_equal_a_brute_force_over_all_pairs(simulated):
    from coread.evaluation.mrmc.study import ReaderStudy

    truth, ratings = simulated(2, 3, 14, levels=4, seed=5)
    rng = np.random.default_rng(9)
    ratings[rng.random(ratings.shape) < 0.2] = np.nan
    names = tuple(str(k) for k in range(14))
    study = ReaderStudy(("a", "b"), ("1", "2", "3"), names, truth, ratings)
    one, two = _scores(study, "a"), _scores(study, "b")
    sums, counts = np.zeros(8), np.zeros(8)
    sick, well = np.flatnonzero(truth), np.flatnonzero(~truth)

    def score(m, r, i, j):
        x, y = ratings[m, r, i], ratings[m, r, j]
        return None if np.isnan(x) or np.isnan(y) else float(x > y) + 0.5 * float(x == y)

    readings = [
        [(r, i, j, s) for r in range(3) for i in sick for j in well if (s := score(m, r, i, j)) is not None]
        for m in range(2)
    ]
    for r, i, j, s in readings[0]:
        for r2, i2, j2, s2 in readings[1]:
            k = (0 if r == r2 else 4) + (0 if (i, j) == (i2, j2) else 1 if i == i2 else 2 if j == j2 else 3)
            sums[k] += s * s2
            counts[k] += 1
    found = moments(one, two)
    assert found.unbiased == pytest.approx(sums / np.maximum(counts, 1), abs=1e-12)
    shares = counts / counts.sum()
    shares[7] -= 1
    assert found.coefficients == pytest.approx(shares, abs=1e-12)
