import json

import numpy as np
import pytest

from coread.core import Geometry, ImagePlane, Inputs, Mask, PlaneMask
from coread.errors import NotApplicableError
from coread.quant.volumetry import Volumetry, region_volume, volume_interval
from coread.testing import check_analyzer
from coread.testing.phantoms import ellipsoid, shell, sphere


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)])
def test_sphere_matches_closed_form(spacing_mm: tuple[float, float, float]) -> None:
    expected_ml = 4 / 3 * np.pi * 20.0**3 / 1000
    assert region_volume(sphere(20.0, spacing_mm)).value == pytest.approx(expected_ml, rel=0.01)


def test_ellipsoid_and_shell_match_closed_forms() -> None:
    assert region_volume(ellipsoid((10, 15, 20), (0.5, 0.5, 0.5))).value == pytest.approx(4 * np.pi, rel=0.01)
    assert region_volume(shell(15, 20, (0.5, 0.5, 0.5))).value == pytest.approx(
        4 / 3 * np.pi * (20**3 - 15**3) / 1000, rel=0.01
    )


def test_a_sheared_stack_keeps_its_volume() -> None:
    affine = np.array(Geometry.axial((10, 10, 10), (5.0, 1.0, 1.0)).affine)
    affine[1, 0] = 2.0  # gantry tilt
    mask = Mask(np.ones((10, 10, 10), dtype=bool), Geometry((10, 10, 10), affine))
    assert region_volume(mask).value == 5.0


def test_reference_spheres_count_exactly(shared) -> None:
    folder = shared / "quant" / "measures" / "phantoms"
    data = np.load(folder / "spheres.npz")
    labels = next(data[name] for name in data.files if data[name].ndim == 3)
    for ball in json.loads((folder / "truth.json").read_text())["spheres"]["spheres"]:
        grid = Geometry.axial(labels.shape, (2.5, 0.7, 0.7))
        volume = region_volume(Mask(labels == ball["label"], grid))
        assert volume.value * 1000 == pytest.approx(ball["voxel_mm3"], rel=1e-9)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.5, 0.7, 0.7)])
def test_the_interval_of_a_sphere_is_its_surface_times_half_a_voxel(
    spacing_mm: tuple[float, float, float],
) -> None:
    ball = sphere(20.0, spacing_mm)
    interval, volume = volume_interval(ball), region_volume(ball).value
    surface_mm2, voxel_mm = 4 * np.pi * 20.0**2, np.mean(spacing_mm)
    assert interval.high - volume == pytest.approx(0.95 * surface_mm2 * voxel_mm / 2 / 1000, rel=0.02)
    assert volume - interval.low == pytest.approx(interval.high - volume)
    assert interval.low < 4 / 3 * np.pi * 20.0**3 / 1000 < interval.high
    speck = Mask(np.ones((1, 1, 1), dtype=bool), Geometry.axial((1, 1, 1)))
    assert volume_interval(speck).low == 0.0  # a single voxel may be almost nothing


def test_each_region_is_measured_and_named() -> None:
    result = Volumetry().analyze(Inputs(masks={"b": sphere(5.0), "a": sphere(10.0)}))
    assert [m.flags for m in result.measurements] == [("region a",), ("region b",)]
    assert result.measurements[0].quantity.value > result.measurements[1].quantity.value


def test_an_empty_region_has_no_volume_and_a_warning() -> None:
    grid = Geometry.axial((2, 2, 2))
    result = Volumetry().analyze(Inputs(masks={"none": Mask(np.zeros((2, 2, 2), dtype=bool), grid)}))
    assert result.measurements[0].quantity.value == 0.0
    assert result.notes[0].code == "empty-region"


def test_a_region_on_a_projection_is_not_for_it() -> None:
    flat = PlaneMask(np.ones((2, 2), dtype=bool), ImagePlane((2, 2)))
    with pytest.raises(NotApplicableError, match="segmented region"):
        Volumetry().analyze(Inputs(masks={"flat": flat}))


def test_it_conforms() -> None:
    assert check_analyzer(Volumetry(), Inputs(masks={"ball": sphere(8.0, (2.0, 1.0, 1.0))}))
