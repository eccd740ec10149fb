"""Grids: closed forms of the affine and its inverse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from coread.core import Geometry, ImagePlane
from coread.errors import GeometryError

finite = st.floats(-500, 500)
spacing = st.floats(0.1, 10)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    rotation = Rotation.from_euler("xyz", [draw(finite) for _ in range(3)], degrees=True).as_matrix()
    shear = np.eye(3)
    shear[1, 0] = draw(st.floats(-0.5, 0.5))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ shear @ np.diag([draw(spacing) for _ in range(3)])
    affine[:3, 3] = [draw(finite) for _ in range(3)]
    shape = tuple(draw(st.integers(1, 20)) for _ in range(3))
    return Geometry(shape, affine)


def test_axial_steps_are_those_of_a_plain_ct() -> None:
    grid = Geometry.axial((3, 4, 5), spacing_mm=(5.0, 0.7, 0.7), origin_mm=(-10.0, -20.0, 30.0))
    assert grid.affine[:3, 0].tolist() == [0, 0, 5]
    assert grid.affine[:3, 1].tolist() == [0, 0.7, 0]
    assert grid.affine[:3, 2].tolist() == [0.7, 0, 0]
    assert grid.origin_mm == (-10.0, -20.0, 30.0)
    assert grid.spacing_mm == (5.0, 0.7, 0.7)
    assert np.linalg.det(grid.affine) < 0


def test_the_volume_of_a_voxel_is_exact_where_the_determinant_is_not() -> None:
    assert Geometry.axial((1, 1, 1), spacing_mm=(5.0, 1.0, 1.0)).voxel_volume_mm3 == 5.0


def test_a_tilted_stack_keeps_its_spacing_along_the_normal() -> None:
    # 18.5 degrees of gantry tilt: 4.0 mm between planes shows as 4.0 / cos(18.5 deg) along z
    tilt = np.deg2rad(18.5)
    affine = np.eye(4)
    affine[:3, 2] = 0
    affine[:3, 0] = (0, 0, 4.0 / np.cos(tilt))
    affine[:3, 1] = (0, 0.5 * np.cos(tilt), 0.5 * np.sin(tilt))
    affine[:3, 2] = (0.5, 0, 0)
    affine[:3, 3] = 0
    grid = Geometry((10, 10, 10), affine)
    assert grid.slice_spacing_mm == pytest.approx(4.0)
    assert grid.spacing_mm[0] == pytest.approx(4.2180, abs=1e-4)
    assert grid.voxel_volume_mm3 == pytest.approx(4.0 * 0.5 * 0.5)


@given(geometries(), st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=4))
def test_indices_come_back_from_the_patient(grid: Geometry, indices: list[tuple[float, ...]]) -> None:
    there = grid.to_patient(indices)
    np.testing.assert_allclose(grid.to_index(there), indices, atol=1e-6)


@given(geometries())
def test_moving_a_grid_is_noticed(grid: Geometry) -> None:
    moved = np.array(grid.affine)
    moved[0, 3] += 0.01
    assert grid.almost_equal(Geometry(grid.shape, moved), tolerance_mm=0.02)
    assert not grid.almost_equal(Geometry(grid.shape, moved), tolerance_mm=0.005)
    again = pickle.loads(pickle.dumps(grid))
    assert grid.almost_equal(again, tolerance_mm=0.0)


@pytest.mark.parametrize(
    ("shape", "affine"),
    [
        ((0, 1, 1), np.eye(4)),
        ((1, 1), np.eye(4)),
        ((1, 1, 1), np.zeros((4, 4))),
        ((1, 1, 1), np.full((4, 4), np.nan)),
        ((1, 1, 1), np.diag([1.0, 1.0, 0.0, 1.0])),
        ((1, 1, 1), np.diag([1.0, 1.0, 1.0, 2.0])),
    ],
)
def test_what_is_no_grid_is_refused(shape: tuple[int, ...], affine: np.ndarray) -> None:
    with pytest.raises(GeometryError):
        Geometry(shape, affine)


def test_a_grid_cannot_be_changed_through_the_array_it_came_from() -> None:
    affine = np.eye(4)
    grid = Geometry((1, 1, 1), affine)
    affine[0, 3] = 99
    assert grid.origin_mm == (0, 0, 0)
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 2


def test_a_plane_without_spacing_says_unknown() -> None:
    assert ImagePlane((10, 10)).spacing_kind == "unknown"
    with pytest.raises(GeometryError, match="contradict"):
        ImagePlane((10, 10), (1.0, 1.0))
    with pytest.raises(GeometryError, match="positive"):
        ImagePlane((10, 10), (0.0, 1.0), "detector")
