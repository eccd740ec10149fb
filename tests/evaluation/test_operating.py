import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from coread.errors import InputError
from coread.evaluation.operating import average_precision, bootstrap_interval, operating_point, wilson


def table(tp, fn, fp, tn):
    truth = np.r_[np.ones(tp + fn), np.zeros(fp + tn)]
    return truth, np.r_[np.ones(tp), np.zeros(fn), np.ones(fp), np.zeros(tn)]


# Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_of_newcombe(k, n, low, high):
    found = wilson(k, n).interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


# Altman, Statistics with confidence, ch. 10: LR+ 6.31... by hand: (231/258)/(32/131)
def test_ratios_and_values_by_hand():
    found = operating_point(*table(231, 27, 32, 54), 0.5)
    assert found.positive_ratio.value == pytest.approx((231 / 258) / (32 / 86))
    # Altman: sensitivity 0.90, specificity 0.63, LR+ 2.41 (1.82 to 3.19)... the log-normal limits
    assert (found.positive_ratio.interval.low, found.positive_ratio.interval.high) == pytest.approx(
        np.exp(
            np.log(found.positive_ratio.value)
            + np.array([-1, 1]) * 1.959964 * np.sqrt(1 / 231 - 1 / 258 + 1 / 32 - 1 / 86)
        ),
        rel=1e-6,
    )
    assert found.ppv == pytest.approx(231 / 263)
    assert found.npv == pytest.approx(54 / 81)
    # at a prevalence of 25 %: Altman and Bland, BMJ 309:102 (1994), PPV 0.45, NPV 0.95
    rare = operating_point(*table(231, 27, 32, 54), 0.5, prevalence=0.25)
    assert (rare.ppv, rare.npv) == pytest.approx((0.45, 0.95), abs=0.005)


def test_a_count_of_zero_gives_an_open_interval_and_no_nan():
    found = operating_point(*table(5, 0, 0, 5), 0.5)
    assert found.positive_ratio.value == float("inf")
    assert found.negative_ratio.value == 0.0
    with pytest.raises(InputError, match="prevalence"):
        operating_point(*table(5, 1, 1, 5), 0.5, prevalence=1.0)


def test_average_precision_equals_scikit_learn():
    rng = np.random.default_rng(2)
    truth, score = rng.random(300) < 0.2, rng.integers(0, 30, 300)
    assert average_precision(truth, score) == pytest.approx(average_precision_score(truth, score), rel=1e-12)


def test_bootstrap_agrees_with_wilson_and_clusters_widen_it():
    truth, score = table(160, 40, 60, 240)
    rng = np.random.default_rng(3)
    sens, spec = bootstrap_interval(truth, score, 0.5, rng=rng)
    assert (sens.low, sens.high) == pytest.approx((0.745, 0.855), abs=0.012)
    assert (spec.low, spec.high) == pytest.approx((0.755, 0.845), abs=0.012)
    patients = np.r_[np.repeat(np.arange(20), 10), np.repeat(np.arange(20, 50), 10)]
    wide, _ = bootstrap_interval(truth, score, 0.5, rng=rng, clusters=patients)
    assert wide.high - wide.low > 1.5 * (sens.high - sens.low)
