from dataclasses import replace

import numpy as np
import pytest

from coread.acquisition.image_quality import ImageQuality, clipped_part, global_noise
from coread.core import Acquisition, Geometry, Image, ImagePlane, Inputs, Volume
from coread.core.vocabulary import EXPOSURE_CLIPPING, IMAGE_NOISE
from coread.errors import NotApplicableError
from coread.testing import check_analyzer
from coread.testing.phantoms import water_cylinder


def _codes(volumes=None, images=None) -> set[str]:
    result = ImageQuality().analyze(Inputs(volumes=volumes or {}, images=images or {}))
    return {note.code for note in result.notes}


def _film(values: np.ndarray) -> Image:
    return Image(values, ImagePlane(values.shape), "stored", Acquisition("DX"), "2.25.3")


def _chest_like(rng: np.random.Generator) -> np.ndarray:
    return np.clip(rng.normal(2000, 500, (200, 200)), 1, 4094).astype(np.uint16)


@pytest.mark.parametrize("noise", [5.0, 12.0, 30.0])
@pytest.mark.parametrize("spacing", [(5.0, 1.0, 1.0), (2.5, 0.7, 0.7)])
def test_noise_is_the_standard_deviation_that_was_put_in(noise: float, spacing) -> None:
    volume = water_cylinder(80.0, spacing_mm=spacing, noise_hu=noise, rng=np.random.default_rng(1))
    assert global_noise(volume) == pytest.approx(noise, rel=0.03)


def test_noise_of_the_reference_phantom(shared) -> None:
    data = np.load(shared / "quant" / "measures" / "phantoms" / "ct_quality.npz")
    hu = data["hu_x16"] / 16.0
    grid = Geometry.axial(hu.shape, (5.0, 0.5, 0.5))
    volume = Volume(hu.astype(np.float32), grid, "HU", Acquisition("CT"))
    assert global_noise(volume) == pytest.approx(10.56, rel=0.02)


def test_noise_without_soft_tissue_is_unknown() -> None:
    volume = water_cylinder(80.0)
    assert global_noise(volume.with_values(np.full_like(volume.values, -1000))) is None


def test_a_good_scan_has_a_noise_and_no_warning() -> None:
    volume = water_cylinder(90.0, noise_hu=10.0, rng=np.random.default_rng(0))
    result = ImageQuality().analyze(Inputs(volumes={"ct": volume}))
    assert [m.concept for m in result.measurements] == [IMAGE_NOISE]
    assert result.measurements[0].quantity.unit == "[hnsf'U]"
    assert result.notes == ()


def test_a_noisy_scan_is_noted() -> None:
    volume = water_cylinder(90.0, noise_hu=60.0, rng=np.random.default_rng(0))
    assert _codes({"ct": volume}) == {"noisy"}


def test_shifted_air_is_noted() -> None:
    volume = water_cylinder(90.0, noise_hu=8.0, rng=np.random.default_rng(0))
    assert _codes({"ct": volume.with_values(volume.values + 60.0)}) == {"air-calibration"}


def test_padding_is_not_taken_for_air() -> None:
    volume = water_cylinder(90.0, noise_hu=8.0, rng=np.random.default_rng(0))
    padded = volume.values.copy()
    padded[:, :8] = padded[:, :, :8] = padded[:, :, -8:] = -1100.0
    assert "air-calibration" not in _codes({"ct": volume.with_values(padded)})


def test_empty_and_repeated_slices_are_noted() -> None:
    volume = water_cylinder(90.0, noise_hu=8.0, rng=np.random.default_rng(0))
    values = volume.values.copy()
    values[2] = -1000.0
    values[5] = values[4]
    assert _codes({"ct": volume.with_values(values)}) == {"empty-slices", "repeated-slices"}


def test_gaps_between_slices_are_noted() -> None:
    volume = water_cylinder(90.0, spacing_mm=(10.0, 1.0, 1.0))
    values = volume.values + np.random.default_rng(0).normal(0, 5, volume.values.shape)
    thin = replace(
        volume,
        values=values.astype(np.float32),
        acquisition=Acquisition("CT", slice_thickness_mm=1.25),
    )
    assert _codes({"ct": thin}) == {"gaps"}


@pytest.mark.parametrize("lost", [1, 3])
def test_slices_missing_inside_a_series_are_counted(lost: int) -> None:
    whole = water_cylinder(90.0, shape=(20, 220, 220), noise_hu=8.0, rng=np.random.default_rng(0))
    grid = whole.geometry
    parts = {}
    for name, rows in (("a", slice(0, 8)), ("b", slice(8 + lost, 20))):
        values = whole.values[rows]
        origin = tuple(grid.to_patient((rows.start, 0, 0)))
        parts[name] = replace(
            whole,
            values=values,
            geometry=Geometry.axial(values.shape, grid.spacing_mm, origin),
            series="2.25.5",
        )
    result = ImageQuality().analyze(Inputs(volumes=parts))
    assert [note.text[0] for note in result.notes if note.code == "missing-slices"] == [str(lost)]
    apart = {key: replace(part, series=key) for key, part in parts.items()}
    assert _codes(apart) == set()


def test_clipping_counts_both_ends() -> None:
    values = np.arange(1000).reshape(20, 50)
    values[values < 300] = 0
    values[values > 949] = 999
    lowest, highest = clipped_part(_film(values))
    assert (lowest, highest) == pytest.approx((0.3, 0.05))


def test_a_film_that_is_too_bright_dark_or_flat_is_noted() -> None:
    good = _chest_like(np.random.default_rng(0))
    assert _codes(images={"film": _film(good)}) == set()
    assert _codes(images={"film": _film(np.minimum(good, 2300))}) == {"clipped-bright"}
    assert _codes(images={"film": _film(np.maximum(good, 2100))}) == {"clipped-dark"}
    flat = (2000 + (good % 50)).astype(np.uint16)
    flat[0, :2] = 0, 4095
    assert _codes(images={"film": _film(flat)}) == {"low-contrast"}
    assert _codes(images={"film": _film(np.zeros((9, 9), dtype=np.uint16))}) == {"empty-image"}


def test_a_film_has_its_clipping_measured() -> None:
    result = ImageQuality().analyze(Inputs(images={"film": _film(_chest_like(np.random.default_rng(0)))}))
    measured = result.measurements[0]
    assert (measured.concept, measured.quantity.unit) == (EXPOSURE_CLIPPING, "%")
    assert measured.source_instances == ("2.25.3",)


def test_other_pictures_are_not_for_it() -> None:
    picture = Image(np.zeros((4, 4, 3), dtype=np.uint8), ImagePlane((4, 4)), "stored", Acquisition("US"))
    with pytest.raises(NotApplicableError):
        ImageQuality().analyze(Inputs(images={"us": picture}))


def test_it_conforms() -> None:
    volume = water_cylinder(90.0, noise_hu=8.0, rng=np.random.default_rng(0))
    film = _film(_chest_like(np.random.default_rng(0)))
    assert check_analyzer(ImageQuality(), Inputs(volumes={"ct": volume}), Inputs(images={"film": film}))
