"""Shapes of flat regions against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from coread.errors import InputError
from coread.imaging.outline import outline_of

ROWS, COLUMNS = np.mgrid[:200, :240].astype(float)


def ellipse(
    down: float, across: float, turn: float = 0.0, spacing: tuple[float, float] = (1.0, 1.0)
) -> NDArray[np.bool_]:
    """An ellipse of these half axes in millimetres around the middle."""
    y, x = (ROWS - 99.3) * spacing[0], (COLUMNS - 119.7) * spacing[1]
    along, aside = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    inside: NDArray[np.bool_] = (along / across) ** 2 + (aside / down) ** 2 <= 1
    return inside


@pytest.mark.parametrize("turn", [0.0, 0.4, 1.1])
def test_an_ellipse(turn: float) -> None:
    found = outline_of(ellipse(30, 60, turn))
    # Ramanujan's second approximation of the perimeter, good to 1e-6 here
    h = ((60 - 30) / (60 + 30)) ** 2
    perimeter = np.pi * 90 * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))
    assert found.area == pytest.approx(np.pi * 30 * 60, rel=0.01)
    assert found.perimeter == pytest.approx(perimeter, rel=0.01)
    assert found.circularity == pytest.approx(4 * np.pi * np.pi * 1800 / perimeter**2, rel=0.02)
    assert found.axis_ratio == pytest.approx(2.0, rel=0.01)
    assert found.solidity > 0.99
    assert found.ellipse_overlap > 0.99
    width = 2 * np.hypot(60 * np.cos(turn), 30 * np.sin(turn))
    height = 2 * np.hypot(60 * np.sin(turn), 30 * np.cos(turn))
    assert (found.width, found.height) == pytest.approx((width, height), abs=1.5)


def test_a_squeezed_circle_is_round_in_its_own_proportions() -> None:
    found = outline_of(ellipse(30, 30, spacing=(0.8, 0.5)), (0.8, 0.5))
    assert found.axis_ratio == pytest.approx(1.0, abs=0.02)
    assert found.circularity == pytest.approx(1.0, abs=0.02)
    assert found.area == pytest.approx(np.pi * 900, rel=0.01)
    assert (found.width, found.height) == pytest.approx((60.0, 60.0), abs=1.6)
    assert outline_of(ellipse(30, 30, spacing=(0.8, 0.5))).axis_ratio == pytest.approx(1.6, rel=0.02)


def test_dents_and_spikes_lower_solidity_and_circularity() -> None:
    angle = np.arctan2(ROWS - 99.3, COLUMNS - 119.7)
    radius = np.hypot(ROWS - 99.3, COLUMNS - 119.7)
    star = radius <= 50 * (1 + 0.35 * np.cos(7 * angle))
    found = outline_of(star)
    exact = np.pi * 50**2 * (1 + 0.35**2 / 2)
    assert found.area == pytest.approx(exact, rel=0.01)
    assert found.solidity < 0.8
    assert found.circularity < 0.5
    assert found.axis_ratio == pytest.approx(1.0, abs=0.02)
    assert found.ellipse_overlap < 0.92


def test_a_square() -> None:
    mask = np.zeros((240, 240), dtype=bool)
    mask[20:220, 20:220] = True  # corners are rounded by a pixel, which must not count
    found = outline_of(mask)
    assert (found.width, found.height) == (200.0, 200.0)
    assert found.circularity == pytest.approx(np.pi / 4, rel=0.02)
    assert found.solidity > 0.99


def test_the_largest_region_counts_and_one_pixel_is_a_region() -> None:
    mask = ellipse(20, 20)
    other = mask.copy()
    other[2:6, 2:6] = True
    assert outline_of(other) == outline_of(mask)
    single = np.zeros((9, 9), dtype=bool)
    single[0, 8] = True
    assert (outline_of(single).width, outline_of(single).height) == (1.0, 1.0)


def test_what_is_no_region_is_refused() -> None:
    with pytest.raises(InputError, match="no outline"):
        outline_of(np.zeros((4, 4), dtype=bool))
    with pytest.raises(InputError, match="spacing"):
        outline_of(np.ones((4, 4), dtype=bool), (0.0, 1.0))
