"""Thresholds reach what was asked for, intervals are Wilson's, curves count what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve as of_sklearn

from coread.errors import InputError
from coread.recognition.operating import (
    calibration_curve,
    chosen_threshold,
    figures_at,
    settings_at,
    wilson,
)


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    scores = draw(st.lists(st.integers(0, 40), min_size=6, max_size=40))
    labels = draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    labels[:2] = [True, False]
    return np.array(labels, dtype=int), np.array(scores) / 40


@given(cohorts(), st.floats(0.05, 1.0), st.sampled_from(["sensitivity", "specificity"]))
def test_no_other_cut_reaches_the_rate_at_a_better_price(cohort, wanted: float, rule: str) -> None:
    labels, scores = cohort
    positive, negative = scores[labels == 1], scores[labels == 0]
    try:
        cut = chosen_threshold(labels, scores, **{rule: wanted})
    except InputError:
        cuts = np.unique(scores)[1:]
        rates = [(positive >= c).mean() if rule == "sensitivity" else (negative < c).mean() for c in cuts]
        assert all(rate < wanted for rate in rates)
        return
    reached = (positive >= cut).mean() if rule == "sensitivity" else (negative < cut).mean()
    other = (negative < cut).mean() if rule == "sensitivity" else (positive >= cut).mean()
    assert reached >= wanted - 1e-9
    for c in np.unique(scores)[1:]:
        rate, price = (positive >= c).mean(), (negative < c).mean()
        if rule == "specificity":
            rate, price = price, rate
        assert rate < wanted - 1e-9 or price <= other


def test_wilson_s_interval_is_that_of_its_published_example() -> None:
    found = wilson(81 / 263, 263)  # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    none = wilson(0.0, 20)
    assert (none.low, round(none.high, 4)) == (0.0, 0.1611)


def test_several_images_of_a_patient_are_no_more_evidence_than_one() -> None:
    labels, scores = np.array([1, 0] * 4), np.array([0.9, 0.1] * 4)
    apart = figures_at(0.5, labels, scores, [str(n) for n in range(8)])
    same = figures_at(0.5, labels, scores, ["a", "b"] * 4)
    assert apart.sensitivity.value == same.sensitivity.value == 1.0
    assert same.sensitivity.low < apart.sensitivity.low
    assert same.sensitivity.low == wilson(1.0, 1).low


def test_a_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(300)
    labels = (rng.random(300) < scores**2).astype(int)
    mine = calibration_curve(labels, scores)
    seen, said = of_sklearn(labels, scores, n_bins=10)
    assert [b.seen.value for b in mine] == pytest.approx(list(seen))
    assert [b.said for b in mine] == pytest.approx(list(said))
    assert sum(b.cases for b in mine) == 300


def test_the_zone_of_abstention_moves_with_the_threshold() -> None:
    own = {"threshold": 0.43, "abstain_low": 0.29, "abstain_high": 0.59, "slope": 1.5}
    moved = settings_at(own, 0.2)

    def logit(p: float) -> float:
        return float(np.log(p / (1 - p)))

    assert moved["threshold"] == 0.2
    assert moved["slope"] == 1.5
    for name in ("abstain_low", "abstain_high"):
        width = logit(own[name]) - logit(own["threshold"])
        assert logit(moved[name]) - logit(0.2) == pytest.approx(width)
    assert settings_at(own, None) is own


@pytest.mark.parametrize("rule", [{}, {"sensitivity": 0.9, "specificity": 0.9}, {"sensitivity": 1.2}])
def test_rules_that_say_nothing_are_refused(rule: dict[str, float]) -> None:
    with pytest.raises(InputError):
        chosen_threshold([0, 1], [0.2, 0.8], **rule)
    with pytest.raises(InputError, match="0 negative"):
        chosen_threshold([1, 1], [0.2, 0.8], sensitivity=0.9)
