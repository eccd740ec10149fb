import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from scipy import stats

from coread.core import Acquisition, Geometry, Inputs, Volume
from coread.core import vocabulary as words
from coread.errors import InputError, NotApplicableError
from coread.quant.lung_ct import LungCt, emphysema_probability, lung_density
from coread.quant.lung_segmentation import AIRWAYS, LEFT, RIGHT, segment_lungs
from coread.testing import check_analyzer
from coread.testing.demo import Scanner, simulate_ct
from coread.testing.thorax import Nodule, Thorax, VoxelThorax, voxelise

CHEST = Acquisition("CT", "CHEST", simulated=True)


def _scan(thorax: Thorax, shape: tuple[int, int, int], spacing: tuple[float, float, float], seed: int = 0):
    body = voxelise(thorax, shape=shape, spacing_mm=spacing)
    hu = simulate_ct(
        body.hu, pixel_mm=spacing[1], rng=np.random.default_rng(seed), scanner=Scanner(views=300)
    )
    return body, Volume(hu, Geometry.axial(shape, spacing, body.origin_mm), "HU", CHEST, "2.25.7")


@pytest.fixture(scope="module")
def ill() -> tuple[VoxelThorax, Volume]:
    nodule = Nodule(centre_mm=(-80.0, 12.0, 38.0), diameter_mm=14.0)
    return _scan(Thorax(emphysema=0.85, nodules=(nodule,), seed=3), (58, 400, 400), (5.0, 0.95, 0.95))


@pytest.fixture(scope="module")
def well() -> tuple[VoxelThorax, Volume]:
    return _scan(Thorax(sex="F", seed=8), (56, 160, 160), (5.0, 2.4, 2.4))


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("who", ["ill", "well"])
def test_lungs_match_the_phantom(who: str, request: pytest.FixtureRequest) -> None:
    body, volume = request.getfixturevalue(who)
    labels = segment_lungs(volume)
    for label, side in ((RIGHT, "right"), (LEFT, "left")):
        assert _dice(labels == label, body.lung(side)) >= 0.97
        assert (labels == label).sum() == pytest.approx(body.lung(side).sum(), rel=0.03)


def test_airways_lie_in_the_airways_of_the_phantom(ill: tuple[VoxelThorax, Volume]) -> None:
    body, volume = ill
    found = segment_lungs(volume) == AIRWAYS
    assert (found & (body.label == AIRWAYS)).sum() / found.sum() > 0.85
    # windpipe and main bronchi are found whole; the thin ones in the lungs are not resolved at 5 mm
    x0, _, z0 = body.origin_mm
    first, side = round((8.0 - z0) / 5.0), round((-28.0 - x0) / 0.95)
    central = np.s_[first:, :, side : found.shape[2] - side]
    assert _dice(found[central], body.label[central] == AIRWAYS) > 0.9


def test_a_solid_nodule_belongs_to_the_lung(ill: tuple[VoxelThorax, Volume]) -> None:
    body, volume = ill
    assert (segment_lungs(volume)[body.label == 4] == RIGHT).mean() > 0.98


def test_densities_match_the_phantom(ill: tuple[VoxelThorax, Volume]) -> None:
    body, volume = ill
    result = LungCt().analyze(Inputs(volumes={"ct": volume}))
    lung = body.lung()
    truth = 100 * body.low_attenuation().sum() / lung.sum()
    found = {(m.concept, m.site): m for m in result.measurements}
    assert found[words.LAA_950, words.LUNG].quantity.value == pytest.approx(truth, abs=1.0)
    assert found[words.PERC_15, words.LUNG].quantity.value == pytest.approx(
        np.percentile(body.hu[lung], 15), abs=8.0
    )
    assert found[words.MEAN_LUNG_DENSITY, words.LUNG].quantity.value == pytest.approx(
        body.hu[lung].mean(), abs=10.0
    )
    assert {m.quantity.unit for m in result.measurements} == {"mL", "%", "[hnsf'U]"}
    interval = found[words.LAA_950, words.LUNG].interval
    assert interval is not None
    assert interval.high - interval.low == pytest.approx(2 * 3.7 / np.sqrt(2))


def test_emphysema_is_found_where_it_is(ill: tuple[VoxelThorax, Volume]) -> None:
    body, volume = ill
    result = LungCt().analyze(Inputs(volumes={"ct": volume}))
    finding = result.findings[0]
    assert (finding.concept, finding.status) == (words.EMPHYSEMA, "present")
    assert finding.probability is not None
    assert finding.probability.value > 0.99
    assert not finding.probability.calibrated
    low = body.low_attenuation()
    assert _dice(finding.region.mask.voxels, low) > 0.8
    shown = result.maps[0].values
    assert np.nansum(shown[low]) / low.sum() > 0.85
    assert np.isnan(shown[0, 0, 0])
    assert finding.laterality == words.BILATERAL


def test_a_healthy_lung_has_no_emphysema(well: tuple[VoxelThorax, Volume]) -> None:
    finding = LungCt().analyze(Inputs(volumes={"ct": well[1]})).findings[0]
    assert finding.status == "absent"
    assert finding.probability is not None
    assert finding.probability.value < 0.05


def test_too_much_noise_is_no_opinion_with_a_note(well: tuple[VoxelThorax, Volume]) -> None:
    volume = well[1]
    noisy = volume.values + np.random.default_rng(0).normal(0, 70, volume.values.shape)
    result = LungCt().analyze(Inputs(volumes={"ct": volume.with_values(noisy.astype(np.float32))}))
    assert result.findings[0].status == "no_opinion"
    assert [note.code for note in result.notes if note.kind == "gate"] == ["noise"]


def test_contrast_and_thick_slices_are_noted(well: tuple[VoxelThorax, Volume]) -> None:
    given = replace(well[1], acquisition=replace(CHEST, contrast=True))
    result = LungCt().analyze(Inputs(volumes={"ct": given}))
    assert {"contrast", "thick-slices"} <= {note.code for note in result.notes}


def test_it_conforms(well: tuple[VoxelThorax, Volume]) -> None:
    assert check_analyzer(LungCt(), Inputs(volumes={"ct": well[1]}))


def test_an_oblique_grid_gives_the_same_lungs(well: tuple[VoxelThorax, Volume]) -> None:
    volume = well[1]
    angle = np.deg2rad(20.0)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned = replace(volume, geometry=Geometry(volume.geometry.shape, turn @ volume.geometry.affine))
    assert np.array_equal(segment_lungs(turned), segment_lungs(volume))


def test_of_two_series_the_finer_one_is_measured(well: tuple[VoxelThorax, Volume]) -> None:
    volume = well[1]
    coarse = replace(
        volume,
        values=volume.values[::2],
        geometry=Geometry.axial((28, 160, 160), (10.0, 2.4, 2.4), tuple(volume.geometry.affine[:3, 3])),
    )
    result = LungCt().analyze(Inputs(volumes={"a": coarse, "b": volume}))
    assert result.labels[0].grid.shape == volume.geometry.shape


def _refused(volume: Volume, words: str) -> None:
    with pytest.raises(NotApplicableError, match=words):
        LungCt().analyze(Inputs(volumes={"ct": volume}))


def test_what_is_no_chest_is_refused_with_the_reason(well: tuple[VoxelThorax, Volume]) -> None:
    volume = well[1]
    _refused(replace(volume, unit="stored"), "CT in stored")
    _refused(replace(volume, acquisition=Acquisition("MR")), "MR in HU")
    grid = volume.geometry
    part = Geometry.axial((10, 160, 160), (5.0, 2.4, 2.4))
    _refused(replace(volume, values=volume.values[20:30], geometry=part), "10 slices")
    upper = Geometry.axial((40, 160, 160), (5.0, 2.4, 2.4))
    _refused(replace(volume, values=volume.values[:40], geometry=upper), "lungs are cut")
    _refused(volume.with_values(np.full(grid.shape, 40, dtype=np.int16)), "no lungs")
    one = volume.values.copy()
    one[:, :, 80:] = np.maximum(one[:, :, 80:], 30)  # the left half is solid
    _refused(volume.with_values(one), "no two lungs|field of view")


def test_a_head_is_refused() -> None:
    z, y, x = np.meshgrid(
        np.linspace(-90, 90, 60), np.linspace(-110, 110, 110), np.linspace(-110, 110, 110), indexing="ij"
    )
    r = np.sqrt((x / 75) ** 2 + (y / 95) ** 2 + (z / 85) ** 2)
    head = np.where(r < 0.92, 35.0, np.where(r < 1.0, 900.0, -1000.0))
    sinus = np.sqrt(((np.abs(x) - 25) / 16) ** 2 + ((y + 60) / 16) ** 2 + ((z + 50) / 18) ** 2) < 1
    head[sinus] = -1000.0
    grid = Geometry.axial(head.shape, (3.0, 2.0, 2.0))
    _refused(Volume(head.astype(np.int16), grid, "HU", Acquisition("CT", "HEAD")), "no lungs")


def test_density_follows_the_reference_phantom(shared) -> None:
    folder = shared / "quant" / "measures" / "phantoms"
    truth = json.loads((folder / "truth.json").read_text())["emphysema"]
    data = np.load(folder / "emphysema.npz")
    hu = next(data[n] for n in data.files if "hu" in n.lower())
    lung = next(data[n] for n in data.files if "hu" not in n.lower()).astype(bool)
    density = lung_density(hu, lung)
    assert density.laa_950 == pytest.approx(truth["LAA_950_percent"], rel=1e-12)
    assert density.perc15_hu == pytest.approx(truth["perc15_hu"])


def test_an_empty_region_has_no_density() -> None:
    with pytest.raises(InputError, match="empty"):
        lung_density(np.zeros(3), np.zeros(3, dtype=bool))


@pytest.mark.parametrize("threshold", [5.0, 6.0])
def test_the_probability_is_the_tail_of_the_repeatability(threshold: float) -> None:
    deviation = 3.7 / (1.96 * np.sqrt(2))
    for laa in (0.0, 4.0, 5.5, 9.0):
        expected = stats.norm(laa, deviation).sf(threshold)
        assert emphysema_probability(laa, threshold=threshold) == pytest.approx(expected)


def _nifti(path) -> Volume:
    image = nibabel.load(path)
    values = np.asarray(image.dataobj).transpose(2, 1, 0)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    affine = affine[:, [2, 1, 0, 3]]
    return Volume(values, Geometry(values.shape, affine), "HU", Acquisition("CT", "CHEST"), "2.25.9")


@pytest.mark.parametrize(
    "name", ["lidc_ct/LIDC-IDRI-0001", "lidc_ct/LIDC-IDRI-0002", "lung_pet_ct_dx/Lung_Dx-A0001"]
)
def test_real_chests_give_plausible_lungs(name: str, shared) -> None:
    volume = _nifti(shared / "images" / "chest" / f"{name}_ct.nii.gz")
    labels = segment_lungs(volume)
    ml = volume.geometry.voxel_volume_mm3 / 1000
    right, left, airways = ((labels == n).sum() * ml for n in (RIGHT, LEFT, AIRWAYS))
    # adults at full inspiration: 3 to 8 L in all, the right lung the larger, 20 to 100 mL of airways
    assert 3000 < right + left < 8000
    assert 0.5 < right / (right + left) < 0.62
    assert 20 < airways < 100
    density = lung_density(volume.values, (labels == RIGHT) | (labels == LEFT))
    assert -900 < density.mean_hu < -750
    x = volume.geometry.to_patient(np.argwhere(labels == RIGHT)).mean(axis=0)[0]
    assert x < volume.geometry.to_patient(np.argwhere(labels == LEFT)).mean(axis=0)[0]


@pytest.mark.parametrize("number", ["0001", "0002"])
def test_marked_nodules_lie_in_the_lungs(number: str, shared) -> None:
    folder = shared / "images" / "chest" / "lidc_ct"
    labels = segment_lungs(_nifti(folder / f"LIDC-IDRI-{number}_ct.nii.gz"))
    nodules = np.asarray(nibabel.load(folder / f"LIDC-IDRI-{number}_nodules.nii.gz").dataobj)
    nodules = nodules.transpose(2, 1, 0) > 0
    assert nodules.any()
    assert np.isin(labels[nodules], (RIGHT, LEFT)).mean() > 0.85


def test_a_slab_of_a_real_chest_is_refused(shared) -> None:
    _refused(_nifti(shared / "images" / "chest" / "lidc_ct" / "LIDC-IDRI-0003_ct.nii.gz"), "11 slices")
