"""The part of the body from pixels: right on pictures kept apart, silent on others, beside the tags."""

from __future__ import annotations

import time
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture

from coread.core import Acquisition, CodedConcept, Geometry, Image, ImagePlane, Inputs, Volume
from coread.errors import DataError, InputError, NotApplicableError
from coread.interop.dicom import load_series, read_instance
from coread.recognition import body_part, registry
from coread.recognition.body_part import (
    BodyPart,
    PartReading,
    axial_pictures,
    believed,
    evaluate,
    network,
    read_pictures,
)
from coread.recognition.body_part_pictures import (
    CLASSES,
    WINDOW_HU,
    prepared,
    read_mednist,
    windowed_slice,
    wrong_pictures,
)
from coread.recognition.body_part_tags import PARTS, disagreement, regions_named
from coread.recognition.runtime import load_card
from coread.testing import check_analyzer
from coread.testing.demo.dicom import SimulatedStudy, write_film

MEDNIST = "images/mednist/mednist_train.npz"
LATERAL = CodedConcept("399173006", "SCT", "left lateral")
FRONTAL = CodedConcept("272479007", "SCT", "postero-anterior")


def figure(name: str) -> float:
    return next(metric.value for metric in load_card("body_part").metrics if metric.name == name)


def folder_of(shared: Path, pattern: str, most: int = 80) -> np.ndarray:
    files = sorted((shared / "images").glob(pattern))
    assert files, pattern
    files = files[:: max(1, len(files) // most)]
    return np.stack([prepared(np.asarray(Picture.open(file).convert("F"))) for file in files])


def read(pictures: np.ndarray) -> tuple[PartReading, ...]:
    return read_pictures(pictures, network())


def share(readings: tuple[PartReading, ...], part: str) -> float:
    return float(np.mean([reading.part == part for reading in readings]))


def refused(readings: tuple[PartReading, ...]) -> float:
    return float(np.mean([not reading.known for reading in readings]))


def film(pixels: np.ndarray, modality: str = "DX", part: str | None = None, view=None) -> Image:
    plane = ImagePlane(pixels.shape[:2], view=view)
    return Image(pixels, plane, "stored", Acquisition(modality, part), source_instance="2.25.1")


def scan(shared: Path, path: str, part: str | None = None, modality: str = "CT") -> Volume:
    image = nibabel.as_closest_canonical(nibabel.load(shared / "images" / path))
    values = np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1].astype(np.float32)
    columns, rows, slices = (float(z) for z in image.header.get_zooms())
    geometry = Geometry.axial(values.shape, spacing_mm=(slices, rows, columns))
    return Volume(np.ascontiguousarray(values), geometry, "HU", Acquisition(modality, part))


@pytest.fixture(scope="module")
def apart(shared: Path):
    """MedNIST's pictures that were not trained on, by class."""
    pictures = read_mednist(shared / MEDNIST)
    names = set(network().settings["unseen"])
    keep = np.array([name in names for name in pictures.names])
    return {c: pictures.pictures[keep & (pictures.labels == n)] for n, c in enumerate(CLASSES)}


@pytest.mark.parametrize(
    ("tag", "regions"),
    [
        ("HEART", {"chest"}),
        ("HIPPOCAMPUS", {"head"}),
        ("CHESTABDPELVIS", {"chest", "abdomen"}),
        ("Fore Arm", {"arm"}),
        ("KNEE", {"leg"}),
        ("WHOLEBODY", set()),
        ("XYZ", set()),
        (None, set()),
    ],
)
def test_words_of_body_part_examined(tag: str | None, regions: set[str]) -> None:
    assert regions_named(tag) == regions


@pytest.mark.parametrize(
    ("part", "modality", "tag", "view", "word"),
    [
        ("CXR", "DX", "CHEST", FRONTAL, None),
        ("CXR", "CR", None, None, None),
        ("CXR", "DX", "KNEE", None, "KNEE"),
        ("CXR", "DX", "CHEST", LATERAL, "lateral"),
        ("Hand", "CR", "WRIST", None, None),
        ("Hand", "CR", "CHEST", FRONTAL, "CHEST"),
        ("HeadCT", "CT", "BRAIN", None, None),
        ("HeadCT", "MR", "BRAIN", None, None),
        ("Hand", "CT", None, None, "CT"),
        ("HeadCT", "CT", "ABDOMEN", None, "ABDOMEN"),
        ("ChestCT", "CT", "CHESTABDPELVIS", None, None),
        ("AbdomenCT", "CT", "PELVIS", None, None),
        ("AbdomenCT", "CT", "HEAD", None, "HEAD"),
        ("BreastMRI", "MR", "BREAST", None, None),
        ("BreastMRI", "MR", "OTHER", None, None),
    ],
)
def test_what_contradicts(part, modality, tag, view, word) -> None:
    said = disagreement(part, modality=modality, body_part=tag, view=view)
    assert said is None if word is None else word in said


def test_prepared_pictures_depend_neither_on_depth_nor_on_offset() -> None:
    picture = np.random.default_rng(0).gamma(2.0, size=(300, 260))
    one = prepared(picture)
    assert one.shape == (64, 64)
    assert (one.min(), one.max()) == (0.0, 1.0)
    assert prepared(np.round(picture * 400 + 1000).astype(np.uint16)) == pytest.approx(one, abs=0.01)
    assert prepared(np.stack([picture] * 3, axis=-1)) == pytest.approx(one, abs=1e-5)
    assert not prepared(np.full((40, 40), 7)).any()
    with pytest.raises(InputError, match="finite"):
        prepared(np.full((40, 40), np.nan))


def test_accuracy_on_pictures_kept_apart_is_that_of_the_card(shared: Path) -> None:
    result = evaluate(shared / MEDNIST)
    assert result.cases == len(network().settings["unseen"])
    assert len(result.left_out) == 1800 - result.cases
    for name, metric in result.metrics.items():
        assert metric.value == pytest.approx(figure(f"{name}_validation"), abs=1e-3), name
    assert result.metrics["accuracy"].value >= 0.99
    assert result.metrics["refused"].value <= 0.05
    for kind in ("inverted", "turned", "detail", "noise"):
        assert result.metrics[f"caught_{kind}"].value >= 0.95, kind


def test_no_block_of_neighbouring_files_and_no_likeness_is_on_both_sides(shared: Path) -> None:
    pictures = read_mednist(shared / MEDNIST)
    names = set(network().settings["unseen"])
    here = np.array([name in names for name in pictures.names])
    groups = np.array(pictures.groups)
    assert not set(groups[here]) & set(groups[~here])
    flat = pictures.pictures.reshape(len(here), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    assert float((flat[here] @ flat[~here].T).max()) < 0.95


def test_chest_films_of_a_set_never_trained_on(shared: Path) -> None:
    assert share(read(folder_of(shared, "chest/kermany_cxr224/images/*")), "CXR") >= 0.99


LUNG_DX = "chest/lung_pet_ct_dx/Lung_Dx-A0001_ct.nii.gz"


@pytest.mark.parametrize(
    ("window", "least"), [(WINDOW_HU, 0.95), ((-1350.0, 150.0), 0.9), ((-1000.0, 1000.0), 0.9)]
)
def test_a_chest_ct_of_a_hospital_never_trained_on(
    shared: Path, window: tuple[float, float], least: float
) -> None:
    """Through the analyzer's window and through two others that pictures may have been shown in."""
    chest = scan(shared, LUNG_DX)
    spacing = chest.geometry.spacing_mm[1:]
    middle = chest.values[15:46]  # three tenths of the body are lung in each of them
    assert share(read(np.stack([windowed_slice(v, spacing, window) for v in middle])), "ChestCT") >= least


def test_a_head_ct_of_a_scanner_never_trained_on(shared: Path) -> None:
    files = sorted((shared / "dicom/ct_ge_gantrytilt_18.5").iterdir())
    volumes = [part.value for part in load_series([read_instance(file.read_bytes()) for file in files])]
    slices = [
        windowed_slice(values, volume.geometry.spacing_mm[1:], WINDOW_HU)
        for volume in volumes  # the gantry was tilted and the step changes: several volumes
        for values in volume.values
    ]
    assert len(slices) == 28
    assert share(read(np.stack(slices)), "HeadCT") >= 0.9
    notes = BodyPart().analyze(Inputs(volumes={f"{n}": volume for n, volume in enumerate(volumes)})).notes
    assert not [note for note in notes if note.kind == "warning"]


def test_wrong_pictures_are_turned_by_each_quarter() -> None:
    pictures = np.random.default_rng(0).random((3, 64, 64), dtype=np.float32)
    turned = wrong_pictures(pictures, np.random.default_rng(0))["turned"]
    for n, picture in enumerate(pictures):
        np.testing.assert_array_equal(turned[n], np.rot90(picture, n + 1))
    np.testing.assert_array_equal(np.rot90(turned[1], 2), pictures[1])


def test_a_window_and_its_square() -> None:
    plane = np.full((20, 40), -1000.0)
    plane[5:15, 10:30] = 40.0
    plane[8:12, 17:23] = 3000.0  # metal is no brighter than the window's end
    seen = windowed_slice(plane, (1.0, 1.0), (-160.0, 240.0))
    assert seen.shape == (64, 64)
    assert seen[32, 20] == pytest.approx(0.5, abs=0.01)  # 40 HU is the middle of the window
    assert not seen[:14].any()
    assert not seen[-14:].any()  # padded from 20 x 40 to a square
    assert windowed_slice(plane, (2.0, 1.0), (-160.0, 240.0))[2:14, 32].max() == 0  # already square in mm


def test_ultrasound_is_refused(shared: Path) -> None:
    assert refused(read(folder_of(shared, "busi_ultrasound/*/*.jpg"))) >= 0.95


def test_the_card_says_how_many_other_pictures_are_not_caught(shared: Path) -> None:
    with np.load(shared / "images/sunnybrook_cine/sunnybrook_train.npz", allow_pickle=False) as file:
        heart = np.stack([prepared(frame) for frame in file["images"][::4]])
    assert refused(read(heart)) == pytest.approx(figure("caught_sunnybrook"), abs=1e-3)
    assert figure("caught_sunnybrook") >= 0.95
    lesions = folder_of(shared, "neuro_body/ms_lesions_flair/images/*")
    assert refused(read(lesions)) == pytest.approx(figure("caught_ms_flair"), abs=1e-3)


@pytest.mark.parametrize("name", ["LIDC-IDRI-0001", "LIDC-IDRI-0002", "LIDC-IDRI-0003"])
def test_a_chest_ct_with_its_own_tag_gets_no_warning(shared: Path, name: str) -> None:
    chest = scan(shared, f"chest/lidc_ct/{name}_ct.nii.gz", "CHEST")
    notes = BodyPart().analyze(Inputs(volumes={"a": chest})).notes
    assert not any(note.kind == "warning" for note in notes)


@pytest.mark.parametrize(
    "path", ["chest/lidc_ct/LIDC-IDRI-0002_ct.nii.gz", "totalseg_tests/example_ct.nii.gz"]
)
def test_a_ct_of_the_trunk_tagged_as_head_gets_a_warning(shared: Path, path: str) -> None:
    (note,) = BodyPart().analyze(Inputs(volumes={"a": scan(shared, path, "HEAD")})).notes
    assert (note.kind, note.code) == ("warning", "tags-against-pixels")
    assert "HEAD" in note.text


def test_a_hand_among_chest_films_is_said_politely(apart) -> None:
    hand = film(np.kron(apart["Hand"][0], np.ones((8, 8))) * 4095, part="CHEST")
    (note,) = BodyPart().analyze(Inputs(images={"a": hand})).notes
    assert note.kind == "warning"
    assert "radiograph of a hand" in note.text
    assert "CHEST" in note.text
    fitting = BodyPart().analyze(Inputs(images={"a": film(apart["Hand"][0], "CR", "HAND")}))
    assert not fitting.notes
    (measured,) = fitting.measurements
    assert measured.site == PARTS["Hand"].site
    assert measured.quantity.value > 0.9
    assert measured.source_instances == ("2.25.1",)


def test_what_is_unknown_gets_a_gate_and_no_warning(apart) -> None:
    noise = np.random.default_rng(0).integers(0, 4096, (300, 200)).astype(np.uint16)
    for pixels in (noise, np.zeros((200, 200)), 1 - apart["CXR"][0]):
        result = BodyPart().analyze(Inputs(images={"a": film(pixels, part="FOOT")}))
        assert [(note.kind, note.code) for note in result.notes] == [("gate", "unknown-part")]
        assert not result.measurements


def test_slices_must_agree_before_anything_is_said() -> None:
    one = PartReading("ChestCT", 0.9, 0.5)
    other = PartReading("AbdomenCT", 0.9, 0.5)
    unknown = PartReading("AbdomenCT", 0.9, 1.5)
    assert believed([one, other, other]) == (other, other)
    assert believed([one, unknown, unknown]) == ()
    assert believed([unknown]) == ()


@pytest.mark.parametrize("unfit", [film(np.ones((90, 90)), "US"), film(np.ones((12, 90)), "DX")])
def test_other_modalities_and_tiny_pictures_are_not_its_business(unfit: Image) -> None:
    with pytest.raises(NotApplicableError, match="radiograph"):
        BodyPart().analyze(Inputs(images={"a": unfit}))


def test_only_axial_stacks_are_looked_at() -> None:
    values = np.random.default_rng(0).normal(size=(60, 60, 12)).astype(np.float32)
    sagittal = Volume(values, Geometry.axial(values.shape, spacing_mm=(1, 1, 5)), "stored", Acquisition("MR"))
    assert axial_pictures(sagittal) is None
    axial = Geometry.axial((12, 60, 60), spacing_mm=(5, 1, 1))
    volume = Volume(values.transpose(2, 1, 0).copy(), axial, "stored", Acquisition("MR"))
    assert axial_pictures(volume).shape == (3, 64, 64)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_films_as_dicom_of_12_bits_are_read_whichever_end_is_white(
    tmp_path: Path, shared: Path, photometric: str
) -> None:
    path = sorted((shared / "images/chest/montgomery_lungs/images").iterdir())[0]
    pixels = np.asarray(Picture.open(path).convert("L")).astype(np.uint16)[:, 40:480] * 9 + 700
    study = SimulatedStudy(key="film")
    places = {"pixel_mm": 0.2, "source_to_detector_mm": 1800.0, "magnification": 1.1}
    file = write_film(pixels, study, tmp_path, photometric=photometric, **places)
    (part,) = load_series([read_instance(file.read_bytes())])
    result = BodyPart().analyze(Inputs(images={"a": part.value}))
    assert not result.notes
    assert result.measurements[0].site == PARTS["CXR"].site


def test_an_image_takes_less_than_50_ms(apart) -> None:
    large = film(np.kron(apart["CXR"][0], np.ones((40, 36))) * 4095, part="CHEST")
    BodyPart().analyze(Inputs(images={"a": large}))
    start = time.process_time()
    for _ in range(5):
        BodyPart().analyze(Inputs(images={"a": large}))
    assert (time.process_time() - start) / 5 < 0.25  # 0.05 s on an idle core, where others compute too more


def test_other_layouts_count_what_is_caught(tmp_path: Path, shared: Path, apart) -> None:
    for folder, pictures in (
        ("CXR", apart["CXR"][:12]),
        ("Other", np.random.default_rng(0).random((9, 64, 64))),
    ):
        (tmp_path / folder).mkdir()
        for n, picture in enumerate(pictures):
            Picture.fromarray((picture * 255).astype(np.uint8)).save(tmp_path / folder / f"{n}.png")
    result = evaluate(tmp_path)
    assert result.cases == 21
    assert result.metrics["caught"].value == 1.0
    assert result.metrics["accuracy"].value == 1.0
    with pytest.raises(DataError, match="know"):
        evaluate(shared / MEDNIST, part="train")


def test_the_weights_are_those_of_the_card_and_lie_with_their_licence() -> None:
    assert registry.check_weights("body_part") < 1024 * 1024
    assert load_card("body_part").weights == network().digest
    folder = Path(body_part.__file__).parent / "weights" / "share_alike"
    assert "body_part.onnx" in (folder / "LICENSE.txt").read_text(encoding="utf-8")
    assert "CC-BY-SA-4.0" in load_card("body_part").licence


def test_it_keeps_what_the_platform_promises(shared: Path, apart) -> None:
    chest = scan(shared, "chest/lidc_ct/LIDC-IDRI-0003_ct.nii.gz", "CHEST")
    films = Inputs(images={"a": film(apart["Hand"][1], part="CHEST"), "b": film(apart["CXR"][1])})
    assert check_analyzer(BodyPart(), Inputs(volumes={"a": chest}), films)
