import numpy as np
import pytest

from coread.core import Geometry
from coread.errors import InputError
from coread.testing.phantoms import around, ellipsoid, region, shell, sphere, water_cylinder


@pytest.mark.parametrize("radius", [6.0, 11.0, 17.0])
def test_a_sphere_has_its_volume_and_centre(radius: float) -> None:
    mask = sphere(radius, (radius / 30,) * 3, centre_mm=(3.0, -2.0, 1.0))
    volume = mask.voxels.sum() * mask.geometry.voxel_volume_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    centre = mask.geometry.to_patient(np.argwhere(mask.voxels)).mean(axis=0)
    assert centre == pytest.approx((3.0, -2.0, 1.0), abs=0.05)


def test_an_ellipsoid_is_as_long_as_its_axes() -> None:
    mask = ellipsoid((5.0, 10.0, 15.0), (0.5, 0.5, 0.5))
    places = mask.geometry.to_patient(np.argwhere(mask.voxels))
    assert np.ptp(places, axis=0) == pytest.approx((10.0, 20.0, 30.0), abs=0.51)


def test_a_region_follows_an_oblique_grid() -> None:
    angle = np.deg2rad(25.0)
    affine = np.array(around(12.0).affine)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    grid = Geometry(around(12.0).shape, turn @ affine)
    mask = region(lambda points: np.linalg.norm(points, axis=-1) <= 10.0, grid)
    assert mask.voxels.sum() == pytest.approx(4 / 3 * np.pi * 1000, rel=0.01)


def test_water_has_the_noise_that_was_asked_for() -> None:
    volume = water_cylinder(100.0, noise_hu=12.0, rng=np.random.default_rng(4))
    inner = volume.values[:, 100:156, 100:156]
    assert inner.mean() == pytest.approx(0.0, abs=0.3)
    assert inner.std() == pytest.approx(12.0, rel=0.02)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="inner < outer"):
        shell(5.0, 4.0)
    with pytest.raises(InputError, match="radii"):
        ellipsoid((1.0, 0.0, 1.0))
