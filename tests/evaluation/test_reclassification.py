"""Net reclassification and integrated discrimination against a published study and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from coread.errors import AnalysisError, InputError
from coread.evaluation.reclassification import integrated_discrimination, net_reclassification

TRUTH = np.repeat([1, 0], [183, 3081])


def moved(up: tuple[int, int], down: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that move so many events and non-events up and down over 0.1."""
    first, second = np.full(TRUTH.size, 0.15), np.full(TRUTH.size, 0.15)
    for start, more, less in ((0, up[0], down[0]), (183, up[1], down[1])):
        first[start : start + more] = 0.05
        second[start + more : start + more + less] = 0.05
    return first, second


def test_published_study_of_hdl_cholesterol() -> None:
    """Pencina 2008, Framingham: of 183 events 29 up and 7 down, of 3,081 others 173 up and 174 down."""
    found = net_reclassification(TRUTH, *moved((29, 173), (7, 174)), cutoffs=[0.06, 0.1])
    assert found.value == pytest.approx(22 / 183 + 1 / 3081, rel=1e-12)
    assert (found.events, found.nonevents) == pytest.approx((22 / 183, 1 / 3081))
    assert round(found.value, 3) == 0.121
    assert found.statistic == pytest.approx(found.value / np.sqrt(36 / 183**2 + 347 / 3081**2), rel=1e-12)
    assert found.p < 0.001


def test_a_probability_at_a_border_belongs_above_it() -> None:
    found = net_reclassification([1, 1, 0, 0], [0.19, 0.2, 0.1, 0.3], [0.2, 0.25, 0.1, 0.1], cutoffs=[0.2])
    assert (found.events, found.nonevents) == (0.5, 0.5)


def test_category_free_counts_every_change() -> None:
    found = net_reclassification([1, 1, 1, 0, 0], [0.5] * 5, [0.51, 0.6, 0.4, 0.4, 0.9])
    assert found.events == pytest.approx(1 / 3)
    assert found.nonevents == 0.0


@pytest.mark.parametrize("function", [net_reclassification, integrated_discrimination])
def test_the_other_way_round_is_the_other_sign(function: object) -> None:
    rng = np.random.default_rng(4)
    truth, a, b = rng.random(300) < 0.3, rng.random(300), rng.random(300)
    there, back = function(truth, a, b), function(truth, b, a)  # type: ignore[operator]
    assert there.value == pytest.approx(-back.value)
    assert there.se == pytest.approx(back.se)
    assert there.p == pytest.approx(back.p)


def test_integrated_discrimination_is_the_gain_in_discrimination_slope() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(400) < 0.4
    a, b = rng.random(400), np.clip(rng.random(400) * 0.6 + 0.3 * truth, 0, 1)
    found = integrated_discrimination(truth, a, b)
    slope = [p[truth].mean() - p[~truth].mean() for p in (a, b)]
    assert found.value == pytest.approx(slope[1] - slope[0], rel=1e-12)
    assert found.statistic == pytest.approx(found.value / found.se)


def test_intervals_cover_and_tests_reject_as_often_as_they_say() -> None:
    """Category-free NRI of two equally good predictions: 0 lies in 95 % of the intervals (2,000 draws)."""
    rng = np.random.default_rng(6)
    inside = rejected = 0
    for _ in range(2000):
        truth = np.arange(120) < 50
        base = 0.4 + 0.2 * truth
        a, b = (np.clip(base + 0.15 * rng.normal(size=120), 0, 1) for _ in range(2))
        found = net_reclassification(truth, a, b)
        inside += found.interval.low <= 0 <= found.interval.high
        rejected += found.p < 0.05
    assert 0.93 < inside / 2000 < 0.97
    assert 0.03 < rejected / 2000 < 0.07


@pytest.mark.parametrize("cutoffs", [[], [0.0, 0.5], [0.5, 0.2], [0.3, 0.3]])
def test_wrong_borders_are_refused(cutoffs: list[float]) -> None:
    with pytest.raises(InputError, match="cut-offs"):
        net_reclassification([1, 0], [0.1, 0.2], [0.3, 0.1], cutoffs=cutoffs)


def test_what_cannot_be_tested_is_said() -> None:
    with pytest.raises(AnalysisError, match="nobody"):
        net_reclassification([1, 0], [0.1, 0.2], [0.15, 0.25], cutoffs=[0.5])
    with pytest.raises(InputError, match="outside 0 to 1"):
        integrated_discrimination([1, 1, 0, 0], [0.1, 0.2, 0.3, 1.4], [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(AnalysisError, match="alike"):
        integrated_discrimination([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.3], [0.1, 0.2, 0.3, 0.3])
