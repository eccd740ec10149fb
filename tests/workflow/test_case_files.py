"""Files of cases as they come: DICOM series in folders, SEG beside them, channels in one file."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from tests.interop.dicom.objects import author
from tests.recognition.training.test_outlined import blocks, model, nifti

from coread.core import CodedConcept, Geometry, Image, LabelMap, Mask, Volume
from coread.errors import DataError
from coread.interop.dicom.seg import TrackedRegion, write_label_map, write_regions
from coread.interop.dicom.writing import Source, to_bytes
from coread.recognition.training.evaluation import evaluate_outlines
from coread.testing.demo.dicom import SimulatedStudy, write_ct
from coread.workflow.case_files import read_case

tools: Any = nibabel
GRID = Geometry.axial((6, 16, 20), (4.0, 0.5, 1.0))


def concept(word: str) -> CodedConcept:
    return CodedConcept(word, "99TEST", word)


def ct(folder: Path, values: np.ndarray) -> tuple[Volume, Source]:
    """Write a CT of these values and return it as it is read again, with its source."""
    study = SimulatedStudy(
        key="s", patient_name="SIMULATED^Block", birth=date(1960, 5, 14), day=date(2026, 5, 14)
    )
    write_ct(values.astype(np.int16), GRID, study, folder, description="test", kernel="none")
    volume = read_case(folder)
    assert isinstance(volume, Volume)
    header = pydicom.dcmread(next(iter(folder.rglob("*.dcm"))), stop_before_pixels=True)
    return volume, Source(dataset=header, instances=volume.source_instances, simulated=True)


def seg(path: Path, values: np.ndarray, volume: Volume, source: Source) -> None:
    labels = {1: concept("Liver"), 2: concept("Tumour")}
    label_map = LabelMap(values.astype(np.uint16), volume.geometry, labels, volume.frame_of_reference)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(to_bytes(write_label_map(label_map, source, author())[0]))


def test_a_seg_beside_a_dicom_series_is_judged_in_millimetres_by_name(tmp_path: Path) -> None:
    volume, source = ct(tmp_path / "images/a", blocks())
    assert np.array_equal(volume.values, blocks())
    seg(tmp_path / "labels/a.dcm", blocks(2), volume, source)
    result = evaluate_outlines(model(), tmp_path, read=read_case)
    assert result.metrics["dice_tumour"].value == 0.5
    assert result.metrics["hd95_mm_tumour"].value == pytest.approx(2.0)
    turned = evaluate_outlines(model(("tumour", "liver")), tmp_path, read=read_case)
    assert turned.metrics["dice"].value < 0.5  # by name, whatever the order
    with pytest.raises(DataError, match="regions 'Liver', 'Tumour'"):
        evaluate_outlines(model(("spleen", "kidney")), tmp_path, read=read_case)
    table = tmp_path / "cases.csv"
    table.write_text("image,mask,patient\nimages/a,labels/a.dcm,p\n")
    assert evaluate_outlines(model(), table, read=read_case).metrics == result.metrics


def test_one_region_of_any_name_is_the_only_label(tmp_path: Path) -> None:
    whole = (blocks() > 0).astype(np.uint8)
    volume, source = ct(tmp_path / "images/a", whole)
    region = TrackedRegion(concept("Something"), Mask(whole > 0, volume.geometry), "x")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.dcm").write_bytes(to_bytes(write_regions([region], source, author())))
    assert evaluate_outlines(model(("liver",)), tmp_path, read=read_case).metrics["dice"].value == 1


def test_a_seg_of_another_frame_of_reference_is_left_out(tmp_path: Path) -> None:
    volume, source = ct(tmp_path / "images/a", blocks())
    seg(tmp_path / "labels/a.dcm", blocks(), volume, source)
    moved = pydicom.dcmread(tmp_path / "labels/a.dcm")
    moved.FrameOfReferenceUID = "1.2.3.4"
    moved.save_as(tmp_path / "labels/a.dcm")
    with pytest.raises(DataError, match="another frame of reference"):
        evaluate_outlines(model(), tmp_path, read=read_case)


def test_a_seg_that_lies_on_another_grid_is_refused(tmp_path: Path) -> None:
    volume, source = ct(tmp_path / "ct", blocks())
    seg(tmp_path / "labels/a.dcm", blocks(), volume, source)
    nifti(tmp_path / "images/a.nii.gz", blocks())  # right and front are mirrored here
    with pytest.raises(DataError, match="do not lie on the grid"):
        evaluate_outlines(model(), tmp_path, read=read_case)


def test_channels_of_one_nifti_are_taken_apart(tmp_path: Path) -> None:
    half = blocks().astype(np.float32)
    nifti(tmp_path / "images/a.nii.gz", np.stack([2 * half, np.zeros_like(half)]))
    nifti(tmp_path / "labels/a.nii.gz", blocks())
    channels = read_case(tmp_path / "images/a.nii.gz")
    assert isinstance(channels, tuple)
    assert np.array_equal(channels[0].values, 2 * half)
    result = evaluate_outlines(model(channels=("T1", "T2")), tmp_path, read=read_case)
    assert result.metrics["dice"].value == 1
    with pytest.raises(DataError, match="2 channels"):
        evaluate_outlines(model(), tmp_path, read=read_case)


def test_what_holds_no_single_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty folder"):
        read_case(tmp_path / "empty")
    (tmp_path / "words.dcm").write_bytes(b"words")
    with pytest.raises(DataError):
        read_case(tmp_path / "words.dcm")
    ct(tmp_path / "two/one", blocks())
    first = read_case(tmp_path / "two")
    assert isinstance(first, Image | Volume)
