"""Stored pixel values out of every transfer syntax.

`imagecodecs` decodes; colour, sign, bit depth and planes are put right here, by the header.

References:
    DICOM PS3.5, 8 (encoding of pixel data) and A.4 (encapsulation); PS3.3, C.7.6.3 (image pixel).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.pixels.utils import expand_ybr422

from coread.errors import CoreadError, DataError, InputError
from coread.interop.dicom.attributes import integer, quiet, raw, text
from coread.interop.dicom.codestream import Codestream, read_codestream
from coread.interop.dicom.header import NATIVE, is_encapsulated, read_instance

_COMPRESSED = "1.2.840.10008.1.2.4."
_JPEG = ("50", "51", "57", "70")
_JPEG_LS = ("80", "81")
_JPEG_2000 = ("90", "91", "92", "93", "201", "202", "203")
_RLE = "1.2.840.10008.1.2.5"
_LARGEST_FRAME_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How pixels are written, by the header.

    Attributes:
        frames: Number of frames.
        rows: Of a frame.
        columns: Of a frame.
        samples: Channels as stored.
        photometric: Photometric interpretation.
        bits_allocated: 1, 8, 16, 32 or 64.
        bits_stored: Bits that count.
        high_bit: Their topmost one.
        signed: Whether they are in two's complement.
        planar: Whether channels follow one another instead of being interleaved.
        transfer_syntax: UID.
        little: Whether native values are little endian.
        floating: Whether values are float32 or float64.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    transfer_syntax: str
    little: bool
    floating: bool

    @property
    def stored_type(self) -> np.dtype[Any]:
        """Type of decoded values."""
        if self.floating:
            return np.dtype(f"f{self.bits_allocated // 8}")
        size = 8 if self.bits_allocated <= 8 else self.bits_allocated
        return np.dtype(f"{'i' if self.signed else 'u'}{size // 8}")


def pixel_format(dataset: Dataset) -> PixelFormat:
    """Return how the pixels of a data set are written.

    Raises:
        DataError: The header contradicts itself or asks for what no image has.
    """
    floating = "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset
    bits = integer(dataset, "BitsAllocated") or 0
    if floating:
        bits = 32 if "FloatPixelData" in dataset else 64
    stored = bits if floating else integer(dataset, "BitsStored") or bits
    high = integer(dataset, "HighBit")
    syntax = text(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID")
    form = PixelFormat(
        frames=max(integer(dataset, "NumberOfFrames") or 1, 1),
        rows=integer(dataset, "Rows") or 0,
        columns=integer(dataset, "Columns") or 0,
        samples=integer(dataset, "SamplesPerPixel") or 1,
        photometric=text(dataset, "PhotometricInterpretation").upper() or "MONOCHROME2",
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=stored - 1 if high is None else high,
        signed=integer(dataset, "PixelRepresentation") == 1,
        planar=integer(dataset, "PlanarConfiguration") == 1,
        transfer_syntax=syntax,
        little=bool(dataset.original_encoding[1]) if dataset.original_encoding[1] is not None else True,
        floating=floating,
    )
    if syntax and not is_encapsulated(syntax) and syntax not in NATIVE:
        raise _unsupported(syntax)
    if bits not in (1, 8, 16, 32, 64):
        raise DataError(
            f"pixels of {bits} allocated bits", "1, 8, 16, 32 or 64 bits", "convert the image first"
        )
    if not 1 <= stored <= bits or not stored - 1 <= form.high_bit < bits:
        raise DataError(
            f"{stored} bits stored up to bit {form.high_bit} of {bits}",
            "bits that fit into those allocated",
            "ask the sender for the file again",
        )
    if form.rows * form.columns * form.samples * max(bits // 8, 1) > _LARGEST_FRAME_BYTES:
        raise DataError("a frame of more than 2 GiB", "a smaller frame", "cut the image into tiles")
    return form


def stored_frames(dataset: Dataset) -> NDArray[Any]:
    """Return all decoded frames.

    Args:
        dataset: A data set with pixels, as `read_instance` gives it.

    Returns:
        (frames, rows, columns) of stored values, or (frames, rows, columns, 3) of RGB for colour: YBR is
        converted, palettes are applied; MONOCHROME1 is not turned over and nothing is rescaled.

    Raises:
        DataError: A frame is damaged, or encoded in a way that is not supported.
    """
    with quiet():
        form = pixel_format(dataset)
        if not is_encapsulated(form.transfer_syntax):
            return _finish(dataset, form, *_native(dataset, form, 0, form.frames))
        first: NDArray[Any] | None = None
        last = -1
        for index, frame in enumerate(_encapsulated(dataset, form)):
            if index >= form.frames:
                break
            decoded = _finish(dataset, form, *_decode(frame, form))
            if first is None:
                first = np.empty((form.frames, *decoded.shape[1:]), decoded.dtype)
            first[index] = decoded[0]
            last = index
        if first is None or last + 1 < form.frames:
            raise _damaged(f"{last + 1} of {form.frames} frames are there")
        return first


def decode_frame(source: bytes | Dataset, frame: int = 0) -> NDArray[Any]:
    """Return one decoded frame, by its number from 0.

    Args:
        source: A whole DICOM file, or a data set as `read_instance` gives it.
        frame: Number of the frame, from 0.

    Returns:
        (rows, columns) of stored values, or (rows, columns, 3) of RGB.

    Raises:
        InputError: There is no such frame.
        DataError: The frame is damaged, or encoded in a way that is not supported.
    """
    dataset = read_instance(source).dataset if isinstance(source, bytes) else source
    with quiet():
        form = pixel_format(dataset)
        if not 0 <= frame < form.frames:
            raise InputError(f"frame {frame} was asked for, the image has {form.frames}, counted from 0")
        if not is_encapsulated(form.transfer_syntax):
            return np.asarray(_finish(dataset, form, *_native(dataset, form, frame, 1))[0])
        try:
            encoded = get_frame(
                dataset.PixelData,
                frame,
                extended_offsets=_extended_offsets(dataset),
                number_of_frames=form.frames,
            )
        except Exception as error:
            raise _damaged(f"frame {frame} cannot be found ({type(error).__name__})") from None
        return np.asarray(_finish(dataset, form, *_decode(encoded, form))[0])


def damaged_frames(dataset: Dataset) -> tuple[int, DataError | None]:
    """Return how many compressed frames are damaged beyond use, and the first reason.

    A quick look: heads, sizes and ends of the pictures are read, nothing but RLE is decoded. A supported
    transfer syntax is asked for; of any other every frame counts as damaged.
    """
    with quiet():
        try:
            form = pixel_format(dataset)
            if not is_encapsulated(form.transfer_syntax):
                return 0, None
            frames = list(_encapsulated(dataset, form))
        except DataError as error:
            return max(integer(dataset, "NumberOfFrames") or 1, 1), error
        count, first = max(form.frames - len(frames), 0), None
        if count:
            first = _damaged(f"{len(frames)} of {form.frames} frames are there")
        for frame in frames[: form.frames]:
            try:
                if form.transfer_syntax == _RLE:
                    _decode_rle(frame, form)
                else:
                    _checked_head(frame, form)
            except DataError as error:
                count, first = count + 1, first or error
        return count, first


def frame_attributes(dataset: Dataset) -> dict[str, int | str]:
    """Return the image pixel attributes of what `decode_frame` gives, for whoever sends it on.

    Returns:
        Keywords to values: Rows, Columns, SamplesPerPixel, PhotometricInterpretation, BitsAllocated,
        BitsStored, HighBit, PixelRepresentation, and PlanarConfiguration for colour.
    """
    form = pixel_format(dataset)
    colour = form.samples > 1 or form.photometric == "PALETTE COLOR"
    bits = 8 if colour and form.photometric == "PALETTE COLOR" else max(form.bits_allocated, 8)
    stored = bits if colour or form.bits_allocated == 1 else form.bits_stored
    found: dict[str, int | str] = {
        "Rows": form.rows,
        "Columns": form.columns,
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else form.photometric,
        "BitsAllocated": bits,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(form.signed and not colour),
    }
    if colour:
        found["PlanarConfiguration"] = 0
    return found


def _unsupported(transfer_syntax: str) -> DataError:
    return DataError(
        f"transfer syntax {transfer_syntax} is not supported",
        "JPEG, JPEG-LS, JPEG 2000, RLE or uncompressed pixels",
        "ask the sender for another transfer syntax",
    )


def _damaged(detail: str) -> DataError:
    return DataError(f"the pixels are damaged: {detail}", "complete pixels", "ask the sender for them again")


def _extended_offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    offsets, lengths = raw(dataset, "ExtendedOffsetTable"), raw(dataset, "ExtendedOffsetTableLengths")
    return (offsets, lengths) if offsets and lengths else None


def _encapsulated(dataset: Dataset, form: PixelFormat) -> Iterator[bytes]:
    try:
        yield from generate_frames(
            dataset.PixelData,
            number_of_frames=form.frames,
            extended_offsets=_extended_offsets(dataset),
        )
    except CoreadError:
        raise
    except Exception as error:
        raise _damaged(f"the fragments do not fit together ({type(error).__name__})") from None


def _native(dataset: Dataset, form: PixelFormat, first: int, count: int) -> tuple[NDArray[Any], bool]:
    """Return uncompressed frames as (count, rows, columns, samples) and whether they are YCbCr."""
    ycbcr = form.samples == 3 and form.photometric in ("YBR_FULL", "YBR_FULL_422")
    return _counted_bits(_native_raw(dataset, form, first, count), form), ycbcr


def _native_raw(dataset: Dataset, form: PixelFormat, first: int, count: int) -> NDArray[Any]:
    keywords = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    keyword = next((k for k in keywords if raw(dataset, k)), None)
    if keyword is None:
        raise DataError("there are no pixels", "an image", "choose an instance with pixels")
    value: bytes = raw(dataset, keyword)
    shape = (count, form.rows, form.columns, form.samples)
    pixels = form.rows * form.columns * form.samples
    if form.bits_allocated == 1:
        start = first * pixels
        bits = np.frombuffer(value, np.uint8)[start // 8 : -(-(start + count * pixels) // 8)]
        unpacked = np.unpackbits(bits, bitorder="little")[start % 8 : start % 8 + count * pixels]
        return _shaped(unpacked, shape)
    if form.photometric == "YBR_FULL_422" and form.samples == 3:
        size = pixels // 3 * 2 * form.bits_allocated // 8
        if form.columns % 2:
            raise DataError("YBR_FULL_422 with an odd width", "an even width", "convert the image first")
        part = value[first * size : (first + count) * size]
        value, first = expand_ybr422(part, form.bits_allocated), 0
    kind = "f" if form.floating else "u"
    width = form.bits_allocated // 8
    order = "<" if form.little else ">"
    if width == 1 and not form.little and dataset[keyword].VR == "OW":
        value = np.frombuffer(value[: len(value) // 2 * 2], np.uint16).byteswap().tobytes()
    size = pixels * width
    flat = np.frombuffer(value[first * size : (first + count) * size], f"{order}{kind}{width}")
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    if form.planar and form.samples > 1 and form.photometric != "YBR_FULL_422":
        planes = _shaped(flat, (count, form.samples, form.rows, form.columns))
        return np.ascontiguousarray(np.moveaxis(planes, 1, -1))
    return _shaped(flat, shape)


def _shaped(flat: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if flat.size != int(np.prod(shape)):
        raise _damaged(f"{flat.size} values for {shape}")
    return flat.reshape(shape)


def _decode(frame: bytes, form: PixelFormat) -> tuple[NDArray[Any], bool]:
    """Return one compressed frame as (1, rows, columns, samples) and whether it is YCbCr."""
    said_ycbcr = form.photometric in ("YBR_FULL", "YBR_FULL_422")
    if form.transfer_syntax == _RLE:
        return _counted_bits(_decode_rle(frame, form), form), said_ycbcr
    head = _checked_head(frame, form)
    kind = form.transfer_syntax.removeprefix(_COMPRESSED)
    try:
        decoded: NDArray[Any]
        if kind in _JPEG:
            # From RGB to RGB leaves components as they are; what they mean is decided below.
            space = "rgb" if form.samples == 3 else None
            decoded = imagecodecs.jpeg8_decode(frame, colorspace=space, outcolorspace=space)
        elif kind in _JPEG_LS:
            decoded = imagecodecs.jpegls_decode(frame)
        else:
            decoded = imagecodecs.jpeg2k_decode(frame)
        decoded = decoded.reshape(1, form.rows, form.columns, form.samples)
    except Exception as error:
        raise _damaged(f"the decoder gave up ({type(error).__name__})") from None
    # Where the picture itself says which colour model it has, it knows better than the header.
    ycbcr = said_ycbcr if head.ycbcr is None else head.ycbcr
    return _signed_as_said(decoded, form, head), ycbcr


def _checked_head(frame: bytes, form: PixelFormat) -> Codestream:
    """Return the head of a compressed picture where it fits the header, so that no size is a surprise."""
    if form.transfer_syntax.removeprefix(_COMPRESSED) not in _JPEG + _JPEG_LS + _JPEG_2000:
        raise _unsupported(form.transfer_syntax)
    head = read_codestream(frame)
    if (head.rows, head.columns, head.components) != (form.rows, form.columns, form.samples):
        raise DataError(
            f"a frame of {head.rows} x {head.columns} x {head.components}",
            f"{form.rows} x {form.columns} x {form.samples}, as the header says",
            "ask the sender for the file again",
        )
    return head


def _decode_rle(frame: bytes, form: PixelFormat) -> NDArray[Any]:
    width = form.bits_allocated // 8
    size = form.rows * form.columns * form.samples * width
    try:
        decoded = np.frombuffer(imagecodecs.dicomrle_decode(frame, f"<u{width}", out=size), f"<u{width}")
    except Exception as error:
        raise _damaged(f"the decoder gave up ({type(error).__name__})") from None
    planes = _shaped(decoded, (1, form.samples, form.rows, form.columns))
    return np.ascontiguousarray(np.moveaxis(planes, 1, -1))


def _signed_as_said(decoded: NDArray[Any], form: PixelFormat, head: Codestream) -> NDArray[Any]:
    """Return integers with the sign that the header gives them."""
    if head.signed and form.signed:
        return decoded.astype(form.stored_type, copy=False)
    unsigned = decoded.view(f"u{decoded.dtype.itemsize}")
    bits = max(form.bits_stored, head.precision)  # more bits than the header counts are kept
    return _twos_complement(unsigned, min(bits, form.bits_allocated), form)


def _counted_bits(values: NDArray[Any], form: PixelFormat) -> NDArray[Any]:
    """Return integers made of the stored bits only: overlays may lie in the others."""
    if form.bits_allocated == 1 or form.floating:
        return values
    shift = form.high_bit + 1 - form.bits_stored
    return _twos_complement(values >> shift if shift else values, form.bits_stored, form)


def _twos_complement(values: NDArray[Any], bits: int, form: PixelFormat) -> NDArray[Any]:
    unsigned = values.astype(form.stored_type.str.replace("i", "u"), copy=False)
    spare = unsigned.dtype.itemsize * 8 - bits
    if not spare:
        return unsigned.view(form.stored_type)
    if form.signed:
        return np.asarray((unsigned << spare).view(form.stored_type) >> spare)
    return np.asarray(unsigned & unsigned.dtype.type((1 << bits) - 1))


def _finish(dataset: Dataset, form: PixelFormat, values: NDArray[Any], ycbcr: bool) -> NDArray[Any]:
    """Return (frames, rows, columns) of stored values or (frames, rows, columns, channels) of colour."""
    if form.photometric == "PALETTE COLOR" and form.samples == 1:
        try:
            coloured: NDArray[Any] = apply_color_lut(values[..., 0], dataset)
        except Exception as error:
            raise _damaged(f"the palette cannot be applied ({type(error).__name__})") from None
        if coloured.dtype.itemsize > 1:
            coloured = (coloured >> 8).astype(np.uint8)
        return coloured[..., :3]
    if form.samples == 1:
        return values[..., 0]
    if not ycbcr:
        return values
    if values.dtype != np.uint8:
        raise DataError(
            "YBR colour of more than 8 bits", "8 bits a channel", "convert the image to RGB first"
        )
    rgb = [convert_color_space(one, "YBR_FULL", "RGB") for one in values]
    return np.asarray(np.stack(rgb), np.uint8)
