"""Images and masks of a cohort, whatever file they are in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from coread.cli.train import read_file
from coread.core import Acquisition, Geometry, Volume
from coread.errors import DataError, InputError
from coread.interop.nifti import write_volume
from coread.recognition.importing import Intensity
from coread.recognition.training.cases import Cases, Scan, named_labels, numbered
from coread.recognition.training.classify import Classification, ClassifyPlan, fitted_temperature
from coread.recognition.training.cohort import Cohort, Division, Place, read_cohort
from coread.recognition.training.segment import Segmentation, SegmentPlan


def test_a_picture_is_grey_whatever_its_file(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    Picture.fromarray(values).save(tmp_path / "a.png")
    Picture.fromarray(values.astype(np.uint16) * 100).save(tmp_path / "deep.png")
    np.savez(tmp_path / "one.npz", image=values)
    np.savez(tmp_path / "stack.npz", images=np.stack([values * 0, values]), other=values)
    np.savez(tmp_path / "colour.npz", image=np.stack([values, values, values], axis=-1))
    for cell, factor in (
        ("a.png", 1),
        ("deep.png", 100),
        ("one.npz", 1),
        ("stack.npz#images[1]", 1),
        ("stack.npz#other", 1),
        ("colour.npz", 1),
    ):
        scan = Cases().scan(Place.of(cell, tmp_path))
        np.testing.assert_array_equal(scan.picture().values, values * float(factor), err_msg=cell)


def test_files_that_need_a_reader_get_it(tmp_path: Path, shared: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    geometry = Geometry.axial(values.shape, spacing_mm=(2.0, 1.0, 1.0))
    write_volume(Volume(values, geometry, "stored", Acquisition("MR")), tmp_path / "v.nii.gz")
    scan = Cases(read_file).scan(Place(tmp_path / "v.nii.gz"))
    np.testing.assert_array_equal(scan.volume()[0], values)
    assert scan.volume()[1].almost_equal(geometry)
    with pytest.raises(DataError, match="one slice"):
        scan.picture()
    with pytest.raises(DataError, match="reader"):
        Cases().scan(Place(tmp_path / "v.nii.gz"))
    film = next(iter(sorted((shared / "dicom").rglob("CT_small.dcm"))), None)
    assert film is not None
    assert Cases(read_file).scan(Place(film)).picture().values.shape == (128, 128)


@pytest.mark.parametrize(
    "cell", ["stack.npz", "stack.npz#none", "stack.npz#images[2]", "nan.npz", "text.npz", "four.npz"]
)
def test_what_is_no_image_is_refused(cell: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "stack.npz", images=np.zeros((2, 3, 3)), other=np.zeros((3, 3)))
    np.savez(tmp_path / "nan.npz", image=np.full((3, 3), np.nan))
    np.savez(tmp_path / "text.npz", image=np.array([["a", "b"]]))
    np.savez(tmp_path / "four.npz", image=np.zeros((2, 2, 2, 2)))
    with pytest.raises(DataError, match=r"\.npz"):
        Cases().scan(Place.of(cell, tmp_path))


def test_masks_are_numbers_and_not_the_colours_of_their_palette(tmp_path: Path) -> None:
    numbers = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    picture = Picture.fromarray(numbers, mode="P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255] + [0] * 759)
    picture.save(tmp_path / "palette.png")
    np.savez(tmp_path / "float.npz", mask=numbers.astype(np.float32))
    Picture.fromarray(numbers > 0).save(tmp_path / "bits.png")
    scan = Scan(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(Cases().labels(Place(tmp_path / "palette.png"), scan), numbers)
    np.testing.assert_array_equal(Cases().labels(Place(tmp_path / "float.npz"), scan), numbers)
    np.testing.assert_array_equal(Cases().labels(Place(tmp_path / "bits.png"), scan), numbers > 0)
    slab = Scan(np.zeros((1, 2, 3), np.float32))
    np.testing.assert_array_equal(Cases().labels(Place(tmp_path / "palette.png"), slab)[0], numbers)
    with pytest.raises(DataError, match="one shape"):
        Cases().labels(Place(tmp_path / "palette.png"), Scan(np.zeros((3, 2), np.float32)))
    Picture.fromarray(np.zeros((2, 3, 3), np.uint8)).save(tmp_path / "colour.png")
    np.savez(tmp_path / "half.npz", mask=numbers / 2)
    np.savez(tmp_path / "minus.npz", mask=-numbers.astype(int))
    for name in ("colour.png", "half.npz", "minus.npz"):
        with pytest.raises(DataError):
            Cases().labels(Place(tmp_path / name), scan)


def test_a_mask_that_lies_elsewhere_than_its_image_is_refused(tmp_path: Path) -> None:
    values = np.zeros((3, 4, 5), np.float32)
    grid = Geometry.axial(values.shape, spacing_mm=(2.0, 1.0, 1.0))
    turned = np.array(grid.affine)
    turned[:, 2] *= -1
    for name, where in (("image", grid), ("mask", grid), ("turned", Geometry(values.shape, turned))):
        write_volume(Volume(values, where, "stored", Acquisition("OT")), tmp_path / f"{name}.nii.gz")
    cases = Cases(read_file)
    scan = cases.scan(Place(tmp_path / "image.nii.gz"))
    assert not cases.labels(Place(tmp_path / "mask.nii.gz"), scan).any()
    with pytest.raises(DataError, match="another grid"):
        cases.labels(Place(tmp_path / "turned.nii.gz"), scan)


def test_values_of_masks_become_numbers_in_their_order() -> None:
    values, names = named_labels({0, 10, 255}, {}, {})
    assert (values, names) == ((0, 10, 255), ("background", "label_10", "label_255"))
    np.testing.assert_array_equal(numbered(np.array([0, 255, 10]), values), [0, 2, 1])
    assert named_labels({0, 1}, {1: "liver", 2: "spleen"}, {})[1] == ("background", "liver", "spleen")
    with pytest.raises(DataError, match="the value 3 in the mask of row 7"):
        named_labels({0, 1, 3}, {1: "liver"}, {3: 7})
    with pytest.raises(DataError, match="nothing but 0"):
        named_labels({0}, {}, {})


def labelled(folder: Path, labels: str) -> Cohort:
    lines = ["image,label,patient"]
    for n, label in enumerate(labels):
        Picture.fromarray(np.full((30, 20), 10 * n, np.uint8)).save(folder / f"{n}.png")
        lines.append(f"{n}.png,{label},p{n}")
    (folder / "cohort.csv").write_text("\n".join(lines))
    return read_cohort(folder / "cohort.csv", "classify")


def test_the_order_of_classes_is_that_of_the_settings_or_of_their_names(tmp_path: Path) -> None:
    cohort = labelled(tmp_path, "baba")
    assert Classification(cohort, Cases(), ClassifyPlan()).specification.outputs == ("a", "b")
    turned = Classification(cohort, Cases(), ClassifyPlan(), classes=("b", "a"))
    assert turned.specification.outputs == ("b", "a")
    assert turned.labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(InputError, match="those of the table: a, b"):
        Classification(cohort, Cases(), ClassifyPlan(), classes=("a", "c"))
    with pytest.raises(DataError, match="alone"):
        Classification(labelled(tmp_path, "aaa"), Cases(), ClassifyPlan())


def test_two_classes_must_be_in_every_part(tmp_path: Path) -> None:
    recipe = Classification(labelled(tmp_path, "aabbab"), Cases(), ClassifyPlan())
    for train, val, test, word in (
        ([0, 1], [2, 4], [3, 5], "no case of 'b' to learn from"),
        ([0, 2], [1, 4], [3, 5], "no case of 'b' to choose with"),
        ([0, 2], [1, 3], [5], "no case of 'a' to judge by"),
    ):
        sides = [np.array(side) for side in (train, val, test)]
        with pytest.raises(DataError, match=word):
            recipe.check(Division("", *sides))


def test_slices_must_come_scaled(tmp_path: Path) -> None:
    labelled(tmp_path, "ab")
    Picture.fromarray(np.eye(30, 20, dtype=np.uint8)).save(tmp_path / "m.png")
    (tmp_path / "cohort.csv").write_text("image,mask,patient\n1.png,m.png,p\n")
    cohort = read_cohort(tmp_path / "cohort.csv", "segment")
    with pytest.raises(DataError, match=r"row 2: values from 10 to 10 after scaling"):
        Segmentation(cohort, Cases(), SegmentPlan(side=16), intensity=Intensity())
    assert Segmentation(cohort, Cases(), SegmentPlan(side=16)).specification.fit


@pytest.mark.parametrize(
    "wrong",
    [
        {"dimensions": 4},
        {"side": 20},
        {"dimensions": 3, "slices": 12},
        {"spacing_mm": (1.0, 1.0, 1.0)},
        {"dimensions": 3, "spacing_mm": (1.0,)},
    ],
)
def test_a_plan_of_a_segmentation_that_cannot_be_followed_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        SegmentPlan(**wrong)


def test_the_temperature_undoes_overconfidence() -> None:
    """Labels drawn from softmax(x); a network that says 3 x is divided by 3."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 3)) * 1.5
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((len(chances), 1)) > chances.cumsum(axis=1)).sum(axis=1)
    assert fitted_temperature(3 * logits, labels) == pytest.approx(3.0, rel=0.05)
    assert fitted_temperature(logits, labels) == pytest.approx(1.0, rel=0.05)
