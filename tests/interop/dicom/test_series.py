"""Series become volumes that lie where their headers, highdicom, nibabel and the scanner say."""

from __future__ import annotations

import random
import re
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    EnhancedCTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    UltrasoundMultiFrameImageStorage,
)
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from tests.interop.dicom.files import ROOT, as_bytes, instance, plain, slice_at

from coread.core import Cine, Geometry, Image, TimeSeries, Volume
from coread.errors import DataError
from coread.interop.dicom import Instance, SeriesPart, arrange_series, load_series, read_instance


def read_folder(folder: Path) -> list[Instance]:
    return [read_instance(path.read_bytes()) for path in sorted(folder.glob("*.dcm"))]


def codes(part: SeriesPart) -> set[str]:
    return {note.code for note in part.notes}


def volume(part: SeriesPart) -> Volume:
    assert isinstance(part.value, Volume)
    return part.value


def place_by_the_standard(dataset: Dataset, row: float, column: float) -> NDArray[np.float64]:
    """PS3.3, equation C.7.6.2.1-1."""
    x, y = np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)
    down, along = map(float, dataset.PixelSpacing)
    return np.array(dataset.ImagePositionPatient, dtype=float) + x * along * column + y * down * row


# Real series


def test_gantry_tilt_gives_two_sheared_volumes(shared: Path) -> None:
    parts = load_series(read_folder(shared / "dicom" / "ct_ge_gantrytilt_18.5"))
    lower, upper = map(volume, parts)
    assert [v.values.shape[0] for v in (lower, upper)] == [14, 14]
    # The positions step 4.22 and 7.38 mm in z (1.14 mm between both stacks); slices are 4 and 7 mm thick.
    assert lower.geometry.spacing_mm[0] == pytest.approx(4.22, abs=0.005)
    assert upper.geometry.spacing_mm[0] == pytest.approx(7.38, abs=0.005)
    assert lower.geometry.slice_spacing_mm == pytest.approx(4.0, abs=0.005)
    assert upper.geometry.slice_spacing_mm == pytest.approx(7.0, abs=0.005)
    gap = upper.geometry.to_patient((0, 0, 0)) - lower.geometry.to_patient((13, 0, 0))
    assert np.linalg.norm(gap) == pytest.approx(1.14, abs=0.005)
    for part in parts:
        assert {"gantry_tilt", "uneven_steps"} <= codes(part)
        (tilt,) = [note.text for note in part.notes if note.code == "gantry_tilt"]
        assert "18.5 degrees" in tilt


@pytest.mark.parametrize(
    "folder", ["ct_ge_gantrytilt_18.5", "ct_philips_notilt", "dcmqi_ct3_seg", "mr_ge_genesis_series"]
)
def test_every_corner_lies_where_its_own_header_says(shared: Path, folder: str) -> None:
    paths = sorted((shared / "dicom" / folder).glob("*.dcm"))
    headers = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, paths)}
    seen = 0
    for part in load_series(read_folder(shared / "dicom" / folder)):
        found = volume(part)
        _, rows, columns = found.geometry.shape
        for k, uid in enumerate(found.source_instances):
            header = headers[uid]
            for row, column in ((0, 0), (rows - 1, 0), (0, columns - 1), (rows - 1, columns - 1)):
                expected = place_by_the_standard(header, row, column)
                assert np.allclose(found.geometry.to_patient((k, row, column)), expected, atol=0.01)
            slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
            assert np.array_equal(found.values[k], header.pixel_array * slope + intercept)
            seen += 1
        assert np.linalg.det(found.geometry.affine[:3, :3]) < 0
    assert seen == len(paths)


@pytest.mark.parametrize("folder", ["ct_philips_notilt", "dcmqi_ct3_seg", "mr_ge_genesis_series"])
def test_volumes_equal_highdicoms(shared: Path, folder: str) -> None:
    paths = sorted((shared / "dicom" / folder).glob("*.dcm"))
    expected = highdicom.get_volume_from_series([pydicom.dcmread(path) for path in paths])
    (part,) = load_series(read_folder(shared / "dicom" / folder))
    found = volume(part)
    assert _same_volume(found.values, found.geometry, expected)


def _same_volume(values: NDArray[Any], geometry: Geometry, other: highdicom.Volume) -> bool:
    """highdicom's slices run the other way: its frames are right-handed."""
    ends = [geometry.to_patient((k, 0, 0)) for k in (geometry.shape[0] - 1, 0)]
    theirs = [np.asarray(other.affine @ (k, 0, 0, 1))[:3] for k in (0, geometry.shape[0] - 1)]
    return (
        np.allclose(ends, theirs, atol=1e-3)
        and np.allclose(geometry.affine[:3, 1:3], other.affine[:3, 1:3], atol=1e-6)
        and np.array_equal(values[::-1], other.array)
    )


def test_enhanced_mr_equals_highdicoms(shared: Path) -> None:
    (path,) = (shared / "dicom" / "enhanced_mr").glob("0001*.dcm")
    (part,) = load_series([read_instance(path.read_bytes())])
    found = volume(part)
    assert found.unit == "ADC"
    assert found.source_instances == (pydicom.dcmread(path).SOPInstanceUID,)
    assert _same_volume(found.values, found.geometry, highdicom.imread(path).get_volume())


def test_two_enhanced_mr_of_one_place_are_a_series_in_time(shared: Path) -> None:
    paths = [shared / "dicom" / "enhanced_mr" / f"6_{n}.dcm" for n in (1, 2)]
    (part,) = load_series([read_instance(path.read_bytes()) for path in paths])
    assert isinstance(part.value, TimeSeries)
    for t, path in enumerate(paths):
        expected = highdicom.imread(path).get_volume()
        assert _same_volume(part.value.values[t], part.value.geometry, expected)
    assert part.value.times_s[1] > part.value.times_s[0] == 0


def _protocol_positions(path: Path) -> NDArray[np.float64]:
    """Slice centres as the scanner planned them, from the protocol that Siemens keeps with the image."""
    content = bytes(pydicom.dcmread(path)[0x0029, 0x1020].value)
    protocol = content[content.find(b"ASCCONV BEGIN") : content.find(b"ASCCONV END")].decode("latin-1")
    found: dict[int, dict[str, float]] = {}
    for k, axis, value in re.findall(r"asSlice\[(\d+)\]\.sPosition\.d(Sag|Cor|Tra)\s*=\s*(\S+)", protocol):
        found.setdefault(int(k), {})[axis] = float(value)
    return np.array([[found[k].get(a, 0.0) for a in ("Sag", "Cor", "Tra")] for k in sorted(found)])


def _mosaics(shared: Path) -> list[Path]:
    folders = ("mr_siemens_mosaic_mr_0003", "mr_siemens_mosaic_mr_0004", "mr_orientations")
    return [path for name in folders for path in sorted((shared / "dicom" / name).glob("*.dcm"))]


def test_mosaic_tiles_lie_where_the_scanner_planned_them(shared: Path) -> None:
    for path in _mosaics(shared):
        (part,) = load_series([read_instance(path.read_bytes())])
        geometry = volume(part).geometry
        slices, rows, columns = geometry.shape
        planned = _protocol_positions(path)
        assert len(planned) == slices
        # Siemens plans the centre on pixel n / 2. Ours are sorted along the normal.
        centres = geometry.to_patient([[k, rows / 2, columns / 2] for k in range(slices)])
        if np.linalg.norm(centres[0] - planned[0]) > 1:
            centres = centres[::-1]
        assert np.abs(centres - planned).max() < 1e-3


def test_mosaics_equal_nibabels(shared: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nibabel.nicom.dicomwrappers import wrapper_from_file
    for path in _mosaics(shared):
        (part,) = load_series([read_instance(path.read_bytes())])
        found = volume(part)
        theirs = wrapper_from_file(path)
        data = np.moveaxis(theirs.get_data(), -1, 0)  # nibabel: axes (row, column, slice), tiles unsorted
        for n, tile in enumerate(data):
            index = found.geometry.to_index((theirs.affine @ (0, 0, n, 1))[:3])
            k = round(float(index[0]))
            assert np.abs(index - (k, 0, 0)).max() < 1e-2
            assert np.array_equal(found.values[k], tile)


def test_three_orientations_show_the_same_head(shared: Path) -> None:
    """Sampled in the patient, they agree better than with any of them turned back to front."""
    volumes = [
        volume(load_series([read_instance(path.read_bytes())])[0])
        for path in sorted((shared / "dicom" / "mr_orientations").glob("*.dcm"))
    ]
    axes = (np.arange(-60, 60, 5.0), np.arange(-120, 60, 5.0), np.arange(-70, 50, 5.0))
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def sample(values: NDArray[Any], geometry: Geometry) -> NDArray[np.float64]:
        index = np.moveaxis(geometry.to_index(points), -1, 0)
        return map_coordinates(values.astype(float), index, order=1, cval=np.nan)

    def agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        both = np.isfinite(a) & np.isfinite(b)
        return float(np.corrcoef(a[both], b[both])[0, 1])

    right = [sample(v.values, v.geometry) for v in volumes]
    turned = [sample(v.values[::-1], v.geometry) for v in volumes]
    for i in range(3):
        for j in range(3):
            if i != j:
                assert agreement(right[i], right[j]) > 0.8
                assert agreement(right[i], right[j]) > agreement(right[i], turned[j]) + 0.05


def test_uih_vframes_lie_where_their_private_headers_say(shared: Path) -> None:
    instances = read_folder(shared / "dicom" / "mr_uih_dti")
    parts = load_series(instances)
    assert len(parts) == len(instances) == 17  # one without and 16 with diffusion weighting
    assert {volume(part).values.shape for part in parts} == {(20, 64, 64)}
    by_uid = {i.header.instance: i.dataset for i in instances}
    for part in parts:
        found = volume(part)
        dataset = by_uid[found.source_instances[0]]
        frames = dataset.private_block(0x0065, "Image Private Header")[0x51].value
        assert len(frames) == 20
        for frame in frames:
            centre = np.array(frame[0x0065, 0x1015].value, dtype=float)
            index = found.geometry.to_index(centre)
            assert np.abs(index[1:] - 32).max() < 0.01  # centred on pixel n / 2, as UIH counts
            k = round(float(index[0]))
            assert abs(index[0] - k) < 0.01
            n = frames.index(frame)
            top, left = n // 5 * 64, n % 5 * 64
            assert np.array_equal(found.values[k], dataset.pixel_array[top : top + 64, left : left + 64])


# Made series


def rotated(seed: int) -> NDArray[np.float64]:
    return np.asarray(Rotation.random(random_state=seed).as_matrix())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 9),
    step=st.floats(0.3, 12.0),
    shear=st.floats(-0.6, 0.6),
    spacing=st.tuples(st.floats(0.2, 3.0), st.floats(0.2, 3.0)),
)
def test_any_stack_is_found_in_any_order_of_files(
    seed: int, count: int, step: float, shear: float, spacing: tuple[float, float]
) -> None:
    turn = rotated(seed)
    along, down, normal = turn[:, 0], turn[:, 1], turn[:, 2]
    origin = np.random.default_rng(seed).uniform(-300, 300, 3)
    across = step * (normal + shear * down)
    numbers = random.Random(seed).sample(range(1, count + 1), count)  # instance numbers say nothing
    instances = [
        slice_at(
            origin + k * across,
            numbers[k],
            ImageOrientationPatient=[round(float(x), 8) for x in (*along, *down)],
            PixelSpacing=[round(spacing[0], 6), round(spacing[1], 6)],
        )
        for k in range(count)
    ]
    shuffled = random.Random(seed + 1).sample(instances, count)
    (part,) = load_series(shuffled)
    found = volume(part)
    expected = np.eye(4)
    expected[:3] = np.stack([across, down * spacing[0], along * spacing[1], origin], axis=1)
    assert np.abs(found.geometry.affine - expected).max() < 1e-4
    assert found.values[:, 0, 0].tolist() == numbers
    assert found.source_instances == tuple(f"{ROOT}.1.1.{n}" for n in numbers)
    (again,) = load_series(instances)
    assert np.array_equal(volume(again).geometry.affine, found.geometry.affine)
    assert again.key == part.key == f"{ROOT}.1.1"


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_mixed_series_is_split_alike_in_any_order(data: st.DataObject) -> None:
    pieces = []
    number = 1
    for _ in range(data.draw(st.integers(1, 4))):
        start, count = data.draw(st.integers(0, 60)), data.draw(st.integers(1, 5))
        for k in range(count):
            pieces.append(slice_at((0, 0, start * 5 + k * 2.5), number))
            number += 1
    parts = load_series(pieces)
    again = load_series(data.draw(st.permutations(pieces)))
    assert [p.key for p in parts] == [p.key for p in again]
    assert len({p.key for p in parts}) == len(parts)
    for one, other in zip(parts, again, strict=True):
        assert isinstance(one.value, Volume)
        assert isinstance(other.value, Volume)
        assert one.value.source_instances == other.value.source_instances
        assert one.notes == other.notes
    uids = [uid for p in parts for uid in volume(p).source_instances]
    assert sorted(uids) == sorted(i.header.instance for i in pieces)  # nothing lost, nothing twice
    for part in parts:
        steps = [
            np.linalg.norm(b - a)
            for a, b in pairwise(
                volume(part).geometry.to_patient((k, 0, 0)) for k in range(len(volume(part).values))
            )
        ]
        assert np.allclose(steps, steps[0]) if steps else True


def test_a_missing_slice_splits_and_says_so() -> None:
    parts = load_series([slice_at((0, 0, z), n) for n, z in enumerate((0, 2, 4, 8, 10, 12), start=1)])
    assert [len(volume(p).values) for p in parts] == [3, 3]
    assert all(any("1 slice is missing" in note.text for note in p.notes) for p in parts)
    assert [p.key for p in parts] == [f"{ROOT}.1.1.1", f"{ROOT}.1.1.2"]


def test_duplicate_slices_are_kept_apart() -> None:
    parts = load_series([slice_at((0, 0, z), n) for n, z in enumerate((0, 2, 4, 6, 2), start=1)])
    assert [volume(p).values[:, 0, 0].tolist() for p in parts] == [[1, 2, 3, 4], [5]]
    assert all("duplicate_slices" in codes(p) for p in parts)


def test_rounded_positions_stay_one_volume() -> None:
    positions = [(0, 0, round(n * 0.625, 1)) for n in range(40)]
    (part,) = load_series([slice_at(p, n) for n, p in enumerate(positions, start=1)])
    assert volume(part).geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.005)


def test_a_single_slice_takes_its_thickness() -> None:
    (part,) = load_series([slice_at((1, 2, 3))])
    assert volume(part).geometry.spacing_mm == (2.0, 0.5, 0.5)
    (part,) = load_series([slice_at((1, 2, 3), SliceThickness=None)])
    assert volume(part).geometry.spacing_mm == (1.0, 0.5, 0.5)
    assert any("not known" in note.text for note in part.notes)


def test_localizers_orientations_sizes_and_spacings_are_told_apart() -> None:
    stack = [slice_at((0, 0, z), n) for n, z in enumerate((0, 2, 4), start=1)]
    scout = slice_at((0, 0, 2), 9, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    parts = load_series([*stack, scout])
    assert [volume(p).acquisition.localizer for p in parts] == [False, True]
    assert all("localizers" in p.notes[0].text for p in parts)
    for change, word in (
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "orientations"),
        ({"PixelSpacing": [0.6, 0.6]}, "pixel spacings"),
        ({"FrameOfReferenceUID": f"{ROOT}.8"}, "frames of reference"),
    ):
        parts = load_series([*stack, slice_at((0, 0, 6), 9, **change)])
        assert [len(volume(p).values) for p in parts] == [3, 1]
        assert all(word in p.notes[0].text for p in parts)
    other = instance(
        plain(
            np.zeros((8, 8), np.int16),
            SOPInstanceUID=f"{ROOT}.77",
            InstanceNumber=9,
            ImagePositionPatient=[0, 0, 6],
        )
    )
    assert [len(volume(p).values) for p in load_series([*stack, other])] == [3, 1]


def test_echoes_are_separate_volumes_and_times_are_a_series() -> None:
    mr = {"SOPClassUID": MRImageStorage, "Modality": "MR"}
    echoes = [
        slice_at((0, 0, z), 10 * e + n, EchoNumbers=e, **mr) for e in (1, 2) for n, z in enumerate((0, 3, 6))
    ]
    parts = load_series(echoes)
    assert [volume(p).values[:, 0, 0].tolist() for p in parts] == [[10, 11, 12], [20, 21, 22]]
    assert all("split_by_contrast" in codes(p) for p in parts)
    phases = [
        slice_at((0, 0, z), 10 * t + n, AcquisitionTime=f"1015{10 + 4 * t:02d}.5", **mr)
        for t in (1, 2, 3)
        for n, z in enumerate((0, 3, 6))
    ]
    (part,) = load_series(phases)
    assert isinstance(part.value, TimeSeries)
    assert part.value.times_s == (0.0, 4.0, 8.0)
    assert part.value.values[:, :, 0, 0].tolist() == [[10, 11, 12], [20, 21, 22], [30, 31, 32]]


def enhanced_ct() -> Dataset:
    """Two stacks of two slices each in one file, frames out of order, a rescale of their own."""
    stored = np.arange(4, dtype=np.int16)[:, None, None] * np.ones((1, 4, 6), np.int16)
    dataset = plain(
        stored,
        SOPClassUID=EnhancedCTImageStorage,
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        SliceThickness=None,
    )

    def item(**values: Any) -> Sequence:
        inner = Dataset()
        for keyword, value in values.items():
            setattr(inner, keyword, value)
        return Sequence([inner])

    shared_groups, frames = Dataset(), []
    shared_groups.PixelMeasuresSequence = item(PixelSpacing=[0.5, 0.25], SliceThickness=5)
    shared_groups.PlaneOrientationSequence = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    for stack, z, slope in (("1", 5, 2), ("2", 0, 3), ("1", 0, 2), ("2", 5, 3)):
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=[0, 0, z])
        frame.FrameContentSequence = item(StackID=stack)
        frame.PixelValueTransformationSequence = item(
            RescaleSlope=slope, RescaleIntercept=-10, RescaleType="HU"
        )
        frame.FrameVOILUTSequence = item(WindowCenter=40, WindowWidth=80)
        frames.append(frame)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared_groups])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return dataset


def test_stacks_of_an_enhanced_ct_have_their_own_places_and_values() -> None:
    parts = load_series([instance(enhanced_ct())])
    assert [volume(p).values[:, 0, 0].tolist() for p in parts] == [[2 * 2 - 10, 0 * 2 - 10], [-7, -1]]
    for part in parts:
        assert volume(part).geometry.spacing_mm == (5.0, 0.5, 0.25)
        assert volume(part).unit == "HU"
        assert (part.windows[0].center, part.windows[0].width) == (40, 80)


# Values


def test_monochrome1_is_turned_over_with_its_window(shared: Path) -> None:
    path = shared / "dicom" / "objects" / "dx_image.dcm"
    header = pydicom.dcmread(path)
    assert header.PhotometricInterpretation == "MONOCHROME1"
    (part,) = load_series([read_instance(path.read_bytes())])
    assert isinstance(part.value, Image)
    assert np.array_equal(part.value.values, 255 - header.pixel_array)
    window = part.windows[0]
    assert window.center == pytest.approx(255 - float(header.WindowCenter))
    assert window.width == float(header.WindowWidth)


def test_monochrome1_with_a_physical_unit_keeps_its_numbers() -> None:
    stored = np.array([[0, 100], [200, 300]], np.uint16)
    dataset = plain(
        stored,
        SOPClassUID=PositronEmissionTomographyImageStorage,
        Modality="PT",
        Units="BQML",
        PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=2,
        RescaleIntercept=0,
    )
    (part,) = load_series([instance(dataset)])
    assert volume(part).unit == "Bq/mL"
    assert np.array_equal(volume(part).values[0], stored * 2)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_turning_over_stays_within_the_stored_bits(dtype: str) -> None:
    info = np.iinfo(dtype)
    stored = np.array([[info.min, info.max], [0, 1]], dtype)
    dataset = plain(
        stored,
        SOPClassUID=DigitalXRayImageStorageForPresentation,
        Modality="DX",
        PhotometricInterpretation="MONOCHROME1",
        ImagePositionPatient=None,
    )
    (part,) = load_series([instance(dataset)])
    assert isinstance(part.value, Image)
    expected = [[info.max, info.min], [info.max + info.min, info.max + info.min - 1]]
    assert part.value.values.tolist() == expected


def test_padding_is_marked_whatever_sign_its_header_has() -> None:
    stored = np.array([[-2000, -2000, 5], [-1999, 7, 8]], np.int16)
    content = as_bytes(plain(stored, PixelPaddingValue=-2000, RescaleSlope=1, RescaleIntercept=-1024))
    (part,) = load_series([read_instance(content)])
    padding = volume(part).padding
    assert padding is not None
    assert padding[0].tolist() == [[True, True, False], [False, False, False]]
    assert volume(part).values[0, 1, 1] == 7 - 1024
    dataset = plain(stored, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1999)
    (part,) = load_series([instance(dataset)])
    padding = volume(part).padding
    assert padding is not None
    assert padding.sum() == 3
    dataset = plain(stored)
    dataset.add_new(0x00280120, "US", 63536)  # -2000 as an unsigned number
    (part,) = load_series([instance(dataset)])
    padding = volume(part).padding
    assert padding is not None
    assert padding.sum() == 2


def test_a_modality_table_is_looked_up() -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 10, 16]
    table.LUTData = [100, 200, 300, 400]
    table.ModalityLUTType = "OD"
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    stored = np.array([[9, 10, 11], [12, 13, 14]], np.uint16)
    (part,) = load_series([instance(plain(stored, ModalityLUTSequence=Sequence([table])))])
    # PS3.3, C.11.1.1.1: below the first mapped value the first entry, above the last one the last entry
    assert volume(part).values[0].tolist() == [[100, 100, 200], [300, 400, 400]]


def test_slopes_may_differ_from_slice_to_slice() -> None:
    instances = [slice_at((0, 0, 2 * n), n, RescaleSlope=n, RescaleIntercept=1) for n in (1, 2, 3)]
    (part,) = load_series(instances)
    assert volume(part).values[:, 0, 0].tolist() == [2.0, 5.0, 10.0]


def test_an_adc_of_unknown_unit_is_left_as_stored_and_says_so() -> None:
    mr = {"SOPClassUID": MRImageStorage, "Modality": "MR", "ImageType": ["DERIVED", "PRIMARY", "ADC"]}
    (part,) = load_series([slice_at((0, 0, 0), Manufacturer="Somebody", **mr)])
    assert volume(part).unit == "stored"
    assert "adc_unit" in codes(part)


# Pictures without a place


def film(**attributes: Any) -> Image:
    values: dict[str, Any] = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "Modality": "DX",
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
        "PixelSpacing": None,
    }
    (part,) = load_series([instance(plain(np.zeros((4, 6), np.uint16), **(values | attributes)))])
    assert isinstance(part.value, Image)
    return part.value


@pytest.mark.parametrize(
    ("attributes", "kind", "spacing"),
    [
        ({}, "unknown", None),
        ({"ImagerPixelSpacing": [0.2, 0.3]}, "detector", (0.2, 0.3)),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]}, "detector", (0.2, 0.2)),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.1, 0.1]}, "calibrated", (0.1, 0.1)),
        (
            {"PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"},
            "calibrated",
            (0.1, 0.1),
        ),
        ({"PixelSpacing": [0.1, 0.1]}, "detector", (0.1, 0.1)),
        ({"Modality": "OT", "PixelSpacing": [0.1, 0.1]}, "unknown", None),
        ({"Modality": "OT", "NominalScannedPixelSpacing": [0.1, 0.1]}, "detector", (0.1, 0.1)),
        ({"ImagerPixelSpacing": [0, 0]}, "unknown", None),
    ],
)
def test_spacing_means_what_the_standard_says(
    attributes: dict[str, Any], kind: str, spacing: tuple[float, float] | None
) -> None:
    plane = film(**attributes).plane
    assert plane.spacing_kind == kind
    assert plane.spacing_mm == (None if spacing is None else pytest.approx(spacing))


def test_view_and_side_are_codes() -> None:
    plane = film(ViewPosition="PA", ImageLaterality="L").plane
    assert plane.view is not None
    assert (plane.view.value, plane.view.scheme) == ("272479007", "SCT")
    assert plane.laterality is not None
    assert plane.laterality.value == "7771000"


def test_ultrasound_is_a_cine_in_its_calibrated_scale(shared: Path) -> None:
    path = shared / "dicom" / "transfer_syntax" / "examples_ybr_color.dcm"
    header = pydicom.dcmread(path)
    (part,) = load_series([read_instance(path.read_bytes())])
    assert isinstance(part.value, Cine)
    assert part.value.values.shape == (30, 240, 320, 3)
    frame_time_s = float(header.FrameTime) / 1000
    assert part.value.times_s == pytest.approx([n * frame_time_s for n in range(30)])
    region = header.SequenceOfUltrasoundRegions[0]
    assert part.value.plane.spacing_kind == "calibrated"
    assert part.value.plane.spacing_mm == pytest.approx(
        (region.PhysicalDeltaY * 10, region.PhysicalDeltaX * 10)
    )


def test_frame_times_may_differ() -> None:
    values = np.zeros((3, 4, 6), np.uint8)
    dataset = plain(
        values,
        SOPClassUID=UltrasoundMultiFrameImageStorage,
        Modality="US",
        ImagePositionPatient=None,
        FrameTimeVector=[0, 20, 30],
    )
    (part,) = load_series([instance(dataset)])
    assert isinstance(part.value, Cine)
    assert part.value.times_s == pytest.approx((0.0, 0.02, 0.05))
    del dataset.FrameTimeVector
    parts = load_series([instance(dataset)])
    assert len(parts) == 3
    assert all("frames_without_time" in codes(p) for p in parts)


# All together


def test_an_undecodable_slice_is_left_out_and_the_rest_loads() -> None:
    good = [slice_at((0, 0, 2 * n), n) for n in (1, 2, 3)]
    dataset = plain(SOPInstanceUID=f"{ROOT}.1.1.4", ImagePositionPatient=[0, 0, 8])
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    bad = read_instance(as_bytes(dataset, "1.2.840.10008.1.2.4.70"))
    (part,) = load_series([*good, bad])
    assert volume(part).values[:, 0, 0].tolist() == [1, 2, 3]
    assert any(note.code == "undecodable" and "1 image left out" in note.text for note in part.notes)
    with pytest.raises(DataError):
        load_series([bad])


def test_layouts_need_headers_only(shared: Path) -> None:
    paths = sorted((shared / "dicom" / "ct_ge_gantrytilt_18.5").glob("*.dcm"))
    headers = [read_instance(path.read_bytes(), pixels=False) for path in paths]
    layouts = arrange_series(headers)
    parts = load_series(read_folder(shared / "dicom" / "ct_ge_gantrytilt_18.5"))
    for layout, part in zip(layouts, parts, strict=True):
        found = volume(part)
        assert layout.key == part.key
        assert layout.kind == "volume"
        assert layout.shape == found.values.shape
        assert layout.notes == part.notes
        assert tuple(frame.instance for frame in layout.frames) == found.source_instances
        assert [w.name for w in layout.presets[:2]] == ["soft tissue", "lung"]


def test_objects_are_no_part_of_a_series(shared: Path) -> None:
    segmentation = read_instance((shared / "dicom" / "objects" / "seg_image_ct_binary.dcm").read_bytes())
    assert arrange_series([segmentation]) == ()
