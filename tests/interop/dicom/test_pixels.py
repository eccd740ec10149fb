"""Decoded pixels equal what pydicom, DCMTK, GDCM and OpenJPH make of them, or what was encoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_color_lut
from tests.interop.dicom.files import ROOT, as_bytes, dcmtk, instance, plain

from coread.errors import DataError, InputError
from coread.interop.dicom import decode_frame, frame_attributes, read_instance, stored_frames

UNCOMPRESSED_OR_RLE = (
    "transfer_syntax/CT_small",
    "transfer_syntax/ExplVR_BigEnd",
    "transfer_syntax/MR_small_bigendian",
    "transfer_syntax/MR_small_implicit",
    "transfer_syntax/MR_small_RLE",
    "transfer_syntax/RLELossless",
    "transfer_syntax/SC_rgb_small_odd",
    "transfer_syntax/SC_rgb_jpeg_dcmd",
    "transfer_syntax/examples_overlay",
    "transfer_syntax/image_dfl",
    "objects/ct_image",
    "objects/dx_image",
    "objects/sm_image_numbers",
    "objects/rtdose",
    "objects/seg_image_ct_binary",
    "objects/seg_image_sm_control_labelmap",
    "enhanced_mr/6_1",
    "mr_ge_genesis_series/MR01",
)
ENCODED_BY_JPEG = {
    "transfer_syntax/JPEG-LL": ("dcmdjpeg", 0),
    "transfer_syntax/JPGLosslessP14SV1_1s_1f_8b": ("dcmdjpeg", 0),
    "ct_same_image_every_syntax/CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70": (
        "dcmdjpeg",
        0,
    ),
    "transfer_syntax/JPEG-lossy": ("dcmdjpeg", 1),
    "transfer_syntax/MR_small_jpeg_ls_lossless": ("dcmdjpls", 0),
    "transfer_syntax/JPEGLSNearLossless_08": ("dcmdjpls", 0),
    "transfer_syntax/JLSL_RGB_ILV2": ("dcmdjpls", 0),
    "transfer_syntax/JLSN_RGB_ILV0": ("dcmdjpls", 0),
    "ct_same_image_every_syntax/CTImage.dcm_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80": (
        "dcmdjpls",
        0,
    ),
    "ct_same_image_every_syntax/CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5": ("dcmdrle", 0),
}


def frames_of(path: Path) -> NDArray[Any]:
    return stored_frames(read_instance(path.read_bytes()).dataset)


def largest_difference(a: NDArray[Any], b: NDArray[Any]) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max())


@pytest.mark.parametrize("name", UNCOMPRESSED_OR_RLE)
def test_uncompressed_and_rle_pixels_equal_pydicoms(shared: Path, name: str) -> None:
    path = shared / "dicom" / f"{name}.dcm"
    expected = pydicom.dcmread(path).pixel_array
    decoded = frames_of(path)
    assert largest_difference(decoded, expected.reshape(decoded.shape)) == 0
    assert decoded.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")


@pytest.mark.parametrize("name", ENCODED_BY_JPEG)
def test_jpeg_and_rle_pixels_equal_dcmtks(shared: Path, tmp_path: Path, name: str) -> None:
    program, tolerance = ENCODED_BY_JPEG[name]
    path = shared / "dicom" / f"{name}.dcm"
    if name.endswith(("ILV2", "ILV0")):  # written without preamble and UIDs, which DCMTK asks for
        whole = tmp_path / "whole.dcm"
        dataset = pydicom.dcmread(path, force=True)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.7"
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.save_as(whole)
        expected = dcmtk(program, whole, tmp_path / "out.dcm")
    else:
        expected = dcmtk(program, path, tmp_path / "out.dcm")
    decoded = frames_of(path)
    assert largest_difference(decoded, expected.pixel_array.reshape(decoded.shape)) <= tolerance


@pytest.mark.parametrize("name", ["JPEGProcess1", "examples_ybr_color"])
def test_jpeg_colour_is_within_one_of_dcmtks(shared: Path, tmp_path: Path, name: str) -> None:
    path = shared / "dicom" / "transfer_syntax" / f"{name}.dcm"
    expected = dcmtk("dcmdjpeg", path, tmp_path / "out.dcm", "+cp").pixel_array
    decoded = frames_of(path)
    assert largest_difference(decoded, expected.reshape(decoded.shape)) <= 1


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("693_J2KR", 0), ("J2K_pixelrep_mismatch", 0), ("MR2_J2KI", 1), ("examples_jpeg2k", 0)],
)
def test_jpeg2000_pixels_equal_gdcms(shared: Path, name: str, tolerance: int) -> None:
    path = shared / "dicom" / "transfer_syntax" / f"{name}.dcm"
    dataset = pydicom.dcmread(path)
    image = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    expected = np.rint((image.astype(np.float64) - intercept) / slope).astype(np.int64)
    decoded = frames_of(path)
    assert largest_difference(decoded, expected.reshape(decoded.shape)) <= tolerance


def test_htj2k_pixels_equal_openjphs(shared: Path) -> None:
    path = shared / "dicom" / "transfer_syntax" / "HTJ2K_08_RGB.dcm"
    frame = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    # This build of OpenJPH lets what is above 255 wrap round to 0: compare modulo 256, within 1.
    difference = frames_of(path)[0] - imagecodecs.htj2k_decode(frame)
    assert np.isin(difference, (0, 1, 255)).all()


def test_one_image_in_six_lossless_syntaxes_is_one_image(shared: Path) -> None:
    folder = shared / "dicom" / "ct_same_image_every_syntax"
    paths = [p for p in sorted(folder.glob("*.dcm")) if "JPEG2000" not in p.name]
    assert len(paths) == 6
    first = frames_of(paths[0])
    assert all(np.array_equal(first, frames_of(path)) for path in paths[1:])


def test_lossless_jpeg2000_equals_the_uncompressed_original(shared: Path) -> None:
    folder = shared / "dicom" / "transfer_syntax"
    assert np.array_equal(frames_of(folder / "693_J2KR.dcm"), frames_of(folder / "693_UNCR.dcm"))


@pytest.mark.parametrize("name", ["OBXXXX1A_rle", "OBXXXX1A_rle_2frame", "examples_palette", "OT-PAL-8-face"])
def test_palette_gives_pydicoms_colours(shared: Path, name: str) -> None:
    path = shared / "dicom" / "transfer_syntax" / f"{name}.dcm"
    dataset = read_instance(path.read_bytes()).dataset
    indices = dataset.pixel_array
    expected = apply_color_lut(indices, dataset)
    decoded = stored_frames(dataset)
    expected = expected >> 8 if expected.dtype == np.uint16 else expected
    assert largest_difference(decoded, expected.reshape(decoded.shape)) == 0


def test_ybr_422_without_compression_is_that_of_its_bytes(shared: Path) -> None:
    path = shared / "dicom" / "transfer_syntax" / "SC_ybr_full_422_uncompressed.dcm"
    data = np.frombuffer(pydicom.dcmread(path).PixelData, np.uint8).reshape(100, 50, 4).astype(float)
    luminance = data[..., :2].reshape(100, 100)
    blue, red = (np.repeat(data[..., k], 2, axis=1) - 128 for k in (2, 3))
    # PS3.3, C.7.6.3.1.2, solved for RGB
    expected = np.stack(
        [luminance + 1.402 * red, luminance - 0.344136 * blue - 0.714136 * red, luminance + 1.772 * blue], -1
    )
    expected = np.clip(expected, 0, 255)
    assert np.abs(frames_of(path)[0] - expected).max() <= 1


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_bits_around_the_stored_ones_are_ignored(data: st.DataObject) -> None:
    stored_bits = data.draw(st.integers(1, 16))
    high_bit = data.draw(st.integers(stored_bits - 1, 15))
    signed = data.draw(st.booleans())
    seed = data.draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    low = -(1 << (stored_bits - 1)) if signed else 0
    values = rng.integers(low, low + (1 << stored_bits), (3, 5))
    junk = rng.integers(0, 1 << 16, (3, 5))
    shift = high_bit + 1 - stored_bits
    field = ((1 << stored_bits) - 1) << shift
    words = ((values << shift) & field) | (junk & ~field & 0xFFFF)
    dataset = plain(
        words.astype(np.uint16),
        BitsStored=stored_bits,
        HighBit=high_bit,
        PixelRepresentation=int(signed),
    )
    assert np.array_equal(stored_frames(instance(dataset).dataset)[0], values)


@pytest.mark.parametrize(
    ("program", "option", "decoded_type"),
    [
        ("dcmcrle", "", "int16"),
        ("dcmcrle", "", "uint16"),
        ("dcmcrle", "", "uint8"),
        ("dcmcjpeg", "+e1", "uint16"),
        ("dcmcjpeg", "+e1", "int16"),
        ("dcmcjpeg", "+e1", "uint8"),
        ("dcmcjpls", "+el", "uint16"),
        ("dcmcjpls", "+el", "int16"),
        ("dcmcjpls", "+el", "uint8"),
    ],
)
def test_what_dcmtk_encodes_without_loss_comes_back(
    tmp_path: Path, program: str, option: str, decoded_type: str
) -> None:
    info = np.iinfo(decoded_type)
    rng = np.random.default_rng(5)
    ramp = np.linspace(info.min, info.max, 7 * 9).reshape(7, 9)
    values = np.where(rng.random((7, 9)) < 0.5, ramp, rng.integers(info.min, info.max, (7, 9)))
    dataset = plain(values.astype(decoded_type))
    (tmp_path / "in.dcm").write_bytes(as_bytes(dataset))
    encoded = tmp_path / "out.dcm"
    dcmtk(program, tmp_path / "in.dcm", encoded, *([option] if option else []))
    assert np.array_equal(frames_of(encoded)[0], values.astype(decoded_type))


@pytest.mark.parametrize("program", ["dcmcrle", "dcmcjpls"])
def test_planes_and_odd_sizes_of_colour_come_back(tmp_path: Path, program: str) -> None:
    values = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    (tmp_path / "in.dcm").write_bytes(as_bytes(plain(values)))
    dcmtk(program, tmp_path / "in.dcm", tmp_path / "out.dcm")
    assert np.array_equal(frames_of(tmp_path / "out.dcm")[0], values)


def test_separate_colour_planes_are_interleaved() -> None:
    values = np.random.default_rng(2).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    dataset = plain(values, PlanarConfiguration=1, PixelData=np.moveaxis(values, -1, 0).tobytes())
    assert np.array_equal(stored_frames(instance(dataset).dataset)[0], values)


def test_one_bit_frames_are_unpacked_across_bytes() -> None:
    values = np.random.default_rng(3).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    packed = np.packbits(values.ravel(), bitorder="little").tobytes()
    dataset = plain(
        values, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed + b"\0" * (len(packed) % 2)
    )
    read = instance(dataset).dataset
    assert np.array_equal(stored_frames(read), values)
    assert np.array_equal(decode_frame(read, 1), values[1])


@pytest.mark.parametrize(
    "name", ["transfer_syntax/examples_ybr_color", "enhanced_mr/6_1", "transfer_syntax/OBXXXX1A_rle_2frame"]
)
def test_one_frame_is_that_of_all_frames(shared: Path, name: str) -> None:
    content = (shared / "dicom" / f"{name}.dcm").read_bytes()
    frames = stored_frames(read_instance(content).dataset)
    for n in (0, len(frames) - 1):
        assert np.array_equal(decode_frame(content, n), frames[n])
    with pytest.raises(InputError, match="counted from 0"):
        decode_frame(content, len(frames))


def test_frame_attributes_describe_what_is_decoded(shared: Path) -> None:
    for path in sorted((shared / "dicom" / "transfer_syntax").glob("*.dcm")):
        if path.stem == "RG1_J2KI":
            continue
        dataset = read_instance(path.read_bytes()).dataset
        frame, says = decode_frame(dataset), frame_attributes(dataset)
        assert frame.shape[:2] == (says["Rows"], says["Columns"])
        assert frame.shape[2:] == ((3,) if says["SamplesPerPixel"] == 3 else ())
        assert frame.dtype.itemsize * 8 == says["BitsAllocated"]
        assert (frame.dtype.kind == "i") == bool(says["PixelRepresentation"])


def test_a_picture_larger_than_its_header_is_refused() -> None:
    bomb = imagecodecs.jpegls_encode(np.zeros((2000, 2000), np.uint8))
    dataset = plain(np.zeros((4, 6), np.uint8), PixelData=encapsulate([bomb]))
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    read = read_instance(as_bytes(dataset, "1.2.840.10008.1.2.4.80"))
    with pytest.raises(DataError, match="2000 x 2000"):
        stored_frames(read.dataset)


@pytest.mark.parametrize("name", ["693_J2KR", "JPEG-LL", "JPEGProcess1", "MR_small_jpeg_ls_lossless"])
def test_a_cut_off_picture_is_refused_not_filled_up(shared: Path, name: str) -> None:
    dataset = read_instance((shared / "dicom" / "transfer_syntax" / f"{name}.dcm").read_bytes()).dataset
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    with pytest.raises(DataError, match="cut off"):
        decode_frame(dataset)


def test_a_damaged_rle_frame_is_an_error_of_ours(shared: Path) -> None:
    dataset = read_instance((shared / "dicom/transfer_syntax/MR_small_RLE.dcm").read_bytes()).dataset
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[:64] + b"\x7f" * 8])
    with pytest.raises(DataError, match="damaged"):
        decode_frame(dataset)
