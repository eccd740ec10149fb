"""Maps as DICOM: values, units and places as other readers see them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from tests.interop.dicom.objects import author, plain_source, program, series, verify

from coread.core import Geometry, ImagePlane, Map, vocabulary
from coread.errors import DataError
from coread.interop.dicom.parametric_map import NOTHING, read_map, write_map
from coread.interop.dicom.writing import Source, to_bytes

SAYS = "Share of lung below -950 HU within 5 mm of each place; it is a measurement and no diagnosis."


def random_map(grid: Geometry, source: Source, unit: str = "1") -> Map:
    values = np.random.default_rng(3).normal(size=grid.shape).astype(np.float32)
    values[0, :7, 4] = np.nan
    return Map(
        values, grid, vocabulary.LOW_ATTENUATION, unit, -1.0, 2.0, SAYS,
        source.frame_of_reference, source.instances,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["straight", "sheared", "oblique", "coronal", "sagittal"])
def test_a_volume_map_keeps_values_and_places(shared: Path, tmp_path: Path, name: str) -> None:
    found, grid, source = series(shared, name)
    wanted = random_map(grid, source)
    path = tmp_path / "map.dcm"
    path.write_bytes(to_bytes(write_map(wanted, source, author())))
    assert verify(path) == []
    back = pydicom.dcmread(path)
    pixels = np.frombuffer(back.FloatPixelData, "<f4").reshape(grid.shape)
    by_instance = {str(d.SOPInstanceUID): k for k, d in enumerate(found)}
    for frame, groups in enumerate(back.PerFrameFunctionalGroupsSequence):
        k = by_instance[groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        position = [float(x) for x in groups.PlanePositionSequence[0].ImagePositionPatient]
        assert position == pytest.approx([float(x) for x in found[k].ImagePositionPatient], abs=1e-6)
        expected = np.nan_to_num(wanted.values[k], nan=NOTHING)
        assert np.array_equal(pixels[frame], expected)
    ours = read_map(back)
    assert np.array_equal(ours.values, wanted.values, equal_nan=True)
    assert isinstance(ours.grid, Geometry)
    assert ours.grid.almost_equal(grid)
    assert (ours.meaning, ours.unit, ours.low, ours.high) == (wanted.meaning, "1", -1.0, 2.0)
    assert (ours.says, ours.source_instances) == (SAYS, source.instances)


def test_highdicom_applies_the_same_real_world_values(shared: Path) -> None:
    _, grid, source = series(shared, "straight")
    wanted = random_map(grid, source)
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(to_bytes(write_map(wanted, source, author()))))
    image = highdicom.image.Image.from_dataset(dataset)
    volume = image.get_volume(apply_real_world_transform=False)
    order = [list(source.instances).index(
        g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)
        for g in dataset.PerFrameFunctionalGroupsSequence]  # fmt: skip
    assert sorted(order) == list(range(grid.shape[0]))
    index = volume.geometry if hasattr(volume, "geometry") else volume
    corner = index.map_indices_to_reference(np.array([[0, 0, 0]]))[0]
    k = int(np.rint(grid.to_index(corner)[0]))
    assert np.array_equal(volume.array[0], np.nan_to_num(wanted.values[k], nan=NOTHING))
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    first, last = (
        mapping.DoubleFloatRealWorldValueFirstValueMapped,
        mapping.DoubleFloatRealWorldValueLastValueMapped,
    )
    said = wanted.values[np.isfinite(wanted.values)]
    assert first <= said.min() <= said.max() <= last
    assert first > NOTHING


def test_units_are_ucum_and_hounsfield_comes_back() -> None:
    grid = Geometry.axial((2, 8, 8))
    source = plain_source(grid)
    dataset = write_map(random_map(grid, source, "HU"), source, author())
    units = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert units.MeasurementUnitsCodeSequence[0].CodeValue == "[hnsf'U]"
    assert units.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
    assert read_map(dataset).unit == "HU"
    assert dataset.ImageComments.startswith("SIMULATED")
    assert dataset.Laterality == ""
    assert dataset.ImageType[0] == "DERIVED"


def test_dcmtk_sees_the_float_pixels(tmp_path: Path) -> None:
    grid = Geometry.axial((2, 8, 8))
    source = plain_source(grid)
    wanted = random_map(grid, source)
    path = tmp_path / "map.dcm"
    path.write_bytes(to_bytes(write_map(wanted, source, author())))
    assert verify(path) == []
    dump = subprocess.run(
        [program("dcmdump"), "+L", "+P", "7fe0,0008", str(path)], capture_output=True, text=True, check=True
    ).stdout
    values = [float(x) for x in dump.split("OF ")[1].split(" #")[0].strip().split("\\")]
    assert len(values) == wanted.values.size
    frames = [np.array(values[n * 64 : n * 64 + 64]) for n in (0, 1)]
    order = [wanted.source_instances.index(uid) for uid in _frame_sources(path)]
    for frame, k in zip(frames, order, strict=True):
        expected = np.nan_to_num(wanted.values[k], nan=NOTHING).ravel()
        assert frame == pytest.approx(expected, rel=1e-5)


def _frame_sources(path: Path) -> list[str]:
    groups = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
    return [g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID for g in groups]


def test_a_projection_map_is_fractional_and_right_within_half_a_step(shared: Path, tmp_path: Path) -> None:
    header = pydicom.dcmread(shared / "dicom" / "objects" / "dx_image.dcm", stop_before_pixels=True)
    plane = ImagePlane((header.Rows, header.Columns))
    values = np.linspace(-1, 2, plane.shape[0] * plane.shape[1], dtype=np.float32).reshape(plane.shape)
    uid = str(header.SOPInstanceUID)
    wanted = Map(values, plane, vocabulary.CLASS_ACTIVATION, "1", -1.0, 2.0, SAYS, None, (uid,))
    path = tmp_path / "map.dcm"
    path.write_bytes(to_bytes(write_map(wanted, Source(dataset=header, instances=(uid,)), author())))
    assert verify(path) == []
    raw = pydicom.dcmread(path)
    assert raw.SegmentationType == "FRACTIONAL"
    # a plain reader's view of it: 0 is low, MaximumFractionalValue is high
    pixels = raw.pixel_array.reshape(plane.shape)
    assert np.abs(pixels / 255 * 3 - 1 - values).max() <= 3 / 255 / 2 + 1e-6
    back = read_map(raw)
    assert (back.low, back.high, back.unit, back.says) == (-1.0, 2.0, "1", SAYS)
    assert back.source_instances == (uid,)
    assert np.abs(back.values - values).max() <= 3 / 255 / 2 + 1e-6


def test_what_is_no_map_is_refused(shared: Path) -> None:
    folder = shared / "dicom" / "objects"
    with pytest.raises(DataError, match="no map"):
        read_map(pydicom.dcmread(folder / "seg_image_ct_binary.dcm"))
