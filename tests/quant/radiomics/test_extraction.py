"""Extraction: closed forms, regions of every kind, grids, threads, the analyzer."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from numpy.typing import NDArray

from coread.core import (
    Acquisition,
    CodedConcept,
    Geometry,
    Image,
    ImagePlane,
    Inputs,
    LabelMap,
    Mask,
    PlaneMask,
    Volume,
)
from coread.errors import GeometryError, InputError, NotApplicableError
from coread.quant.radiomics import Discretisation, Radiomics, Settings, extract, extract_arrays, preset
from coread.quant.radiomics.filters import LaplacianOfGaussian, SeparableWavelet
from coread.quant.radiomics.spectral import NonseparableWavelet
from coread.testing.conformance import check_analyzer
from coread.workflow.analyzers import read_card

_ALL = replace(
    preset("ibsi-phantom"),
    discretisation=Discretisation(bin_count=8),
    volume_histogram=Discretisation(bin_count=100),
)
_SPACING = (2.0, 1.0, 1.0)


def _scene(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    image = rng.normal(60, 20, (12, 24, 26)).round()
    k, j, i = np.indices(image.shape)
    mask = ((k - 6) / 4) ** 2 + ((j - 12) / 8) ** 2 + ((i - 13) / 9) ** 2 <= 1
    return image, mask


def _volume(image: NDArray[np.float64], geometry: Geometry | None = None) -> Volume:
    geometry = geometry or Geometry.axial(image.shape, _SPACING)
    return Volume(image.astype(np.float32), geometry, "HU", Acquisition("CT"), "1.2.3")


def test_ellipsoid_has_its_closed_form() -> None:
    k, j, i = np.indices((60, 70, 80))
    mask = ((k - 30) / 20) ** 2 + ((j - 35) / 25) ** 2 + ((i - 40) / 30) ** 2 <= 1
    table = extract_arrays(
        np.zeros(mask.shape),
        {"e": mask},
        (1, 1, 1),
        Settings(families=("morphology",), autocorrelation=False),
    )
    assert table.value("morph_vol") == pytest.approx(4 / 3 * np.pi * 20 * 25 * 30, rel=0.01)
    assert table.value("morph_pca_major") == pytest.approx(4 * 30 / np.sqrt(5), rel=0.01)
    assert table.value("morph_pca_least") == pytest.approx(4 * 20 / np.sqrt(5), rel=0.01)
    assert table.value("morph_diam") == pytest.approx(61, abs=0.5)


def test_a_box_fills_its_hull() -> None:
    mask = np.zeros((8, 9, 10), bool)
    mask[2:6, 1:8, 3:9] = True
    wanted = Settings(families=("morphology",), autocorrelation=False)
    table = extract_arrays(np.zeros(mask.shape), {"b": mask}, _SPACING, wanted)
    assert table.value("morph_v_dens_conv_hull") == pytest.approx(1)
    assert table.value("morph_a_dens_conv_hull") == pytest.approx(1)
    assert table.value("morph_approx_vol") == 2.0 * 4 * 7 * 6


def test_statistics_follow_an_affine_change_of_intensity() -> None:
    image, mask = _scene()
    one = extract_arrays(image, {"r": mask}, _SPACING, _ALL)
    other = extract_arrays(3 * image + 7, {"r": mask}, _SPACING, _ALL)
    mean, variance = one.value("stat_mean"), one.value("stat_var")
    assert mean is not None
    assert variance is not None
    assert other.value("stat_mean") == pytest.approx(3 * mean + 7)
    assert other.value("stat_var") == pytest.approx(9 * variance)
    # Levels by bin count don't change, nor does what is computed from them.
    for item, same in zip(one, other, strict=True):
        if item.family in ("glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm", "histogram"):
            assert same.value == item.value, item


@pytest.mark.parametrize("axes", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_volumetric_features_do_not_depend_on_how_axes_are_stored(axes: tuple[int, int, int]) -> None:
    image, mask = _scene(1)
    volumetric = replace(_ALL, aggregations=("3d_avg", "3d_v_mrg", "3d"))
    one = extract_arrays(image, {"r": mask}, _SPACING, volumetric)
    turned = extract_arrays(
        np.flip(image.transpose(axes), 1),
        {"r": np.flip(mask.transpose(axes), 1)},
        tuple(_SPACING[a] for a in axes),  # type: ignore[arg-type]
        volumetric,
    )
    for item, same in zip(one, turned, strict=True):
        assert same.value == pytest.approx(item.value, rel=1e-9, abs=1e-9), item


@given(st.integers(0, 1000))
@tries(max_examples=10, deadline=None)
def test_entropies_and_shares_keep_their_bounds(seed: int) -> None:
    image, mask = _scene(seed)
    table = extract_arrays(image, {"r": mask}, _SPACING, _ALL)
    for item in table:
        assert item.value is not None, item
        if item.feature in (
            "cm_energy",
            "cm_corr",
            "rlm_glnu_norm",
            "ih_uniformity",
            "ivh_v10",
            "ngl_dc_perc",
        ):
            assert -1 <= item.value <= 1, item
        if item.feature.endswith("entr"):
            assert item.value >= 0, item


def test_results_are_equal_to_the_last_bit_at_any_number_of_threads() -> None:
    image, mask = _scene(2)
    regions = {f"r{n}": np.roll(mask, n, axis=2) for n in range(5)}
    wanted = replace(
        _ALL,
        spacing_mm=(1.5, 1.5, 1.5),
        filters=(LaplacianOfGaussian(sigma_mm=1.0), NonseparableWavelet()),
    )
    one = extract_arrays(image, regions, _SPACING, wanted, jobs=1)
    for jobs in (2, 5):
        assert extract_arrays(image, regions, _SPACING, wanted, jobs=jobs).features == one.features


def test_regions_of_a_label_map_are_those_of_masks() -> None:
    image, mask = _scene(3)
    labels = mask.astype(np.uint16)
    labels[:, :, 13:] *= 7
    concepts = {1: CodedConcept("A", "99X", "left"), 7: CodedConcept("B", "99X", "right")}
    geometry = Geometry.axial(image.shape, _SPACING)
    one = extract(_volume(image), LabelMap(labels, geometry, concepts), _ALL)
    masks = {"left": Mask(labels == 1, geometry), "right": Mask(labels == 7, geometry)}
    other = extract(_volume(image), masks, _ALL)
    assert one.labels == ("left", "right")
    assert one.features == other.features


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "empty_region"),
        ("out of range", "empty_after_resegmentation"),
        ("one voxel", "single_voxel"),
    ],
)
def test_a_region_without_values_says_why(kind: str, reason: str) -> None:
    image, mask = _scene(4)
    if kind == "empty":
        mask = np.zeros_like(mask)
    if kind == "one voxel":
        mask = np.zeros_like(mask)
        mask[3, 4, 5] = True
    wanted = replace(_ALL, intensity_range=(5000.0, 6000.0) if kind == "out of range" else None)
    table = extract_arrays(image, {"r": mask}, _SPACING, wanted)
    missing = [item for item in table if item.value is None]
    assert missing
    assert all(item.reason for item in missing)
    assert all(not item.reason for item in table if item.value is not None)
    assert reason in {item.reason for item in missing}
    if kind == "one voxel":
        assert table.value("stat_mean") == image[3, 4, 5]
        assert table.value("morph_approx_vol") == 2.0
        # An octahedron: its six vertices lie half a step from the centre.
        assert table.value("morph_vol") == pytest.approx(2.0 / 6)


@pytest.mark.filterwarnings("error")
def test_two_voxels_have_no_robust_deviation_and_say_so() -> None:
    image = np.array([[[1.0, 5.0]]])
    table = extract_arrays(image, {"r": np.ones(image.shape, bool)}, _SPACING, _ALL)
    missing = {item.feature for item in table if item.value is None}
    assert {"stat_rmad", "ih_rmad"} <= missing
    assert table.value("stat_mean") == 3


@pytest.mark.parametrize("value", [0.0, 12.0])
def test_a_flat_region_has_the_defined_limits(value: float) -> None:
    _, mask = _scene(5)
    table = extract_arrays(np.full(mask.shape, value), {"r": mask}, _SPACING, _ALL)
    assert table.value("stat_var") == 0
    assert table.value("stat_skew") == 0
    assert table.value("ih_entropy") == 0
    assert table.value("cm_joint_entr", aggregation="3d_v_mrg") == 0
    assert table.value("ngt_coarseness", aggregation="3d") == 1e6
    assert table.value("ngt_contrast", aggregation="3d") == 0
    reasons = {item.feature: item.reason for item in table if item.value is None}
    assert reasons["morph_moran_i"] == "flat_region"
    if value == 0:
        assert reasons["stat_cov"] == "zero_denominator"


def test_one_slice_is_measured_in_space_and_in_its_plane() -> None:
    image, mask = _scene(6)
    table = extract_arrays(image[6:7], {"r": mask[6:7]}, _SPACING, _ALL)
    flat = {item.feature for item in table if item.value is None}
    assert flat == {"morph_v_dens_aee", "morph_a_dens_aee"}
    assert table.value("cm_contrast", aggregation="2d_s_mrg") == pytest.approx(
        table.value("cm_contrast", aggregation="2.5d_v_mrg")
    )


def test_a_projection_is_measured_in_its_plane() -> None:
    image, mask = _scene(7)
    plane = ImagePlane(image.shape[1:], (0.5, 0.5), "detector")
    picture = Image(image[6].astype(np.float32), plane, "stored", Acquisition("DX"))
    table = extract(picture, {"r": PlaneMask(mask[6], plane)}, _ALL)
    space = extract_arrays(image[6:7], {"r": mask[6:7]}, (1.0, 0.5, 0.5), _ALL)
    assert table.value("cm_contrast", aggregation="2d_avg") == space.value(
        "cm_contrast", aggregation="2d_avg"
    )
    assert {item.reason for item in table if item.family == "morphology"} == {"no_third_dimension"}
    unknown = replace(plane, spacing_mm=None, spacing_kind="unknown")
    said = extract(replace(picture, plane=unknown), {"r": PlaneMask(mask[6], unknown)}, _ALL).notes
    assert "pixels" in said["r"][0]


def test_a_mask_on_another_grid_keeps_its_place() -> None:
    image, mask = _scene(8)
    geometry = Geometry.axial(image.shape, _SPACING, (5.0, -3.0, 10.0))
    volume = _volume(image, geometry)
    # The same voxels stored from top to bottom and from left to right.
    affine = np.array(geometry.affine)
    affine[:3, 3] = geometry.to_patient((image.shape[0] - 1, 0, image.shape[2] - 1))
    affine[:3, 0] *= -1
    affine[:3, 2] *= -1
    flipped = Mask(np.ascontiguousarray(mask[::-1, :, ::-1]), Geometry(image.shape, affine))
    one = extract(volume, {"r": Mask(mask, geometry)}, _ALL)
    other = extract(volume, {"r": flipped}, _ALL)
    assert other.features == one.features
    assert one.notes == {}
    assert "brought to the image's grid" in other.notes["r"][0]
    assert "within 0.000 mm" in other.notes["r"][0]
    near = Geometry.axial(image.shape, _SPACING, (5.2, -3.0, 10.0))
    shifted = extract(volume, {"r": Mask(mask, near)}, _ALL)
    assert "up to 0.200 mm apart; voxel centres matched within 0.200 mm" in shifted.notes["r"][0]
    assert shifted.features == one.features


def test_a_sheared_stack_is_measured_and_said_to_be_sheared() -> None:
    image, mask = _scene(8)
    affine = np.array(Geometry.axial(image.shape, _SPACING).affine)
    affine[1, 0] = 2.0 * np.tan(np.radians(15))
    geometry = Geometry(image.shape, affine)
    table = extract(_volume(image, geometry), {"r": Mask(mask, geometry)}, _ALL)
    assert "sheared by 15.0 degrees" in table.notes["r"][0]
    assert table.value("morph_approx_vol") == pytest.approx(np.count_nonzero(mask) * 2.0)


def test_voxels_without_a_number_are_left_out() -> None:
    image, mask = _scene(8)
    holes = np.zeros_like(mask)
    holes[6, 10:13, 10:13] = True
    wanted = replace(_ALL, outlier_sigma=3.0)
    one = extract_arrays(np.where(holes, np.nan, image), {"r": mask}, _SPACING, wanted)
    inside = image[mask & ~holes]
    kept = inside[np.abs(inside - inside.mean()) <= 3 * inside.std()]
    assert one.value("stat_mean") == pytest.approx(kept.mean())
    assert one.value("cm_contrast", aggregation="3d_v_mrg") is not None


def test_a_mask_beside_the_image_is_refused() -> None:
    image, mask = _scene(9)
    away = Geometry.axial(image.shape, _SPACING, (500.0, 0.0, 0.0))
    with pytest.raises(GeometryError, match="outside the image"):
        extract(_volume(image), {"r": Mask(mask, away)}, _ALL)


def test_a_filter_on_a_crop_is_that_on_the_whole_image() -> None:
    image, mask = _scene(10)
    mask = mask & (np.indices(mask.shape)[2] > 14)
    filters = (LaplacianOfGaussian(sigma_mm=1.0), SeparableWavelet(wavelet="db2", bands="LHL", level=2))
    wanted = replace(_ALL, filters=filters, response_families=("statistics",), families=("statistics",))
    table = extract_arrays(image, {"r": mask}, _SPACING, wanted)
    for item in filters:
        response = item.response(image, np.array(_SPACING))
        mean = table.value("stat_mean", filter_code=item.code)
        assert mean == pytest.approx(response[mask].mean(), abs=1e-9)


def test_bins_of_fixed_size_without_a_lower_bound_are_marked() -> None:
    image, mask = _scene(11)
    wanted = replace(_ALL, discretisation=Discretisation(bin_width=5.0))
    flags = {item.family: item.flag for item in extract_arrays(image, {"r": mask}, _SPACING, wanted)}
    assert (flags["glcm"], flags["statistics"]) == ("outside", "ibsi")
    bounded = replace(wanted, intensity_range=(-500.0, None))
    assert {item.flag for item in extract_arrays(image, {"r": mask}, _SPACING, bounded)} == {"ibsi"}


def test_bad_input_is_refused_with_words() -> None:
    image, mask = _scene()
    with pytest.raises(GeometryError, match="mask has shape"):
        extract_arrays(image, {"r": mask[1:]}, _SPACING, _ALL)
    with pytest.raises(GeometryError, match="spacing"):
        extract_arrays(image, {"r": mask}, (0.0, 1.0, 1.0), _ALL)
    with pytest.raises(InputError, match="no grey levels"):
        extract_arrays(image, {"r": mask}, _SPACING, preset("ibsi-phantom"))
    with pytest.raises(InputError, match="larger one"):
        extract_arrays(
            image, {"r": mask}, _SPACING, replace(_ALL, discretisation=Discretisation(bin_width=1e-4))
        )


def test_more_levels_than_a_matrix_can_hold_are_refused() -> None:
    image = np.arange(20.0**3).reshape(20, 20, 20)
    wanted = replace(_ALL, discretisation=Discretisation(bin_width=1.0), families=("glcm",))
    with pytest.raises(InputError, match="larger bin_width"):
        extract_arrays(image, {"r": np.ones(image.shape, bool)}, _SPACING, wanted)


def test_many_levels_give_what_few_would() -> None:
    # Levels far apart are packed; what depends on the level itself must not notice.
    image, mask = _scene(3)
    wide = np.where(image > image.mean(), 2001.0, 1.0)
    wanted = replace(preset("ibsi-phantom"), families=("glcm", "glrlm"), aggregations=("3d_v_mrg",))
    far = extract_arrays(wide, {"r": mask}, _SPACING, wanted)
    near = extract_arrays(np.where(image > image.mean(), 2.0, 1.0), {"r": mask}, _SPACING, wanted)
    for tag, factor in (
        ("cm_contrast", 2000.0**2),
        ("cm_diff_avg", 2000.0),
        ("cm_energy", 1.0),
        ("rlm_sre", 1.0),
    ):
        value = near.value(tag, aggregation="3d_v_mrg")
        assert value is not None
        assert far.value(tag, aggregation="3d_v_mrg") == pytest.approx(value * factor)


def test_tables_have_the_columns_of_the_documentation() -> None:
    image, mask = _scene()
    table = extract_arrays(image, {"a": mask, "b": mask}, _SPACING, _ALL, case="c1")
    frame = table.frame()
    assert list(frame.columns[:10]) == [
        "case", "label", "family", "feature", "ibsi_id", "aggregation", "discretisation", "filter",
        "value", "reason",
    ]  # fmt: skip
    assert len(frame) == 2 * 482
    wide = table.wide()
    assert wide.shape == (2, 484)
    assert wide.loc[0, "cm_contrast.3d_avg.FBN8"] == table.value(
        "cm_contrast", label="a", aggregation="3d_avg"
    )


def test_the_analyzer_keeps_what_the_platform_promises() -> None:
    image, mask = _scene(12)
    geometry = Geometry.axial(image.shape, (3.0, 1.5, 1.5))
    inputs = Inputs(volumes={"v": _volume(image, geometry)}, masks={"tumour": Mask(mask, geometry)})
    card = read_card("coread.quant.radiomics:Radiomics")
    assert check_analyzer(Radiomics(), inputs, card=card)
    result = Radiomics(replace(preset("ct-default"), spacing_mm=None)).analyze(inputs)
    mean = next(m for m in result.measurements if m.concept.value == "Q4LE")
    assert mean.quantity.unit == "[hnsf'U]"
    assert mean.quantity.value == pytest.approx(image[mask].mean())
    assert all(math.isfinite(m.quantity.value) for m in result.measurements)
    elsewhere = Mask(mask, Geometry.axial(image.shape, (2.0, 2.0, 2.0), (900.0, 0.0, 0.0)))
    with pytest.raises(NotApplicableError):
        Radiomics().analyze(Inputs(volumes=inputs.volumes, masks={"tumour": elsewhere}))
