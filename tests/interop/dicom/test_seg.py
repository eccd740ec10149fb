"""SEG: values and places as highdicom, pydicom and DCMTK read them; dciodvfy finds no error."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from tests.interop.dicom.objects import author, plain_source, program, series, verify

from coread.core import Geometry, ImagePlane, LabelMap, Mask, PlaneMask, Reader, vocabulary
from coread.errors import GeometryError, InputError
from coread.interop.dicom.seg import TrackedRegion, tracking_uid, write_label_map, write_regions
from coread.interop.dicom.writing import Source, to_bytes

# the reference on interoperability names exactly these two, of a verifier older than the SOP class
LABEL_MAP_ERRORS = ("SegmentNumber not monotonically increasing", "Information Object Not found")
STACKS = ("straight", "sheared", "oblique", "coronal", "sagittal")


def blocks(grid: Geometry, source: Source) -> LabelMap:
    """Two boxes that leave the first slice of a stack empty and are alike under no flip."""
    values = np.zeros(grid.shape, dtype=np.uint16)
    first = min(1, grid.shape[0] - 1)
    values[first:, 20:90, 30:60] = 3
    values[first : first + 2, 90:99, 30:75] = 7
    labels = {3: vocabulary.LEFT_LUNG, 7: vocabulary.LUNG_NODULE}
    return LabelMap(values, grid, labels, source.frame_of_reference, source.instances)


@pytest.mark.parametrize("name", STACKS)
def test_every_frame_lies_where_its_slice_lies(shared: Path, tmp_path: Path, name: str) -> None:
    found, grid, source = series(shared, name)
    label_map = blocks(grid, source)
    dataset, numbers = write_label_map(label_map, source, author())
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_bytes(dataset))
    assert verify(path) == []
    assert numbers == {3: 1, 7: 2}
    back = pydicom.dcmread(path)
    slices = {str(d.SOPInstanceUID): k for k, d in enumerate(found)}
    pixels = back.pixel_array.reshape(-1, back.Rows, back.Columns)
    seen = set()
    for frame, groups in enumerate(back.PerFrameFunctionalGroupsSequence):
        shared_groups = back.SharedFunctionalGroupsSequence[0]
        owner = groups if "SegmentIdentificationSequence" in groups else shared_groups
        number = owner.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        origin = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        k = slices[origin]
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        assert position == pytest.approx(np.array(found[k].ImagePositionPatient, dtype=float), abs=1e-6)
        label = {1: 3, 2: 7}[number]
        assert np.array_equal(pixels[frame] != 0, label_map.values[k] == label)
        seen.add((label, k))
    present = {(int(label), int(k)) for k, label in zip(*_pairs(label_map.values), strict=True)}
    assert seen == present


def _pairs(values: np.ndarray) -> tuple[list[int], list[int]]:
    pairs = [(k, label) for k in range(len(values)) for label in np.unique(values[k]) if label]
    return [k for k, _ in pairs], [int(label) for _, label in pairs]


@pytest.mark.parametrize("name", ["straight", "oblique"])
def test_highdicom_gets_the_same_volume(shared: Path, name: str) -> None:
    _, grid, source = series(shared, name)
    label_map = blocks(grid, source)
    dataset, numbers = write_label_map(label_map, source, author())
    seg = highdicom.seg.Segmentation.from_dataset(
        pydicom.dcmread(pydicom.filebase.DicomBytesIO(to_bytes(dataset)))
    )
    by_instance = seg.get_pixels_by_source_instance(
        list(source.instances), combine_segments=True, ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )  # fmt: skip
    expected = np.zeros(grid.shape, dtype=np.uint8)
    for label, number in numbers.items():
        expected[label_map.values == label] = number
    assert np.array_equal(by_instance, expected)


def test_dcmtk_reads_the_positions_of_a_sheared_stack(shared: Path, tmp_path: Path) -> None:
    found, grid, source = series(shared, "sheared")
    whole = Mask(np.ones(grid.shape, dtype=bool), grid)
    dataset = write_regions([TrackedRegion(vocabulary.BRAIN, whole, "b")], source, author())
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_bytes(dataset))
    dump = subprocess.run(
        [program("dcmdump"), "+P", "0020,0032", "+P", "0018,0088", str(path)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    read = sorted(float(x.split("\\")[2]) for x in re.findall(r"\(0020,0032\) DS \[([^]]+)\]", dump))
    assert read == pytest.approx([float(d.ImagePositionPatient[2]) for d in found])
    # true spacing along the normal of this 18.5 degree tilt is 4.00 mm; positions step 4.22 mm in z
    spacing = float(re.findall(r"\(0018,0088\) DS \[([^]]+)\]", dump)[0])
    assert spacing == pytest.approx(4.00, abs=0.005)


def test_label_map_encoding_has_only_the_named_errors(shared: Path, tmp_path: Path) -> None:
    _, grid, source = series(shared, "straight")
    label_map = blocks(grid, source)
    dataset, numbers = write_label_map(label_map, source, author(), encoding="labelmap")
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_bytes(dataset))
    errors = verify(path)
    assert len(errors) == 2
    assert all(any(known in error for error in errors) for known in LABEL_MAP_ERRORS)
    back = pydicom.dcmread(path)
    for frame, groups in zip(back.pixel_array, back.PerFrameFunctionalGroupsSequence, strict=True):
        uid = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        k = source.instances.index(uid)
        assert np.array_equal(frame == numbers[7], label_map.values[k] == 7)
        assert np.array_equal(frame == numbers[3], label_map.values[k] == 3)


def test_overlapping_regions_keep_both(tmp_path: Path) -> None:
    grid = Geometry.axial((6, 32, 40), (2.0, 0.8, 0.8))
    source = plain_source(grid)
    a, b = np.zeros(grid.shape, dtype=bool), np.zeros(grid.shape, dtype=bool)
    a[1:4, 5:20, 5:20], b[2:5, 10:30, 10:30] = True, True
    regions = [
        TrackedRegion(vocabulary.LUNG, Mask(a, grid), "f-1"),
        TrackedRegion(vocabulary.LUNG_NODULE, Mask(b, grid), "f-2"),
    ]
    dataset = write_regions(regions, source, author())
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_bytes(dataset))
    assert verify(path) == []
    seg = highdicom.seg.segread(path)
    for number, mask in ((1, a), (2, b)):
        got = seg.get_pixels_by_source_instance(
            list(source.instances), segment_numbers=[number], ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )  # fmt: skip
        assert np.array_equal(got[..., 0] != 0, mask)
    with pytest.raises(InputError, match="overlap"):
        write_regions(regions, source, author(), encoding="labelmap")


def test_segments_carry_tracking_algorithm_and_category(tmp_path: Path) -> None:
    grid = Geometry.axial((3, 8, 8))
    source = plain_source(grid)
    mask = Mask(np.ones(grid.shape, dtype=bool), grid)
    regions = [
        TrackedRegion(vocabulary.LUNG_NODULE, mask, "finding-1"),
        TrackedRegion(vocabulary.LUNG, mask, "lung-1"),
    ]
    dataset = pydicom.dcmread(
        pydicom.filebase.DicomBytesIO(to_bytes(write_regions(regions, source, author())))
    )
    nodule, lung = dataset.SegmentSequence
    assert (nodule.TrackingID, nodule.TrackingUID) == ("finding-1", tracking_uid("1.2.3.4", "finding-1"))
    assert nodule.TrackingUID != lung.TrackingUID
    assert nodule.SegmentAlgorithmType == "AUTOMATIC"
    identification = nodule.SegmentationAlgorithmIdentificationSequence[0]
    assert (identification.AlgorithmName, identification.AlgorithmVersion) == ("lung_ct", "1.0.0")
    assert nodule.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert lung.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "123037004"
    equipment = dataset.ContributingEquipmentSequence[0]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Processing Algorithm"
    assert (equipment.ManufacturerModelName, equipment.SoftwareVersions) == ("lung_ct", "1.0.0")
    assert equipment.DeviceUID.startswith("2.25.")
    assert dataset.ImageType[0] == "DERIVED"
    assert dataset.ContentLabel == dataset.ImageComments == "SIMULATED"
    assert dataset.SeriesDescription.startswith("SIMULATED")
    assert (dataset.ContentDate, dataset.ContentTime) == ("20260304", "050607")
    by_reader = write_regions(regions, plain_source(grid, simulated=False), author(Reader("dr.ay")))
    assert by_reader.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
    assert str(by_reader.ContentCreatorName) == "dr.ay^"
    assert "SIMULATED" not in str(by_reader)


def test_identifiers_come_from_the_generator_handed_in() -> None:
    grid = Geometry.axial((2, 8, 8))
    regions = [TrackedRegion(vocabulary.LUNG, Mask(np.ones(grid.shape, dtype=bool), grid), "x")]
    a, b, c = (
        write_regions(regions, plain_source(grid), author(seed=seed)).SOPInstanceUID for seed in (1, 1, 2)
    )
    assert a == b != c
    twice = [to_bytes(write_regions(regions, plain_source(grid), author())) for _ in range(2)]
    assert twice[0] == twice[1]
    assert a.startswith("2.25.")


def test_names_stay_out_of_warnings_and_come_back_in_their_letters(
    recwarn: pytest.WarningsRecorder,
) -> None:
    grid = Geometry.axial((2, 8, 8))
    regions = [TrackedRegion(vocabulary.LUNG, Mask(np.ones(grid.shape, dtype=bool), grid), "x")]
    dataset = write_regions(regions, plain_source(grid, name="GÜNEŞ"), author())
    back = pydicom.dcmread(pydicom.filebase.DicomBytesIO(to_bytes(dataset)))
    assert str(back.PatientName) == "GÜNEŞ"
    assert not any("GÜNEŞ" in str(w.message) for w in recwarn.list)


def test_mask_on_a_projection(shared: Path, tmp_path: Path) -> None:
    header = pydicom.dcmread(shared / "dicom" / "objects" / "dx_image.dcm", stop_before_pixels=True)
    plane = ImagePlane((header.Rows, header.Columns))
    pixels = np.zeros(plane.shape, dtype=bool)
    pixels[10:50, 20:40] = True
    source = Source(dataset=header, instances=(str(header.SOPInstanceUID),))
    region = TrackedRegion(vocabulary.PNEUMONIA, PlaneMask(pixels, plane), "p")
    path = tmp_path / "seg.dcm"
    path.write_bytes(to_bytes(write_regions([region], source, author())))
    assert verify(path) == []
    assert np.array_equal(pydicom.dcmread(path).pixel_array.reshape(plane.shape) != 0, pixels)


def test_regions_of_two_grids_are_refused() -> None:
    grid, other = Geometry.axial((2, 8, 8)), Geometry.axial((2, 8, 8), origin_mm=(0.0, 0.0, 1.0))
    regions = [
        TrackedRegion(vocabulary.LUNG, Mask(np.ones(g.shape, dtype=bool), g), "x") for g in (grid, other)
    ]
    with pytest.raises(GeometryError, match="different grids"):
        write_regions(regions, plain_source(grid), author())
    with pytest.raises(InputError, match="3 source instances for 2 slices"):
        write_regions(
            regions[:1], Source(dataset=plain_source(grid).dataset, instances=("1", "2", "3")), author()
        )


def test_a_chest_ct_is_written_in_time() -> None:
    grid = Geometry.axial((120, 512, 512), (2.5, 0.7, 0.7))
    values = np.random.default_rng(0).integers(0, 4, grid.shape, dtype=np.uint16)
    labels = {1: vocabulary.LEFT_LUNG, 2: vocabulary.RIGHT_LUNG, 3: vocabulary.AIRWAYS}
    label_map = LabelMap(values, grid, labels)
    start = time.process_time()
    to_bytes(write_label_map(label_map, plain_source(grid), author())[0])
    assert time.process_time() - start < 3
