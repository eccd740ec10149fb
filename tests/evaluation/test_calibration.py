import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from coread.errors import AnalysisError, InputError
from coread.evaluation import calibration as cal

tables = st.lists(
    st.tuples(st.booleans(), st.integers(1, 19).map(lambda k: k / 20)), min_size=8, max_size=60
).filter(lambda rows: 0 < sum(t for t, _ in rows) < len(rows))


def test_slope_intercepts_and_brier_equal_rms(reference):
    want = reference("decision/rms_calibration.json")
    found = cal.calibration(want["y"], want["pred"])
    # rms stops its iterations early: 1e-6 is what its own digits allow
    assert found.slope.value == pytest.approx(want["cox_slope"], rel=1e-6)
    assert found.slope.se == pytest.approx(want["cox_slope_se"], rel=1e-6)
    assert found.intercept.value == pytest.approx(want["cox_intercept_joint"], rel=1e-6)
    assert found.in_the_large.value == pytest.approx(want["citl"], rel=1e-6)
    assert found.in_the_large.se == pytest.approx(want["citl_se"], rel=1e-6)
    assert found.brier.score == pytest.approx(want["val_prob"]["Brier"], rel=1e-12)


def test_fit_equals_scikit_learn():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2))
    y = rng.random(300) < cal.expit(0.3 + x @ [1.0, -0.5])
    mine, _ = cal.logistic_fit(np.column_stack([np.ones(300), x]), y)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y)
    assert mine == pytest.approx(np.r_[theirs.intercept_, theirs.coef_[0]], abs=1e-5)


@given(tables)
def test_murphys_parts_sum_to_the_score(rows):
    y, p = (np.array(c) for c in zip(*rows, strict=True))
    found = cal.brier_score(y, p)
    assert found.score == pytest.approx(found.reliability - found.resolution + found.uncertainty, abs=1e-12)
    assert abs(found.within) < 1e-12


def test_expected_calibration_error_of_a_table_by_hand():
    y, p = [0, 1, 1, 1], [0.1, 0.1, 0.8, 0.8]
    # two bins: |0.1 - 0.5| and |0.8 - 1.0|, half of the cases each
    for binning in ("equal-count", "equal-width"):
        assert cal.expected_calibration_error(y, p, bins=2, binning=binning) == pytest.approx(0.3)


def test_hosmer_lemeshow_by_hand():
    p, y = np.repeat([0.2, 0.5], 50), np.r_[np.ones(15), np.zeros(35), np.ones(20), np.zeros(30)]
    found = cal.hosmer_lemeshow(y, p, groups=2)
    assert found.statistic == pytest.approx((15 - 10) ** 2 / 8 + (20 - 25) ** 2 / 12.5)
    assert found.df == 2
    assert cal.hosmer_lemeshow(y, p, groups=2, external=False).df == 0


def test_shifted_log_odds_are_found_again():
    rng = np.random.default_rng(2)
    x = rng.normal(size=400_000)
    y = rng.random(x.size) < cal.expit(x)
    found = cal.calibration(y, cal.expit(0.5 + 2.0 * x))
    assert found.slope.value == pytest.approx(0.5, abs=4 * found.slope.se)
    assert found.intercept.value == pytest.approx(-0.25, abs=4 * found.intercept.se)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(AnalysisError, match="separated"):
        cal.calibration([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    with pytest.raises(AnalysisError, match="same"):
        cal.calibration([0, 1, 1], [0.5, 0.5, 0.5])
    with pytest.raises(InputError, match="rows \\[2\\]"):
        cal.calibration([0, 1, 1], [0.5, 1.5, 0.5])
