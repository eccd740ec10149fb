"""Places: centres, sizes and distances with closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from coread.core import Box, Contour, Geometry, ImagePlane, Mask, MaskRegion, OnInstance, PatientSpace, Point
from coread.core.image import PlaneMask
from coread.core.region import centre_mm, diameter_mm, distance, distance_to
from coread.errors import InputError

SPACE = PatientSpace("1.2.3")


def ball(radius_mm: float, spacing_mm: tuple[float, float, float]) -> MaskRegion:
    shape = tuple(int(2 * radius_mm / s) + 5 for s in spacing_mm)
    grid = Geometry.axial(shape, spacing_mm)
    places = grid.to_patient(np.moveaxis(np.indices(shape), 0, -1))
    centre = grid.to_patient((np.array(shape) - 1) / 2)
    return MaskRegion(Mask(np.linalg.norm(places - centre, axis=-1) <= radius_mm, grid), SPACE)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)])
def test_a_ball_has_its_diameter_and_centre(spacing_mm: tuple[float, float, float]) -> None:
    region = ball(15.0, spacing_mm)
    assert diameter_mm(region) == pytest.approx(30.0, rel=0.01)
    grid = region.mask.geometry
    assert centre_mm(region) == pytest.approx(grid.to_patient((np.array(grid.shape) - 1) / 2))


def test_the_distance_to_a_ball_is_measured_from_its_edge() -> None:
    region = ball(15.0, (1.0, 1.0, 1.0))
    centre = np.array(region.centre)
    assert distance_to(region, tuple(centre)) == 0
    assert distance_to(region, tuple(centre + (20.0, 0, 0))) == pytest.approx(5.0, abs=0.5)
    assert distance_to(region, tuple(centre + (12.0, 9.0, 0))) == pytest.approx(0.0, abs=0.8)


def test_the_distance_to_a_square_contour_is_exact() -> None:
    square = Contour(((0, 0, 5), (10, 0, 5), (10, 10, 5), (0, 10, 5)), SPACE)
    assert distance_to(square, (5, 5, 5)) == pytest.approx(0)
    assert distance_to(square, (13, 5, 5)) == pytest.approx(3)
    assert distance_to(square, (13, 14, 5)) == pytest.approx(5)
    assert distance_to(square, (5, 5, 7)) == pytest.approx(2)
    assert square.diameter == pytest.approx(np.sqrt(200))


def test_the_distance_to_a_box_is_exact() -> None:
    box = Box((0, 0, 0), (10, 10, 10), SPACE)
    assert distance_to(box, (5, 5, 5)) == 0
    assert distance_to(box, (13, 14, 5)) == 5
    assert box.centre == (5, 5, 5)
    assert box.diameter == 10


def test_a_plane_with_spacing_measures_in_millimetres_and_without_in_pixels() -> None:
    with_spacing = OnInstance("1", ImagePlane((100, 100), (0.2, 0.1), "detector"))
    without = OnInstance("1", ImagePlane((100, 100)))
    assert distance(Point((0, 0), with_spacing), Point((30, 80), with_spacing)) == pytest.approx(10.0)
    assert distance(Point((0, 0), without), Point((30, 40), without)) == pytest.approx(50.0)
    assert centre_mm(Point((1, 1), without)) is None
    pixels = np.zeros((100, 100), dtype=bool)
    pixels[10:20, 10:30] = True
    region = MaskRegion(PlaneMask(pixels, with_spacing.plane), with_spacing)
    assert diameter_mm(region) == pytest.approx(2 * np.sqrt(200 * 0.02 / np.pi))


def test_places_in_different_spaces_cannot_be_compared() -> None:
    plane = ImagePlane((10, 10))
    assert distance(Point((0, 0, 0), SPACE), Point((0, 0, 0), PatientSpace("9"))) is None
    assert distance(Point((0, 0), OnInstance("1", plane)), Point((0, 0), OnInstance("1", plane, 2))) is None
    assert distance(Point((0, 0, 0), SPACE), Point((0, 0), OnInstance("1", plane))) is None


def test_coordinates_must_fit_the_space() -> None:
    with pytest.raises(InputError, match="3 finite"):
        Point((1, 2), SPACE)
    with pytest.raises(InputError, match="low to high"):
        Box((1, 1, 1), (0, 2, 2), SPACE)
    with pytest.raises(InputError):
        MaskRegion(
            Mask(np.ones((1, 1, 1), bool), Geometry.axial((1, 1, 1))), OnInstance("1", ImagePlane((1, 1)))
        )
