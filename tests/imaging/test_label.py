import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from coread.imaging.label import (
    bounding_box,
    close,
    components,
    connected_to,
    dilate,
    erode,
    fill_holes,
)

SPACING = (2.5, 0.8, 0.8)


def _ball(shape: tuple[int, int, int], radius: float, spacing: tuple[float, float, float]) -> np.ndarray:
    index = np.indices(shape)
    parts = [(index[n] - (shape[n] - 1) / 2) * spacing[n] for n in range(3)]
    return sum(p**2 for p in parts) <= radius**2


def test_dilation_of_a_point_is_a_ball_in_millimetres() -> None:
    point = np.zeros((15, 41, 41), dtype=bool)
    point[7, 20, 20] = True
    assert np.array_equal(dilate(point, 9.0, SPACING), _ball(point.shape, 9.0, SPACING))


def test_erosion_of_a_dilated_point_gives_the_point_back() -> None:
    point = np.zeros((15, 41, 41), dtype=bool)
    point[7, 20, 20] = True
    back = erode(dilate(point, 9.0, SPACING), 8.0, SPACING)
    assert back[7, 20, 20]
    assert np.argwhere(back).mean(axis=0) == pytest.approx((7, 20, 20))


def test_closing_fills_a_gap_narrower_than_the_ball_and_leaves_a_wider_one() -> None:
    block = np.zeros((20, 60, 60), dtype=bool)
    block[2:18, 5:55, 5:28] = True
    block[2:18, 5:55, 32:55] = True  # 4 columns apart: 3.2 mm of gap
    narrow = close(block, 4.0, SPACING)
    assert narrow[10, 30, 28:32].all()
    wide = close(block, 1.0, SPACING)
    assert not wide[10, 30, 29:31].any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 4.0))
def test_closing_only_adds_and_doing_it_twice_changes_nothing(seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    mask = ndimage.gaussian_filter(rng.normal(size=(12, 20, 20)), 1.5) > 0.1
    once = close(mask, radius, (1.3, 1.0, 1.0))
    assert (once | mask == once).all()
    assert np.array_equal(close(once, radius, (1.3, 1.0, 1.0)), once)


def test_an_empty_mask_stays_empty() -> None:
    empty = np.zeros((3, 4, 5), dtype=bool)
    for result in (dilate(empty, 3, SPACING), erode(empty, 3, SPACING), close(empty, 3, SPACING)):
        assert not result.any()
    assert bounding_box(empty) == (slice(0, 3), slice(0, 4), slice(0, 5))


def test_components_touch_by_faces_only() -> None:
    mask = np.zeros((2, 2, 2), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    labels, sizes = components(mask)
    assert sizes.tolist() == [6, 1, 1]
    seed = np.zeros_like(mask)
    seed[0, 0, 0] = True
    assert np.array_equal(connected_to(mask, seed), seed)
    assert labels.max() == 2


def test_a_hole_in_a_slice_is_filled() -> None:
    ring = np.ones((1, 5, 5), dtype=bool)
    ring[0, 2, 2] = False
    assert fill_holes(ring).all()
