"""Outlined cases in every layout, judged against regions whose Dice and distance follow from their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture

from coread.core import card_from_table
from coread.errors import DataError, InputError
from coread.interop.nifti import read_volume
from coread.recognition.importing import ImportedModel, Intensity, Specification
from coread.recognition.registry import Evaluation
from coread.recognition.training.evaluation import evaluate_outlines

tools: Any = nibabel
SHAPE = (6, 16, 20)  # slices, rows, columns
STEPS = (4.0, 0.5, 1.0)
CARD = {
    "name": "Levels",
    "version": "1",
    "kind": "segment",
    "mode": "measurement",
    "needs": {"volumes": "any"},
    "intended_use": "Tests.",
    "not_for": "Anything else.",
    "evidence_level": 1,
    "training_data": "none",
    "licence": "Apache-2.0",
    "weights": "a" * 64,
}


def model(
    labels: tuple[str, ...] = ("liver", "tumour"), channels: tuple[str, ...] = ("CT",), sigmoid: bool = False
) -> ImportedModel:
    """Outlines label n where the mean of the channels is n (with sigmoid: n or more)."""
    said = Specification(
        task="segment",
        channels=channels,
        intensities=(Intensity(),) * len(channels),
        outputs=labels if sigmoid else ("background", *labels),
        activation="sigmoid" if sigmoid else "softmax",
        window=(6, 16, 16),
    )

    def predict(batch: np.ndarray) -> np.ndarray:
        level = batch.mean(axis=1)
        if sigmoid:
            return np.stack([20 * (level - n + 0.5) for n in range(1, len(labels) + 1)], axis=1)
        return np.stack([-20 * np.abs(level - n) for n in range(len(labels) + 1)], axis=1)

    return ImportedModel("levels", card_from_table(CARD), "a" * 64, said, predict)


def blocks(shift: int = 0, inner: int = 2) -> np.ndarray:
    """A block of 1 with a block of `inner` in it, moved along the columns."""
    values = np.zeros(SHAPE, np.uint8)
    values[1:5, 2:12, 2 + shift : 12 + shift] = 1
    values[2:4, 4:8, 4 + shift : 8 + shift] = inner
    return values


def nifti(path: Path, values: np.ndarray, steps: tuple[float, ...] = STEPS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = values.transpose(*range(values.ndim - 3, values.ndim)[::-1], *range(values.ndim - 3))
    tools.save(tools.Nifti1Image(np.ascontiguousarray(array), np.diag([*steps[::-1], 1.0])), path)


def evaluated(data: Path, said: ImportedModel | None = None, **more: Any) -> Evaluation:
    return evaluate_outlines(said or model(), data, read=read_volume, **more)


def test_a_folder_of_images_and_labels_gives_dice_and_millimetres(tmp_path: Path) -> None:
    for n, shift in enumerate((0, 2)):
        nifti(tmp_path / f"images/case{n}.nii.gz", blocks().astype(np.float32))
        nifti(tmp_path / f"labels/case{n}.nii.gz", blocks(shift))
    nifti(tmp_path / "images/lonely.nii.gz", blocks())
    nifti(tmp_path / "labels/.hidden.nii.gz", blocks())
    result = evaluated(tmp_path)
    # the outer block less the inner one, 10 x 10 less 4 x 4 in half of the slices, and both moved by 2
    whole, outer = blocks() == 1, blocks(2) == 1
    dice = 2 * (whole & outer).sum() / (whole.sum() + outer.sum())
    assert result.metrics["dice_liver"].value == pytest.approx((1 + dice) / 2)
    assert result.metrics["dice_tumour"].value == pytest.approx((1 + 0.5) / 2)
    assert result.metrics["dice"].value == pytest.approx((1 + 1 + dice + 0.5) / 4)
    assert result.metrics["hd95_mm_tumour"].value == pytest.approx((0 + 2.0) / 2)
    assert set(result.metrics) == {
        *(f"{figure}{label}" for figure in ("dice", "hd95_mm") for label in ("", "_liver", "_tumour"))
    }
    assert (result.metrics["dice_tumour"].low, result.metrics["dice_tumour"].high) == (0.5, 1.0)
    assert (result.cases, result.patients) == (2, 2)
    assert result.left_out == (("lonely", "no mask in labels"),)


def test_distances_are_in_millimetres_of_the_axis_they_run_along(tmp_path: Path) -> None:
    inner, moved = (np.where(blocks() == 2, 1, 0).astype(np.uint8) for _ in range(2))
    moved = np.roll(moved, 1, axis=0)
    nifti(tmp_path / "images/a.nii.gz", inner)
    nifti(tmp_path / "labels/a.nii.gz", moved)
    assert evaluated(tmp_path, model(("block",))).metrics["hd95_mm"].value == pytest.approx(4.0)


def test_patients_are_drawn_and_not_their_cases(tmp_path: Path) -> None:
    for n, shift in enumerate((0, 2, 2)):
        nifti(tmp_path / f"images/{n}.nii.gz", blocks())
        nifti(tmp_path / f"labels/{n}.nii.gz", blocks(shift))
    (tmp_path / "patients.csv").write_text("case,patient\n0,p\n1,p\n2,p\n")
    result = evaluated(tmp_path)
    assert result.patients == 1
    assert result.metrics["dice"].low == result.metrics["dice"].value == result.metrics["dice"].high


def test_labels_are_taken_by_the_names_of_a_dataset_json(tmp_path: Path) -> None:
    nifti(tmp_path / "imagesTs/a_0000.nii.gz", blocks())
    nifti(tmp_path / "labelsTs/a.nii.gz", np.select([blocks() == 1, blocks() == 2], [7, 3]).astype(np.uint8))
    with pytest.raises(DataError, match="the label 3, 7 in a mask"):
        evaluated(tmp_path)
    (tmp_path / "dataset.json").write_text(
        json.dumps({"labels": {"0": "background", "7": "Liver", "3": "Tumour"}})
    )
    result = evaluated(tmp_path, part="test")
    assert result.metrics["dice_liver"].value == result.metrics["dice_tumour"].value == 1
    assert result.metrics["hd95_mm"].value == 0
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "kidney": 3}}))
    with pytest.raises(DataError, match="labels background, kidney"):
        evaluated(tmp_path)


def test_regions_that_lie_in_each_other_are_those_of_nnunet(tmp_path: Path) -> None:
    nifti(tmp_path / "images/a.nii.gz", blocks())
    nifti(tmp_path / "labels/a.nii.gz", blocks())
    labels = {"background": 0, "whole": [1, 2], "core": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    result = evaluated(tmp_path, model(("whole", "core"), sigmoid=True))
    assert result.metrics["dice_whole"].value == result.metrics["dice_core"].value == 1


@pytest.mark.parametrize("layout", ["nnunet", "table", "table of the first"])
def test_several_channels_come_in_each_way(tmp_path: Path, layout: str) -> None:
    half = blocks().astype(np.float32)
    parts = np.stack([2 * half, np.zeros_like(half)])  # the mean of both is right, one alone is not
    nifti(tmp_path / "labels/a.nii.gz", blocks())
    data = tmp_path
    for n in range(2):
        nifti(tmp_path / f"images/a_000{n}.nii.gz", parts[n])
    if layout.startswith("table"):
        data = tmp_path / "cases.csv"
        both = "" if layout.endswith("first") else "|images/a_0001.nii.gz"
        data.write_text(f"image,mask,patient\nimages/a_0000.nii.gz{both},labels/a.nii.gz,p\n")
    result = evaluated(data, model(channels=("T1", "T2")))
    assert result.metrics["dice"].value == 1
    with pytest.raises(DataError, match="channels"):
        evaluated(data, model(channels=("T1", "T2", "FLAIR")))


def test_arrays_of_a_file_are_cases(tmp_path: Path) -> None:
    images = np.stack([blocks(), blocks()])
    labels = np.stack([blocks(), blocks(2)])
    np.savez(tmp_path / "a.npz", test_images=images, test_labels=labels, spacing_mm=STEPS, patient=["p", "q"])
    result = evaluated(tmp_path / "a.npz")
    assert result.metrics["dice_tumour"].value == 0.75
    assert result.metrics["hd95_mm_tumour"].value == pytest.approx(1.0)
    np.savez(tmp_path / "a.npz", images=images, masks=labels)
    result = evaluated(tmp_path / "a.npz")
    assert "hd95_mm" not in result.metrics
    assert any("spacing not known" in note for note in result.notes)
    np.savez(tmp_path / "a.npz", images=images, masks=labels[:, :2])
    with pytest.raises(DataError, match="masks of shape"):
        evaluated(tmp_path / "a.npz")


def test_pictures_have_a_dice_and_no_millimetres(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Picture.fromarray(np.ascontiguousarray(blocks()[2])).save(tmp_path / folder / "a.png")
    result = evaluated(tmp_path)
    assert set(result.metrics) == {"dice", "dice_liver", "dice_tumour"}
    assert result.metrics["dice"].value == 1


def test_what_one_side_lacks_has_no_distance_and_is_said(tmp_path: Path) -> None:
    nifti(tmp_path / "images/a.nii.gz", np.minimum(blocks(), 1))
    nifti(tmp_path / "labels/a.nii.gz", blocks())
    result = evaluated(tmp_path)
    assert result.metrics["dice_tumour"].value == 0
    assert "hd95_mm_tumour" not in result.metrics
    assert any("leaves out 1 of 2" in note for note in result.notes)


def test_cases_that_can_not_be_used_are_left_out_with_the_reason(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    for name in ("good", "spacing", "shape", "label", "nan", "broken"):
        nifti(images / f"{name}.nii.gz", blocks().astype(np.float32))
        nifti(labels / f"{name}.nii.gz", blocks())
    nifti(labels / "alone.nii.gz", blocks())
    nifti(labels / "spacing.nii.gz", blocks(), (4.0, 0.5, 2.0))
    nifti(labels / "shape.nii.gz", blocks()[:4])
    nifti(labels / "label.nii.gz", blocks(inner=9))
    nifti(images / "nan.nii.gz", np.where(blocks() == 2, np.nan, 0).astype(np.float32))
    (images / "broken.nii.gz").write_bytes(b"no gzip")
    result = evaluated(tmp_path)
    assert (result.cases, result.metrics["dice"].value) == (1, 1.0)
    why = dict(result.left_out)
    assert set(why) == {"alone", "spacing", "shape", "label", "nan", "broken"}
    for name, words in {
        "alone": "no image",
        "spacing": "another grid",
        "shape": "a mask of",
        "label": "the label 9",
        "nan": "no numbers",
        "broken": "can't be read",
    }.items():
        assert words in why[name]


def test_data_of_no_layout_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing in it"):
        evaluated(tmp_path)
    with pytest.raises(InputError, match="nothing at"):
        evaluated(tmp_path / "none")
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(DataError, match=r"a\.txt"):
        evaluated(tmp_path / "a.txt")
