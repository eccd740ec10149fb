import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from coread.errors import AnalysisError, InputError
from coread.evaluation import agreement as ag

SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


@pytest.mark.parametrize(
    ("form", "value"),
    list(zip(ag.ICC_FORMS, (0.165742, 0.289764, 0.714841, 0.442797, 0.620051, 0.909316), strict=True)),
)
def test_icc_of_shrout_and_fleiss_1979(form, value):
    assert ag.icc(SHROUT_FLEISS, form).value == pytest.approx(value, abs=5e-7)


# psych::ICC and irr::icc print these limits for the table of Shrout and Fleiss
@pytest.mark.parametrize(
    ("form", "low", "high"),
    [
        ("ICC(1,1)", -0.133, 0.723),
        ("ICC(2,1)", 0.019, 0.761),
        ("ICC(3,1)", 0.342, 0.946),
        ("ICC(1,k)", -0.884, 0.912),
        ("ICC(2,k)", 0.071, 0.927),
        ("ICC(3,k)", 0.676, 0.986),
    ],
)
def test_limits_of_icc(form, low, high):
    interval = ag.icc(SHROUT_FLEISS, form).interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-3)


def test_textbook_table_of_fleiss():
    table = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    assert ag.fleiss_kappa(table).value == pytest.approx(0.209931, abs=5e-7)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_cohens_kappa_equals_scikit_learn(weights):
    rng = np.random.default_rng(4)
    a = rng.integers(0, 4, 200)
    b = np.clip(a + rng.integers(-1, 2, 200), 0, 3)
    want = cohen_kappa_score(a, b, weights=None if weights == "none" else weights)
    found = ag.cohen_kappa(a, b, weights=weights)
    assert found.value == pytest.approx(want, rel=1e-12)
    # its standard error against the spread of resampled studies
    rng = np.random.default_rng(5)
    drawn = [ag.cohen_kappa(a[k], b[k], weights=weights).value for k in rng.integers(0, 200, (800, 200))]
    assert found.se == pytest.approx(np.std(drawn), rel=0.12)


# Krippendorff, Computing Krippendorff's alpha-reliability (2011), example C/D with missing data
def test_krippendorffs_own_example():
    nan = np.nan
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    for metric, value in {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849, "ratio": 0.797}.items():
        assert ag.krippendorff_alpha(table, metric=metric) == pytest.approx(value, abs=5e-4)


# Bland and Altman 1986, Lancet: peak flow by two meters, limits -80 and 76, mean -2.1
def test_limits_of_agreement_of_bland_and_altman_1986():
    wright = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = ag.bland_altman(wright, mini)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert (found.lower, found.upper) == pytest.approx((-78.1, 73.9), abs=0.15)
    assert (found.bias_interval.low, found.bias_interval.high) == pytest.approx((-22.0, 17.8), abs=0.15)


def test_repeated_pairs_recover_their_two_variances():
    rng = np.random.default_rng(6)
    subject = np.repeat(np.arange(4000), 3)
    d = rng.normal(0, 3, 4000)[subject] + rng.normal(0, 4, subject.size)
    found = ag.bland_altman(d, np.zeros(d.size), subject)
    assert found.sd == pytest.approx(5.0, rel=0.02)
    assert found.bias == pytest.approx(0.0, abs=0.2)


def test_repeatability_of_normal_replicates():
    rng = np.random.default_rng(7)
    mean = rng.uniform(50, 150, 5000)
    found = ag.repeatability(mean[:, None] + rng.normal(0, 2, (5000, 2)))
    assert found.wsd == pytest.approx(2.0, rel=0.03)
    assert found.rc == pytest.approx(2.77 * 2.0, rel=0.03)
    by_cv = ag.repeatability(mean[:, None] * (1 + rng.normal(0, 0.05, (5000, 2))))
    assert by_cv.percent_rc == pytest.approx(100 * 1.96 * np.sqrt(2) * 0.05, rel=0.03)
    # 95 of 100 intervals hold the truth
    inside = [ag.repeatability(rng.normal(0, 1, (20, 2))).rc_interval for _ in range(400)]
    held = np.mean([i.low <= 1.96 * np.sqrt(2) <= i.high for i in inside])
    assert held == pytest.approx(0.95, abs=0.035)


def test_perfect_agreement_is_one_and_its_lack_is_refused():
    x = [[1, 1], [2, 2], [3, 3]]
    assert ag.icc(x, "ICC(3,1)").value == 1.0
    assert ag.cohen_kappa([1, 2, 3], [1, 2, 3]).value == 1.0
    with pytest.raises(AnalysisError):
        ag.cohen_kappa([1, 1], [1, 1])
    with pytest.raises(InputError, match="rows \\[2\\]"):
        ag.icc([[1, 2], [np.nan, 2], [3, 4]])
