from itertools import permutations, product

import numpy as np
import pytest

from coread.core import Geometry
from coread.imaging.orientation import Orientation


def _stored(axes: tuple[int, ...], flips: tuple[bool, ...]) -> tuple[np.ndarray, Geometry]:
    """An axial grid of which each voxel holds its own patient place, stored in another order."""
    grid = Geometry.axial((3, 4, 5), (2.0, 1.5, 1.0), (10.0, 20.0, 30.0))
    values = grid.to_patient(np.stack(np.indices(grid.shape), axis=-1)).transpose(3, 0, 1, 2)
    values = values.transpose(0, *(a + 1 for a in axes))
    affine = np.array(grid.affine)
    affine[:3, :3] = affine[:3, list(axes)]
    for n, flip in enumerate(flips):
        if flip:
            values = np.flip(values, n + 1)
            affine[:3, 3] += (values.shape[n + 1] - 1) * affine[:3, n]
            affine[:3, n] *= -1
    return values, Geometry(values.shape[1:], affine)


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flips", list(product((False, True), repeat=3)))
def test_turned_axes_run_up_back_and_left(axes: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    places, geometry = _stored(axes, flips)
    orientation = Orientation.of(geometry)
    x, y, z = (orientation.turn(part) for part in places)
    assert x.shape == (3, 4, 5)
    assert np.allclose(np.diff(z, axis=0), 2.0)
    assert np.allclose(np.diff(y, axis=1), 1.5)
    assert np.allclose(np.diff(x, axis=2), 1.0)
    assert orientation.spacing_mm(geometry) == pytest.approx((2.0, 1.5, 1.0))
    assert np.array_equal(orientation.back(x), places[0])


def test_oblique_grid_takes_the_nearest_axes() -> None:
    angle = np.deg2rad(30.0)
    affine = np.eye(4)
    affine[:3, 0] = [0.0, 0.0, 3.0]
    affine[:3, 1] = [-np.sin(angle), np.cos(angle), 0.0]
    affine[:3, 2] = [-np.cos(angle), -np.sin(angle), 0.0]  # columns run to the right
    orientation = Orientation.of(Geometry((2, 2, 2), affine))
    assert orientation == Orientation((0, 1, 2), (False, False, True))
