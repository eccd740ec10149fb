"""What a compressed picture says of itself, read before it is given to a decoder.

References:
    JPEG: ISO/IEC 10918-1, B.2. JPEG-LS: ISO/IEC 14495-1, C.2. JPEG 2000: ISO/IEC 15444-1, A.5 and I.5.
    Adobe marker: Adobe Technical Note 5116.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from coread.errors import DataError

_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7))
_LOSSLESS = frozenset((0xC3, 0xC7, 0xCB, 0xCF, 0xF7))


@dataclass(frozen=True, slots=True)
class Codestream:
    """The head of a JPEG, JPEG-LS or JPEG 2000 picture.

    Attributes:
        rows: Height.
        columns: Width.
        components: Channels.
        precision: Bits of a sample.
        signed: Whether samples are signed (JPEG 2000 only).
        ycbcr: Whether the channels come out of the decoder as luminance and chrominance; None where the
            picture does not say.
    """

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool
    ycbcr: bool | None


def read_codestream(frame: bytes) -> Codestream:
    """Return the head of a compressed picture.

    Raises:
        DataError: It is none, or it is cut off: decoders fill what is missing without a word.
    """
    if not frame.rstrip(b"\0\xff").endswith(b"\xff\xd9"):  # writers pad with either
        raise DataError(
            "a compressed frame is cut off: its end marker is missing",
            "a complete picture",
            "ask the sender for the file again",
        )
    try:
        if frame[:2] == b"\xff\xd8":
            return _jpeg(frame)
        start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)  # alone, or in the boxes of a JP2 file
        if start >= 0:
            return _jpeg2000(frame, start)
    except (struct.error, IndexError):
        pass
    raise DataError(
        "a compressed frame does not start as its transfer syntax says",
        "a JPEG, JPEG-LS or JPEG 2000 picture",
        "ask the sender for the file again, uncompressed if possible",
    )


def _jpeg(frame: bytes) -> Codestream:
    at, jfif, adobe = 2, False, None
    while True:
        if frame[at] != 0xFF:
            raise IndexError
        marker = frame[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        length = struct.unpack_from(">H", frame, at + 2)[0]
        body = frame[at + 4 : at + 2 + length]
        if marker == 0xE0 and body.startswith(b"JFIF"):
            jfif = True
        elif marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker in _FRAMES:
            precision, rows, columns, components = struct.unpack_from(">BHHB", body)
            ids = body[6 : 6 + 3 * components : 3]
            ycbcr: bool | None = None
            if components == 3 and marker not in _LOSSLESS:
                if adobe is not None:
                    ycbcr = adobe == 1
                elif jfif:
                    ycbcr = True
                elif ids == b"RGB":
                    ycbcr = False
            return Codestream(rows, columns, components, precision, False, ycbcr)
        elif marker == 0xDA:
            raise IndexError
        at += 2 + length


def _jpeg2000(frame: bytes, start: int) -> Codestream:
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    components = struct.unpack_from(">H", frame, start + 40)[0]
    depth = frame[start + 42]
    at = start + 4 + struct.unpack_from(">H", frame, start + 4)[0]
    ycbcr: bool | None = None
    while frame[at] == 0xFF and frame[at + 1] not in (0x90, 0xD9):
        if frame[at + 1] == 0x52:
            ycbcr = False if frame[at + 8] else None  # the decoder undoes the transform that it finds
            break
        at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return Codestream(bottom - top, right - left, components, (depth & 0x7F) + 1, bool(depth & 0x80), ycbcr)
