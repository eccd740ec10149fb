"""Whether two files are the same instance, however they are encoded.

The rule: equal patient, parents, geometry, rescale and decoded pixels make a duplicate, anything else under
the same SOP instance UID a conflict. Objects without pixels are compared element by element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag

from coread.errors import DataError
from coread.interop.dicom.attributes import items, numbers, quiet, raw, text
from coread.interop.dicom.header import Instance
from coread.interop.dicom.pixels import stored_frames

_GEOMETRY = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "GridFrameOffsetVector",
    "RescaleSlope",
    "RescaleIntercept",
    "DoseGridScaling",
    "PixelPaddingValue",
)
_MEANING = ("RescaleType", "Units", "FrameOfReferenceUID", "Modality")
_SEQUENCES = (
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ModalityLUTSequence",
    "SequenceOfUltrasoundRegions",
    "SegmentSequence",
)
_NOT_CONTENT = (0x00020000, 0xFFFA0000, 0xFFFC0000)


def same_instance(a: Instance, b: Instance) -> bool:
    """Return whether two instances are one: patient, parents, geometry, rescale and pixels are equal."""
    return difference(a, b) is None


def difference(a: Instance, b: Instance) -> str | None:
    """Return what differs between two files of one SOP instance UID, in words, or None where nothing does."""
    parts = (
        ("the patients", ("patient_id", "birth_date")),
        ("the studies", ("study",)),
        ("the series", ("series",)),
        ("the SOP classes", ("sop_class",)),
        ("the sizes or frames", ("rows", "columns", "frames")),
    )
    for words, names in parts:
        if any(getattr(a.header, name) != getattr(b.header, name) for name in names):
            return words
    with quiet():
        if not a.header.frames:
            return None if _same_elements(a.dataset, b.dataset) else "the contents"
        sequences = all(_same_sequence(a.dataset, b.dataset, name) for name in _SEQUENCES)
        if not sequences or not _same_values(a.dataset, b.dataset):
            return "the geometries or the meanings of the pixels"
        return None if pixels_equal(a, b) else "the pixels"


def pixels_equal(a: Instance, b: Instance) -> bool:
    """Return whether two instances show the same decoded pixels; colour is compared as RGB.

    MONOCHROME1 and MONOCHROME2 are different pictures of the same numbers. Pixels that cannot be decoded
    equal only the same bytes.
    """
    form = ("rows", "columns", "frames")
    if any(getattr(a.header, name) != getattr(b.header, name) for name in form):
        return False
    if a.header.frames == 0:
        return True
    inverse = [text(i.dataset, "PhotometricInterpretation") == "MONOCHROME1" for i in (a, b)]
    if inverse[0] != inverse[1]:
        return False
    try:
        return bool(np.array_equal(stored_frames(a.dataset), stored_frames(b.dataset)))
    except DataError:
        return bool(raw(a.dataset, "PixelData") == raw(b.dataset, "PixelData"))


def _same_values(a: Dataset, b: Dataset) -> bool:
    defaults = {"RescaleSlope": (1.0,), "RescaleIntercept": (0.0,)}
    for name in _GEOMETRY:
        one, other = (numbers(d, name) or defaults.get(name, ()) for d in (a, b))
        if len(one) != len(other) or not np.allclose(one, other, rtol=1e-9, atol=1e-9):
            return False
    return all(text(a, name) == text(b, name) for name in _MEANING)


def _same_sequence(a: Dataset, b: Dataset, name: str) -> bool:
    one, other = items(a, name), items(b, name)
    return len(one) == len(other) and all(_same_elements(x, y) for x, y in zip(one, other, strict=True))


def _same_elements(a: Dataset, b: Dataset) -> bool:
    """Return whether two data sets hold the same values, whatever their encoding."""
    tags = [[t for t in d.keys() if not _is_wrapping(t)] for d in (a, b)]  # noqa: SIM118
    return tags[0] == tags[1] and all(_same_element(a, b, tag) for tag in tags[0])


def _is_wrapping(tag: int) -> bool:
    """Return whether an element belongs to the file and not to what it says: lengths, padding."""
    return tag & 0xFFFF == 0 or (tag & 0xFFFF0000) in _NOT_CONTENT


def _same_element(a: Dataset, b: Dataset, tag: BaseTag) -> bool:
    try:
        one, other = a[tag].value, b[tag].value
    except Exception:  # a value that cannot be read equals only the same bytes
        return bool(_as_written(a, tag) == _as_written(b, tag))
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return len(one) == len(other) and all(_same_elements(x, y) for x, y in zip(one, other, strict=True))
    return bool(_plain(one) == _plain(other))


def _as_written(dataset: Dataset, tag: BaseTag) -> Any:
    element = dataset.get_item(tag, keep_deferred=True)
    return None if element is None else element.value


def _plain(value: Any) -> Any:
    if isinstance(value, MultiValue):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.rstrip(b"\0 ")
    if value is None:
        return ""
    return value if isinstance(value, (int, float)) else str(value).strip(" \0")
