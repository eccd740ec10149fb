"""Measures of solids: closed forms, and the same whichever way the solid lies."""

from __future__ import annotations

import numpy as np
import pytest

from coread.core import Geometry, Mask
from coread.errors import InputError
from coread.recognition.solid import isotropic, local_thickness, shape_features, surface_area
from coread.testing.phantoms import ellipsoid, sphere


@pytest.mark.parametrize("radius_mm", [8.0, 12.0, 20.0])
def test_sphere_has_its_surface_and_volume(radius_mm: float) -> None:
    values = shape_features(isotropic(sphere(radius_mm)))
    assert values["surface"] == pytest.approx(4 * np.pi * radius_mm**2, rel=0.03)
    assert values["volume"] == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.02)
    assert values["sphericity"] == pytest.approx(1.0, abs=0.04)
    assert values["semi_axis_1"] == pytest.approx(radius_mm, rel=0.02)
    assert values["semi_axis_3"] == pytest.approx(radius_mm, rel=0.02)
    assert values["longest"] == pytest.approx(2 * radius_mm, abs=1.5)
    assert values["solidity"] == pytest.approx(1.0, abs=0.2)


def test_ellipsoid_has_its_semi_axes() -> None:
    mask = ellipsoid((20.0, 10.0, 5.0))
    values = shape_features(isotropic(mask))
    got = [values[f"semi_axis_{n}"] for n in (1, 2, 3)]
    assert got == pytest.approx([20.0, 10.0, 5.0], rel=0.03)
    assert values["volume_of_ellipsoid"] == pytest.approx(1.0, abs=0.03)
    assert values["skewness_1"] == pytest.approx(0.0, abs=0.02)


def test_a_turned_plane_has_the_same_surface() -> None:
    """A slab turned by 45 degrees: counting faces would give 1.41 times its surface."""
    k, j, i = np.indices((60, 60, 60)) - 29.5
    straight = (abs(k) < 4) & (abs(j) < 20) & (abs(i) < 20)
    turned = (abs(k + j) / np.sqrt(2) < 4) & (abs(k - j) / np.sqrt(2) < 20) & (abs(i) < 20)
    expected = 2 * 40 * 40 + 4 * 40 * 8
    assert surface_area(straight) == pytest.approx(expected, rel=0.1)
    assert surface_area(turned) == pytest.approx(expected, rel=0.1)


def test_local_thickness_tells_a_ball_from_its_stalk() -> None:
    k, j, i = np.indices((40, 40, 70)) - 19.5
    ball = k**2 + j**2 + (i - 0.0) ** 2 <= 10**2
    stalk = (k**2 + j**2 <= 3**2) & (i > 0) & (i < 45)
    radius = local_thickness(ball | stalk)
    assert radius[19, 19, 19] == pytest.approx(10.0, abs=1.0)  # a voxel
    assert radius[19, 19, 55] == pytest.approx(3.0, abs=0.5)
    assert not radius[~(ball | stalk)].any()


def lumpy() -> np.ndarray:
    rng = np.random.default_rng(4)
    solid = np.zeros((40, 44, 50), bool)
    grid = np.indices(solid.shape)
    for centre, radius in ((rng.uniform(14, 26, 3), rng.uniform(4, 8)) for _ in range(7)):
        solid |= sum((grid[n] - centre[n]) ** 2 for n in range(3)) <= radius**2
    return solid


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flip", [0, 1, 2])
def test_features_do_not_depend_on_how_the_solid_is_stored(axes: tuple[int, int, int], flip: int) -> None:
    solid = lumpy()
    other = np.ascontiguousarray(np.flip(solid, flip).transpose(axes))
    one, two = (shape_features(isotropic(Mask(s, Geometry.axial(s.shape)))) for s in (solid, other))
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_features_of_other_voxels_are_nearly_the_same() -> None:
    fine = shape_features(isotropic(ellipsoid((18.0, 9.0, 6.0), (1.0, 1.0, 1.0))))
    coarse = shape_features(isotropic(ellipsoid((18.0, 9.0, 6.0), (2.0, 0.8, 0.8))))
    for name in ("volume", "surface", "sphericity", "semi_axis_1", "semi_axis_3", "longest", "hull"):
        assert coarse[name] == pytest.approx(fine[name], rel=0.06), name
    assert coarse["thickness_mean"] == pytest.approx(fine["thickness_mean"], abs=1.0)  # a voxel
    for values in (fine, coarse):
        assert values["depth_maximum"] == pytest.approx(6.0, abs=1.01)  # a voxel


def test_only_the_largest_part_counts() -> None:
    solid = lumpy()
    more = solid.copy()
    more[0:2, 0:2, 0:2] = True
    one, two = (isotropic(Mask(s, Geometry.axial(s.shape))) for s in (solid, more))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("size", [0, 3])
def test_hardly_anything_is_refused(size: int) -> None:
    voxels = np.zeros((20, 20, 20), bool)
    voxels[:size, :size, :size] = True
    with pytest.raises(InputError, match="voxels"):
        isotropic(Mask(voxels, Geometry.axial(voxels.shape)))


def test_a_flat_mask_is_refused() -> None:
    voxels = np.zeros((20, 20, 20), bool)
    voxels[10] = True
    with pytest.raises(InputError, match="flat"):
        shape_features(isotropic(Mask(voxels, Geometry.axial(voxels.shape))))
