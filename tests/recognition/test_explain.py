"""Class activation is exact and lies where the feature lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.recognition.explain import cells_on_square, class_activation


def test_mean_of_the_map_is_the_logit_of_pooled_features() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(16, 7, 7)).astype(np.float32)
    weights = rng.normal(size=16).astype(np.float32)
    pooled = features.astype(np.float64).mean(axis=(1, 2)) @ weights.astype(np.float64)
    assert class_activation(features, weights).mean(dtype=np.float64) == pytest.approx(pooled, abs=1e-5)


@given(st.integers(0, 6), st.integers(0, 6), st.sampled_from([7, 28, 224, 301]))
def test_one_hot_cell_peaks_at_the_centre_of_its_block(row: int, column: int, size: int) -> None:
    cells = np.zeros((7, 7), np.float32)
    cells[row, column] = 1.0
    drawn = cells_on_square(cells, size)
    places = np.argwhere(drawn >= 0.5 * drawn.max())
    block = size / 7
    low, high = places.min(axis=0), places.max(axis=0) + 1
    for axis, cell in enumerate((row, column)):
        # half of the maximum is crossed half a block from the centre, at the border the map stays up
        assert low[axis] <= (cell + 0.5) * block <= high[axis]
        assert low[axis] >= cell * block - 1
        assert high[axis] <= (cell + 1) * block + 1


@given(st.integers(1, 40), st.integers(1, 9))
def test_constant_cells_stay_constant(size: int, cells: int) -> None:
    drawn = cells_on_square(np.full((cells, cells), 2.5, np.float32), size)
    np.testing.assert_allclose(drawn, 2.5, rtol=1e-6)


def test_a_plane_is_drawn_as_a_plane_between_the_outer_centres() -> None:
    cells = np.add.outer(np.arange(7.0), 2 * np.arange(7.0)).astype(np.float32)
    drawn = cells_on_square(cells, 70)
    centre = np.clip((np.arange(70) + 0.5) / 10 - 0.5, 0, 6)
    np.testing.assert_allclose(drawn, np.add.outer(centre, 2 * centre), atol=1e-5)
