import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from coread.errors import InputError
from coread.evaluation.calibration import calibration, expit, logit
from coread.evaluation.recalibration import fit_recalibration


@pytest.fixture(scope="module")
def skewed():
    rng = np.random.default_rng(1)
    x = rng.normal(size=40_000)
    return rng.random(x.size) < expit(x), expit(0.7 + 2.0 * x), rng


def test_platt_finds_the_inverse_of_a_known_distortion(skewed):
    truth, p, _ = skewed
    found = fit_recalibration(truth[:20_000], p[:20_000], "platt")
    assert found.values == pytest.approx([-0.35, 0.5], abs=0.05)
    after = calibration(truth[20_000:], found.apply(p[20_000:]))
    assert after.slope.value == pytest.approx(1.0, abs=0.06)
    assert after.in_the_large.value == pytest.approx(0.0, abs=0.06)


@pytest.mark.parametrize("kind", ["temperature", "platt", "isotonic", "beta"])
def test_every_map_keeps_order_and_betters_the_brier_score_on_other_cases(skewed, kind):
    truth, p, _ = skewed
    found = fit_recalibration(truth[:20_000], p[:20_000], kind)
    rest, t = p[20_000:], truth[20_000:]
    assert (np.diff(found.apply(np.sort(rest))) >= -1e-12).all()
    assert ((found.apply(rest) - t) ** 2).mean() < ((rest - t) ** 2).mean()


def test_temperature_is_the_scale_of_log_odds():
    rng = np.random.default_rng(2)
    x = rng.normal(size=50_000)
    found = fit_recalibration(rng.random(x.size) < expit(x), expit(3.0 * x), "temperature")
    assert found.values[0] == pytest.approx(3.0, rel=0.05)
    assert found.apply([0.5])[0] == 0.5
    assert logit(found.apply([0.9]))[0] == pytest.approx(logit([0.9])[0] / found.values[0])


def test_isotonic_equals_scikit_learn(skewed):
    truth, p, _ = skewed
    x, y = np.round(p[:500], 2), truth[:500]
    want = IsotonicRegression(out_of_bounds="clip").fit(x, y).predict(np.linspace(0, 1, 101))
    found = fit_recalibration(y, x, "isotonic").apply(np.linspace(0, 1, 101))
    assert found == pytest.approx(want, abs=1e-12)


def test_predictions_against_the_truth_have_no_temperature():
    with pytest.raises(InputError, match="temperature"):
        fit_recalibration([0, 0, 1, 1, 0], [0.9, 0.8, 0.2, 0.1, 0.4], "temperature")
