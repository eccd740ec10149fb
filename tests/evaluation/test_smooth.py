import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.errors import InputError
from coread.evaluation.smooth import lowess, smooth_calibration


def test_errors_equal_rms(reference):
    want = reference("decision/rms_calibration.json")
    found = smooth_calibration(want["y"], want["pred"])
    assert found.largest == pytest.approx(want["val_prob"]["Emax"], rel=1e-10)
    assert found.ninetieth == pytest.approx(want["val_prob"]["E90"], rel=1e-10)
    assert found.mean == pytest.approx(want["val_prob"]["Eavg"], rel=1e-10)


# R 4: lowess(cars, iter = 0) isn't printed in its manual; a straight line is its own smooth
@given(st.lists(st.floats(0, 1), min_size=5, max_size=60, unique=True), st.floats(-2, 2), st.floats(-2, 2))
def test_a_line_is_its_own_smooth(x, slope, start):
    if np.ptp(x) < 1e-3:
        return
    xs, ys = lowess(x, start + slope * np.array(x), span=1.0)
    assert ys == pytest.approx(start + slope * xs, abs=1e-2 * abs(slope) + 1e-9)


def test_tied_values_share_a_point_and_order_does_not_matter():
    rng = np.random.default_rng(1)
    x, y = np.repeat(np.arange(10) / 10, 12), rng.random(120)
    xs, ys = lowess(x, y)
    for value in np.unique(xs):
        assert np.ptp(ys[xs == value]) == 0
    order = rng.permutation(120)
    assert lowess(x[order], y[order])[1] == pytest.approx(ys, abs=1e-12)
    with pytest.raises(InputError):
        lowess([1, 2], [1, 2])
