"""Regions read from SEG and RTSTRUCT: foreign files, closed forms, and what must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage
from tests.interop.dicom.objects import author, headers, plain_source, series, stack

from coread.core import Acquisition, Geometry, LabelMap, Mask, PlaneMask, Volume, vocabulary
from coread.errors import DataError
from coread.interop.dicom.regions import (
    contour_mask,
    read_label_map,
    read_regions,
    read_segmentation,
)
from coread.interop.dicom.seg import Encoding, TrackedRegion, write_label_map, write_regions

FRAME = "1.2.3.4.6"


def volume_on(grid: Geometry, frame: str | None = FRAME) -> Volume:
    return Volume(np.zeros(grid.shape, np.float32), grid, "HU", Acquisition("CT"), frame)


def circle(radius: float, z: float, centre: tuple[float, float] = (20.03, 20.07)) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    return np.stack([x, y, np.full_like(x, z)], axis=1)


def structure_set(contours: list[np.ndarray], frame: str = FRAME) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = RTStructureSetStorage
    roi, contour_roi = Dataset(), Dataset()
    roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = 4, "GTV-1", frame
    contour_roi.ReferencedROINumber = 4
    items = []
    for points in contours:
        item = Dataset()
        item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
        item.ContourData = [f"{x:.6g}" for x in points.ravel()]
        items.append(item)
    contour_roi.ContourSequence = items
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [roi], [contour_roi]
    return dataset


@pytest.mark.parametrize("encoding", ["binary", "labelmap"])
@pytest.mark.parametrize("name", ["straight", "sheared", "oblique"])
def test_a_label_map_comes_back_unchanged(shared: Path, name: str, encoding: Encoding) -> None:
    _, grid, source = series(shared, name)
    values = np.zeros(grid.shape, dtype=np.uint16)
    values[:, 5:90, 7:61], values[-1, 90:99, 7:75] = 1, 2
    labels = {1: vocabulary.LEFT_LUNG, 2: vocabulary.LUNG_NODULE}
    label_map = LabelMap(values, grid, labels, source.frame_of_reference, source.instances)
    dataset, _ = write_label_map(label_map, source, author(), encoding=encoding)
    back = read_label_map(dataset)
    assert np.array_equal(back.values, values)
    assert isinstance(back.grid, Geometry)
    assert back.grid.almost_equal(grid)
    assert dict(back.labels) == labels
    assert back.source_instances == source.instances


def test_slices_left_out_as_empty_come_back_and_a_given_grid_is_kept() -> None:
    grid = Geometry.axial((9, 16, 16), (2.5, 0.7, 0.7))
    voxels = np.zeros(grid.shape, dtype=bool)
    voxels[2:4, 3:9, 4:12] = voxels[6, 3:9, 4:12] = True
    dataset = write_regions(
        [TrackedRegion(vocabulary.LUNG, Mask(voxels, grid), "x")], plain_source(grid), author()
    )
    assert dataset.NumberOfFrames == 3
    alone = read_segmentation(dataset)[0].mask
    assert isinstance(alone, Mask)
    assert alone.geometry.origin_mm == pytest.approx(grid.to_patient((2, 0, 0)))
    assert np.array_equal(alone.voxels, voxels[2:7])
    placed = read_regions(dataset, volume_on(grid))[0].mask
    assert isinstance(placed, Mask)
    assert np.array_equal(placed.voxels, voxels)


def test_a_foreign_segmentation_lies_on_the_series_it_was_drawn_on(shared: Path) -> None:
    folder = shared / "dicom"
    found = headers(sorted((folder / "dcmqi_ct3_seg").glob("*.dcm")))
    grid, source = stack(found)
    dataset = pydicom.dcmread(folder / "objects" / "liver_1frame.dcm")
    (liver,) = read_regions(dataset, volume_on(grid, source.frame_of_reference))
    assert liver.concept.meaning == "Liver"
    assert isinstance(liver.mask, Mask)
    z = float(dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient[2])
    slices = [float(d.ImagePositionPatient[2]) for d in found]
    k = int(np.argmin(np.abs(np.array(slices) - z)))
    assert np.array_equal(liver.mask.voxels[k], dataset.pixel_array.reshape(512, 512) != 0)
    assert liver.mask.voxels.sum() == np.count_nonzero(dataset.pixel_array)


def test_foreign_overlapping_segments_and_one_on_a_projection(shared: Path) -> None:
    folder = shared / "dicom" / "objects"
    overlap = pydicom.dcmread(folder / "seg_image_ct_binary_overlap.dcm")
    segments = read_segmentation(overlap)
    assert len(segments) == len(overlap.SegmentSequence)
    total = sum(int(np.count_nonzero(s.mask.voxels)) for s in segments if isinstance(s.mask, Mask))
    assert total == np.count_nonzero(overlap.pixel_array)
    with pytest.raises(DataError, match="overlap"):
        read_label_map(overlap)
    flat = pydicom.dcmread(folder / "seg_image_cr_binary.dcm")
    (region,) = read_segmentation(flat)
    assert isinstance(region.mask, PlaneMask)
    assert np.array_equal(region.mask.pixels, flat.pixel_array.reshape(16, 16) != 0)


def test_circle_has_its_area_and_a_circle_inside_is_a_hole() -> None:
    grid = Geometry.axial((3, 200, 200), (5.0, 0.2, 0.2))
    contours = [circle(12.0, 5.0), circle(5.0, 5.0), circle(3.0, 10.0)]
    (segment,) = read_regions(structure_set(contours), volume_on(grid))
    assert isinstance(segment.mask, Mask)
    areas = segment.mask.voxels.sum(axis=(1, 2)) * 0.04
    assert areas == pytest.approx([0.0, np.pi * (144 - 25), np.pi * 9], rel=0.003)
    assert str(segment.concept) == "GTV-1"


def test_contours_of_a_sheared_stack_are_filled_in_their_slices(shared: Path) -> None:
    _, grid, _ = series(shared, "sheared")
    rows = np.array([[100.0, 150.0], [100.0, 350.0], [300.0, 350.0], [300.0, 150.0]]) + 0.25
    points = grid.to_patient(np.concatenate([np.full((4, 1), 7.0), rows], axis=1))
    expected = np.zeros(grid.shape, dtype=bool)
    expected[7, 101:301, 151:351] = True
    assert np.array_equal(contour_mask([points], grid).voxels, expected)


def test_structures_elsewhere_are_refused(shared: Path) -> None:
    grid = Geometry.axial((3, 200, 200), (5.0, 0.2, 0.2))
    with pytest.raises(DataError, match="another frame of reference"):
        read_regions(structure_set([circle(5.0, 5.0)], frame="9.9"), volume_on(grid))
    with pytest.raises(DataError, match=r"slice 1\.40"):
        read_regions(structure_set([circle(5.0, 7.0)]), volume_on(grid))
    found, mr, _ = series(shared, "oblique")
    with pytest.raises(DataError, match="no regions"):
        read_regions(found[0], volume_on(mr))


def test_a_segmentation_elsewhere_is_refused() -> None:
    grid = Geometry.axial((3, 16, 16))
    mask = Mask(np.ones(grid.shape, dtype=bool), grid)
    dataset = write_regions([TrackedRegion(vocabulary.LUNG, mask, "x")], plain_source(grid), author())
    with pytest.raises(DataError, match="frame of reference"):
        read_regions(dataset, volume_on(grid, "9.9"))
    moved = Geometry.axial((3, 16, 16), origin_mm=(0.0, 3.0, 0.0))
    with pytest.raises(DataError, match="do not lie on the grid"):
        read_regions(dataset, volume_on(moved))


def test_a_real_structure_set_is_read(shared: Path) -> None:
    dataset = pydicom.dcmread(shared / "dicom" / "objects" / "rtstruct.dcm", force=True)
    frame = "1.2.826.0.1.3680043.8.498.2010020400001.2"
    grid = Geometry.axial((41, 81, 101), (10.0, 5.0, 5.0), (-250.0, -200.0, -200.0))
    (patient,) = read_regions(dataset, volume_on(grid, frame))
    assert patient.concept.meaning == "patient"
    assert isinstance(patient.mask, Mask)
    # slice 0 is the box from (-200, -150) to (200, 150) in the file: 400 x 300 mm
    assert patient.mask.voxels[0].sum() * 25 == pytest.approx(400 * 300, rel=0.03)
