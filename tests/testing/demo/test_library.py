import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from coread.core import Acquisition, Geometry, Inputs, Volume
from coread.errors import InputError
from coread.quant.lung_ct import LungCt
from coread.testing.demo import DemoLibrary, make_demo_library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> DemoLibrary:
    return make_demo_library(tmp_path_factory.mktemp("demo"), quick=True)


@pytest.fixture(scope="module")
def truth(library: DemoLibrary) -> dict:
    found = json.loads(library.truth.read_text(encoding="utf-8"))
    return {entry["key"].removesuffix("-quick"): entry for entry in found["studies"]}


def _files(library: DemoLibrary, entry: dict) -> list[Path]:
    return sorted((library.dicom.parent / entry["folder"]).iterdir())


def test_every_file_is_dicom_and_says_that_it_is_simulated(library: DemoLibrary) -> None:
    files = [path for path in library.dicom.rglob("*") if path.is_file()]
    assert len(files) == 3 * 56 + 3
    for path in files:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert "SIMULATED" in header.ImageType
        assert str(header.PatientName).startswith("SIMULATED^")
        for name in ("ImageComments", "SeriesDescription", "StudyDescription", "InstitutionName"):
            assert "SIMULATED" in header[name].value
        assert header.Manufacturer == "CoRead simulator"
        assert header.BurnedInAnnotation == "NO"


def test_dciodvfy_finds_no_error(library: DemoLibrary) -> None:
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("needs dciodvfy: install the package dicom3tools")
    folders = sorted({path.parent for path in library.dicom.rglob("*.dcm")})
    assert len(folders) == 6
    for folder in folders:
        for path in (min(folder.iterdir()), max(folder.iterdir())):
            done = subprocess.run([program, "-new", path], capture_output=True, check=False)
            words = done.stderr.decode("latin-1")
            assert "Error" not in words, f"{path.name}: {words}"


def test_uids_are_unique_valid_and_made_from_the_seed(library: DemoLibrary, truth: dict) -> None:
    instances = [
        pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in library.dicom.rglob("*.dcm")
    ]
    assert len(set(instances)) == len(instances)
    assert all(uid.is_valid and uid.startswith("2.25.") and len(uid) <= 64 for uid in instances)
    assert set(library.studies) == {entry["study"] for entry in truth.values()}
    assert library.studies[0] == truth["d-prior"]["study"]  # the oldest


def test_turkish_names_read_back_in_both_character_sets(library: DemoLibrary, truth: dict) -> None:
    for key, charset, name in (
        ("b", "ISO_IR 148", "SIMULATED^Ayşegül Işık"),
        ("d", "ISO_IR 192", "SIMULATED^Çiğdem Şahin"),
    ):
        path = _files(library, truth[key])[0]
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert header.SpecificCharacterSet == charset
        assert str(header.PatientName) == name
        encoding = {"ISO_IR 148": "iso8859-9", "ISO_IR 192": "utf-8"}[charset]
        assert name.encode(encoding) in path.read_bytes()


def test_a_monochrome1_film_shows_the_same_chest(library: DemoLibrary, truth: dict) -> None:
    pictures = {}
    for key in ("d", "d-prior"):
        dataset = pydicom.dcmread(_files(library, truth[key])[0])
        pictures[dataset.PhotometricInterpretation] = dataset.pixel_array.astype(float)
    assert set(pictures) == {"MONOCHROME1", "MONOCHROME2"}
    turned = 4095.0 - pictures["MONOCHROME1"]
    assert np.corrcoef(turned.ravel(), pictures["MONOCHROME2"].ravel())[0, 1] > 0.95
    entry = truth["d"]["consolidation"]
    row, column = (round(x) for x in entry["centre_row_column"])
    change = pictures["MONOCHROME2"] - turned
    assert change[row - 10 : row + 10, column - 10 : column + 10].mean() > 300


def test_slices_lie_where_their_headers_say(library: DemoLibrary, truth: dict) -> None:
    entry = truth["a"]
    sets = [pydicom.dcmread(path) for path in _files(library, entry)]
    sets.sort(key=lambda d: d.ImagePositionPatient[2])
    steps = np.diff([d.ImagePositionPatient[2] for d in sets])
    assert steps == pytest.approx(np.full(len(steps), entry["spacing_mm"][0]), abs=1e-3)
    hu = np.stack([d.pixel_array * d.RescaleSlope + d.RescaleIntercept for d in sets])
    nodule = entry["nodules"][0]
    x, y, z = nodule["centre_mm"]
    x0, y0, z0 = (float(v) for v in sets[0].ImagePositionPatient)
    spacing = [float(v) for v in sets[0].PixelSpacing]
    k, j, i = round((z - z0) / steps[0]), round((y - y0) / spacing[0]), round((x - x0) / spacing[1])
    assert hu[k, j, i] > -250  # solid, half a voxel of partial volume allowed
    assert np.median(hu[k, j - 12 : j + 13, i - 12 : i + 13]) < -700


def test_the_larger_nodule_doubled_in_the_time_that_the_truth_gives(truth: dict) -> None:
    before, now = (truth[key]["nodules"][0]["volume_mm3"] for key in ("a-prior", "a"))
    assert now / before == pytest.approx((11.0 / 8.0) ** 3)
    assert truth["a"]["laa_950_percent"] > 10 > 1 > truth["b"]["laa_950_percent"]


def test_lung_ct_finds_the_truth_in_the_written_files(library: DemoLibrary, truth: dict) -> None:
    entry = truth["a"]
    sets = sorted(
        (pydicom.dcmread(p) for p in _files(library, entry)), key=lambda d: d.ImagePositionPatient[2]
    )
    hu = np.stack([d.pixel_array.astype(np.int16) - 1024 for d in sets])
    origin = tuple(float(v) for v in sets[0].ImagePositionPatient)
    grid = Geometry.axial(hu.shape, tuple(entry["spacing_mm"]), origin)
    volume = Volume(hu, grid, "HU", Acquisition("CT", "CHEST"), entry["frame_of_reference"])
    result = LungCt().analyze(Inputs(volumes={"ct": volume}))
    assert result.findings[0].status == "present"
    centre = result.findings[0].region.centre
    assert np.linalg.norm(np.subtract(centre, entry["low_attenuation_centre_mm"])) < 5.0
    # the scanner blurs such large pixels: compare with the scan inside the true lungs
    label = np.load(library.truth.parent / entry["masks"], allow_pickle=False)["label"]
    scanned = 100 * (hu[np.isin(label, (1, 2, 4))] < -950).mean()
    assert result.measurements[0].quantity.value == pytest.approx(scanned, abs=0.5)


def test_the_masks_beside_it_are_those_of_the_truth(library: DemoLibrary, truth: dict) -> None:
    entry = truth["a"]
    data = np.load(library.truth.parent / entry["masks"], allow_pickle=False)
    lung = np.isin(data["label"], (1, 2, 4))
    low = np.unpackbits(data["low_attenuation"])[: lung.size].reshape(lung.shape).astype(bool)
    assert 100 * low.sum() / lung.sum() == pytest.approx(entry["laa_950_percent"])
    voxel_ml = np.prod(entry["spacing_mm"]) / 1000
    assert (data["label"] == 1).sum() * voxel_ml == pytest.approx(entry["volume_ml"]["right_lung"], rel=0.001)


def test_a_complete_library_is_kept_and_another_one_is_not_overwritten(library: DemoLibrary) -> None:
    folder = library.dicom.parent
    before = library.truth.stat().st_mtime_ns
    assert make_demo_library(folder, quick=True) == library
    assert library.truth.stat().st_mtime_ns == before
    with pytest.raises(InputError, match="seed 2"):
        make_demo_library(folder, seed=2, quick=True)
