"""The structure of a DICOM file, checked before any value is believed.

A walk over all elements without recursion finds out how a data set is encoded, that every length lies
within its parent, that nesting is bounded and where a cut-off file ends. Only what passes is handed
to pydicom, so that hostile lengths and depths never reach a recursive parser.

References:
    DICOM PS3.5, 7.1 (data elements), 7.5 (nesting), A.5 (deflated); PS3.10, 7.1 (meta information).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from coread.errors import DataError
from coread.interop.dicom.attributes import text

UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_TRAILING_PADDING = 0xFFFCFFFC
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one file may ask for.

    Attributes:
        depth: Nested sequences.
        elements: Data elements, at all depths.
        inflated_bytes: Size of a deflated data set once inflated, and of one archive member.
    """

    depth: int = 64
    elements: int = 2_000_000
    inflated_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class Parsed:
    """A data set with what had to be assumed to read it."""

    dataset: Dataset
    transfer_syntax: str
    marks: tuple[str, ...]


def parse(content: bytes, limits: Limits | None = None) -> Parsed:
    """Return the data set of a DICOM file, structure checked, values unread.

    Args:
        content: The whole file; preamble, meta information and transfer syntax may be missing.
        limits: What a file may ask for.

    Returns:
        The data set with its meta information (group 2) in ``file_meta``, its transfer syntax and marks.

    Raises:
        DataError: Not DICOM, compressed as a whole, cut off, or beyond the limits.
    """
    limits = limits or Limits()
    _refuse_other_formats(content)
    meta, start, marks = _meta_information(content, limits)
    said = text(meta, "TransferSyntaxUID")
    body = content
    if said == DeflatedExplicitVRLittleEndian:
        body, start = _inflate(content[start:], limits.inflated_bytes), 0
    implicit, little = _encoding(body, start, said)
    if not said:
        said = str(
            ImplicitVRLittleEndian
            if implicit
            else (ExplicitVRLittleEndian if little else ExplicitVRBigEndian)
        )
        marks.append("transfer syntax missing, taken from the way the elements are written")
    end, cut = _walk(body, start, implicit=implicit, little=little, limits=limits)
    if cut:
        marks.append("the end of the file is cut off after the pixels")
    stream = BytesIO(body if end == len(body) else body[:end])
    stream.seek(start)
    try:
        dataset = read_dataset(stream, implicit, little)
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:  # pydicom raises whatever the value at hand makes it raise
        raise DataError(
            f"the data set cannot be read ({type(error).__name__})",
            "a valid DICOM data set",
            "ask the sender for the file again",
        ) from None
    meta.add_new(0x00020010, "UI", said)
    dataset.file_meta = meta
    return Parsed(dataset, said, tuple(marks))


def _not_dicom(detail: str, todo: str = "leave it out, or convert it to DICOM first") -> DataError:
    return DataError(f"not DICOM: {detail}", "a DICOM file", todo)


def _truncated(where: int) -> DataError:
    return DataError(
        f"truncated: an element at byte {where} runs past the end",
        "a complete file",
        "ask the sender for the file again",
    )


def _refuse_other_formats(content: bytes) -> None:
    if not content:
        raise _not_dicom("the file is empty")
    if content[:2] == b"\x1f\x8b":
        raise _not_dicom("compressed as a whole (gzip)", "unpack it with gunzip and hand it in again")
    for magic, name in (
        (b"PK\x03\x04", "a zip archive"),
        (b"BZh", "compressed as a whole (bzip2)"),
        (b"\xfd7zXZ\x00", "compressed as a whole (xz)"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"%PDF", "a PDF"),
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
    ):
        if content.startswith(magic) and content[128:132] != b"DICM":
            raise _not_dicom(name)


def _meta_information(content: bytes, limits: Limits) -> tuple[FileMetaDataset, int, list[str]]:
    """Return the meta information, the offset of the data set and marks."""
    marks: list[str] = []
    if content[128:132] == b"DICM":
        start = 132
    elif content[:4] == b"DICM":
        start = 4
        marks.append("no preamble")
    else:
        start = 0
        marks.append("no preamble")
    end = start
    count = 0
    while end + 8 <= len(content) and content[end : end + 2] == b"\x02\x00":
        value, length, _, _ = _header(content, end, implicit=False, little=True)
        if length == UNDEFINED or value + length > len(content):
            raise _truncated(end)
        end = value + length
        count += 1
        if count > 1000:
            raise DataError("the meta information has more than 1000 elements", "a DICOM file", "")
    if end == start:
        marks.append("no meta information")
        return FileMetaDataset(), start, marks
    try:
        read = read_dataset(BytesIO(content[start:end]), False, True)
        meta = FileMetaDataset(read)
    except Exception:
        raise DataError(
            "the meta information cannot be read", "a DICOM file", "ask the sender for it again"
        ) from None
    return meta, end, marks


def _inflate(deflated: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        body = inflater.decompress(deflated, limit)
    except zlib.error:
        raise DataError(
            "the deflated data set is damaged", "a deflated data set", "ask the sender for it again"
        ) from None
    if inflater.unconsumed_tail:
        raise DataError(
            f"the deflated data set is larger than {limit} bytes once inflated",
            "less than that",
            "raise the limit if the file is genuine",
        )
    if not inflater.eof:
        raise DataError(
            "truncated: the deflated data set has no end", "a complete file", "ask the sender for it again"
        )
    return body


def _encoding(body: bytes, start: int, said: str) -> tuple[bool, bool]:
    """Return (implicit VR, little endian) by the transfer syntax and the first element."""
    head = body[start : start + 8]
    if len(head) < 8:
        raise _not_dicom("there is no data set")
    if said == ExplicitVRBigEndian:
        little = False
    elif said:
        little = True
    else:
        little = not (head[0] == 0 and head[1] != 0)  # the first groups are small numbers
    group = struct.unpack_from("<H" if little else ">H", head)[0]
    implicit = not (0x40 < head[4] < 0x5B and 0x40 < head[5] < 0x5B)
    if not said and (group > 0x0020 or group == 0):
        raise _not_dicom("it starts with no DICOM element")
    return implicit, little


def _header(body: bytes, at: int, *, implicit: bool, little: bool) -> tuple[int, int, bytes, int]:
    """Return (offset of the value, its length, VR or b"", tag) of the element at an offset."""
    order = "<" if little else ">"
    try:
        group, element = struct.unpack_from(order + "HH", body, at)
        tag = group << 16 | element
        if implicit or group == 0xFFFE:
            return at + 8, struct.unpack_from(order + "L", body, at + 4)[0], b"", tag
        vr = body[at + 4 : at + 6]
        if vr in _LONG_VRS:
            return at + 12, struct.unpack_from(order + "L", body, at + 8)[0], vr, tag
        if vr in _SHORT_VRS or b"AA" <= vr <= b"ZZ":
            return at + 8, struct.unpack_from(order + "H", body, at + 6)[0], vr, tag
        return at + 8, struct.unpack_from(order + "L", body, at + 4)[0], b"", tag  # implicit in between
    except struct.error:
        raise _truncated(at) from None


def _is_sequence(body: bytes, at: int, length: int, vr: bytes, tag: int) -> bool:
    if vr == b"SQ":
        return True
    if vr not in (b"", b"UN"):
        return False
    if vr == b"UN" and length == UNDEFINED:
        return True
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return length == UNDEFINED and body[at : at + 4] in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")


def _walk(body: bytes, start: int, *, implicit: bool, little: bool, limits: Limits) -> tuple[int, bool]:
    """Check lengths, nesting and counts; return the usable end and whether the file is cut off there."""
    # One entry a level: (end or None, whether it holds items, implicit VR inside).
    stack: list[tuple[int | None, bool, bool]] = [(len(body), False, implicit)]
    at, elements, pixels_end = start, 0, None
    try:
        while True:
            end, holds_items, now_implicit = stack[-1]
            if end is not None and at >= end:
                if at > end:
                    raise _truncated(at)
                if len(stack) == 1:
                    return at, False
                stack.pop()
                continue
            if len(stack) == 1 and len(body) - at < 8:
                return at, False  # a few bytes of padding
            value, length, vr, tag = _header(body, at, implicit=now_implicit or holds_items, little=little)
            elements += 1
            if elements > limits.elements:
                raise DataError(
                    f"more than {limits.elements} elements", "fewer", "raise the limit if it is genuine"
                )
            if tag in (_ITEM_END, _SEQUENCE_END):
                if len(stack) == 1 or (tag == _SEQUENCE_END) != holds_items or end is not None:
                    raise DataError(
                        f"a sequence ends at byte {at} where none is open",
                        "a valid data set",
                        "ask the sender for the file again",
                    )
                stack.pop()
                at = value
                continue
            limit = next((e for e, _, _ in reversed(stack) if e is not None), len(body))
            if length != UNDEFINED and value + length > limit:
                raise _truncated(at)
            if holds_items:
                if tag != _ITEM:
                    raise DataError(
                        f"something else than an item stands in a sequence at byte {at}",
                        "a valid data set",
                        "ask the sender for the file again",
                    )
                # Writers do switch to implicit VR inside sequences; the first element shows it.
                head = body[value + 4 : value + 6]
                capitals = len(head) == 2 and 0x40 < head[0] < 0x5B and 0x40 < head[1] < 0x5B
                closed = None if length == UNDEFINED else value + length
                stack.append((closed, False, now_implicit or not capitals))
                at = value
            elif len(stack) == 1 and tag in _PIXELS and length == UNDEFINED:
                at = pixels_end = _fragments_end(body, value, little=little)
            elif _is_sequence(body, value, length, vr, tag) and length:
                stack.append((None if length == UNDEFINED else value + length, True, now_implicit))
                at = value
            elif length == UNDEFINED:
                at = _fragments_end(body, value, little=little)
            else:
                at = value + length
                if len(stack) == 1 and tag in _PIXELS:
                    pixels_end = at
                if len(stack) == 1 and tag == _TRAILING_PADDING:
                    return at, False
            if len(stack) > 2 * limits.depth:
                raise DataError(
                    f"sequences are nested deeper than {limits.depth}",
                    "fewer levels",
                    "ask the sender for a plain file",
                )
    except DataError as error:
        if pixels_end is not None and len(stack) >= 1 and error.came.startswith("truncated"):
            return pixels_end, True
        raise


def _fragments_end(body: bytes, at: int, *, little: bool) -> int:
    """Return the offset behind a value of undefined length that is made of fragments."""
    first = at
    while True:
        if at == len(body) and at > first:
            return at  # all fragments are there, only the delimiter is missing
        value, length, _, tag = _header(body, at, implicit=True, little=little)
        if tag == _SEQUENCE_END:
            return value
        if tag != _ITEM or length == UNDEFINED:
            raise DataError(
                f"something else than a fragment stands in encapsulated data at byte {at}",
                "a valid data set",
                "ask the sender for the file again",
            )
        if value + length > len(body):
            raise _truncated(at)
        at = value + length
