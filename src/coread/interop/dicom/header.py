"""One DICOM instance: its index entry, its data set and what had to be assumed to read it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, time
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from coread.core import InstanceHeader
from coread.errors import DataError
from coread.interop.dicom.attributes import date_of, integer, items, quiet, raw, text, time_of, words
from coread.interop.dicom.elements import Limits, parse
from coread.interop.dicom.sop_classes import is_acquired, is_object

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
DERIVED_UIDS = "UIDs derived from the content"
_PIXEL_TAGS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A DICOM instance that passed all checks of its structure.

    Attributes:
        header: Its index entry.
        dataset: Its data set (pydicom), to be left as it is; pixels undecoded.
        marks: What had to be assumed, in plain words.
    """

    header: InstanceHeader
    dataset: Dataset
    marks: tuple[str, ...] = ()


def read_instance(
    content: bytes, *, offline: bool = True, pixels: bool = True, limits: Limits | None = None
) -> Instance:
    """Return the instance in a DICOM file.

    Args:
        content: The whole file.
        offline: Whether missing UIDs are derived from the content, as for files handed in; from the
            network they are refused.
        pixels: Whether the undecoded pixels are kept; without, headers of many files take little memory.
        limits: What a file may ask for.

    Returns:
        Index entry, data set and marks.

    Raises:
        DataError: The file is refused; the error says why and what to do.
    """
    with quiet():
        parsed = parse(content, limits)
        dataset, marks = parsed.dataset, list(parsed.marks)
        sop_class = text(dataset, "SOPClassUID")
        if not sop_class:
            raise _no_class(dataset)
        _check_uid("SOP class UID", sop_class)
        uids = [text(dataset, name) for name in _UIDS]
        for name, uid in zip(("study UID", "series UID", "SOP instance UID"), uids, strict=True):
            if uid:
                _check_uid(name, uid)
        derived = not all(uids)
        if derived:
            if not offline:
                raise DataError(
                    "study, series or SOP instance UID is missing",
                    "all three",
                    "hand the file in from a folder, where UIDs can be derived",
                )
            uids = _derived_uids(dataset, content, uids)
            marks.append(DERIVED_UIDS)
        frames = _checked_frames(dataset, parsed.transfer_syntax)
        header = _index_entry(dataset, parsed.transfer_syntax, sop_class, uids, frames, derived)
        if not pixels:
            for name in _PIXEL_TAGS:
                if name in dataset:
                    del dataset[name]
    return Instance(header, dataset, tuple(marks))


def _no_class(dataset: Dataset) -> DataError:
    meta = text(dataset.file_meta, "MediaStorageSOPClassUID")
    if meta == "1.2.840.10008.1.3.10":
        return DataError(
            "no SOP class: this is a DICOMDIR, an index of other files",
            "an image or an object",
            "hand in the folder with the files that it lists",
        )
    return DataError(
        "no SOP class: the data set does not say what it is",
        "a SOP class UID",
        "ask the sender for the complete instance",
    )


def _check_uid(name: str, uid: str) -> None:
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise DataError(
            f"the {name} is not valid ({len(uid)} characters)",
            "at most 64 digits and points",
            "ask the sender to repair the UID",
        )


def _derived_uids(dataset: Dataset, content: bytes, uids: list[str]) -> list[str]:
    """Fill missing UIDs from what the file says, so that the same file always gets the same ones."""
    study, series, instance = uids
    digest = hashlib.sha256(content).hexdigest()

    def derive(*parts: str) -> str:
        joined = "\0".join(parts).encode()
        return f"2.25.{int.from_bytes(hashlib.sha256(joined).digest()[:16], 'big')}"

    if not study:
        study = derive("study", series or digest)
    if not series:
        known = [text(dataset, key) for key in ("SeriesNumber", "Modality", "SeriesDescription")]
        series = derive("series", study, *known)
    return [study, series, instance or derive("instance", digest)]


def _checked_frames(dataset: Dataset, transfer_syntax: str) -> int:
    """Return the number of frames, 0 without pixels; refuse what cannot be decoded as it stands."""
    keyword = next((name for name in _PIXEL_TAGS if name in dataset), None)
    if keyword is None:
        return 0
    said = text(dataset, "NumberOfFrames")
    frames = integer(dataset, "NumberOfFrames") if said else 1
    sizes = {key: integer(dataset, key) for key in ("Rows", "Columns", "BitsAllocated")}
    if keyword != "PixelData":
        sizes["BitsAllocated"] = 32 if keyword == "FloatPixelData" else 64
    if frames is None or frames < 1:
        if frames == 0:
            frames = 1  # some writers say 0 for a single frame
        else:
            raise DataError(
                "the number of frames is not a number", "a whole number", "ask the sender for it again"
            )
    for key, size in sizes.items():
        if size is None or not 1 <= size <= 65535:
            raise DataError(
                f"there are pixels, but {key} is missing or not valid",
                "a whole number from 1 to 65535",
                "ask the sender for the complete instance",
            )
    samples = integer(dataset, "SamplesPerPixel") or 1
    if samples not in (1, 3, 4):
        raise DataError(f"{samples} samples a pixel", "1, 3 or 4", "convert the picture first")
    value = raw(dataset, keyword)
    if not isinstance(value, bytes) or not value:
        raise DataError("the pixels are empty", "pixels", "ask the sender for the complete instance")
    if is_encapsulated(transfer_syntax):
        return frames
    rows, columns, bits = (sizes[key] or 0 for key in ("Rows", "Columns", "BitsAllocated"))
    pixel_bits = rows * columns * samples * bits * frames
    if text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        pixel_bits = pixel_bits // 3 * 2
    expected = -(-pixel_bits // 8)
    if len(value) < expected:
        raise DataError(
            f"truncated: {len(value)} bytes of pixels, {expected} expected",
            "a complete file",
            "ask the sender for the file again",
        )
    return frames


def is_encapsulated(transfer_syntax: str) -> bool:
    """Return whether pixels of a transfer syntax are compressed, in fragments."""
    return transfer_syntax.startswith("1.2.840.10008.1.2.4.") or transfer_syntax == "1.2.840.10008.1.2.5"


def _index_entry(
    dataset: Dataset,
    transfer_syntax: str,
    sop_class: str,
    uids: list[str],
    frames: int,
    derived: bool,
) -> InstanceHeader:
    study_date = date_of(text(dataset, "StudyDate"))
    study_time = time_of(text(dataset, "StudyTime")) or time()
    sex = text(dataset, "PatientSex").upper()[:1]
    role: Literal["image", "object"] = "object" if frames == 0 or is_object(sop_class) else "image"
    image_type = words(dataset, "ImageType")
    return InstanceHeader(
        patient_id=text(dataset, "PatientID"),
        patient_name=text(dataset, "PatientName"),
        birth_date=date_of(text(dataset, "PatientBirthDate")),
        sex={"F": "F", "M": "M", "O": "O"}.get(sex),  # type: ignore[arg-type]
        study=uids[0],
        study_time=datetime.combine(study_date, study_time) if study_date else None,
        accession=text(dataset, "AccessionNumber"),
        study_description=text(dataset, "StudyDescription"),
        referring=text(dataset, "ReferringPhysicianName"),
        series=uids[1],
        series_number=_index_number(dataset, "SeriesNumber"),
        series_description=text(dataset, "SeriesDescription"),
        modality=text(dataset, "Modality")[:16] or "OT",
        body_part=text(dataset, "BodyPartExamined").upper() or None,
        instance=uids[2],
        sop_class=sop_class,
        instance_number=_index_number(dataset, "InstanceNumber"),
        rows=integer(dataset, "Rows") if frames else None,
        columns=integer(dataset, "Columns") if frames else None,
        frames=frames,
        transfer_syntax=transfer_syntax,
        frame_of_reference=text(dataset, "FrameOfReferenceUID") or None,
        role=role,
        acquired=is_acquired(
            sop_class,
            role=role,
            image_type=image_type,
            conversion=text(dataset, "ConversionType"),
            made_by_algorithm=_made_by_algorithm(dataset),
        ),
        simulated=is_simulated(dataset),
        lossy=is_lossy(dataset, transfer_syntax),
        derived_uids=derived,
    )


def _index_number(dataset: Dataset, keyword: str) -> int | None:
    """Return an integer string in the range that DICOM and databases give it, or None."""
    found = integer(dataset, keyword)
    return found if found is not None and -(1 << 31) <= found < (1 << 31) - 1 else None


def is_simulated(dataset: Dataset) -> bool:
    """Return whether an instance says that it is simulated: Synthetic Data, image type or comment."""
    return (
        text(dataset, "SyntheticData").upper() == "YES"
        or "SIMULATED" in words(dataset, "ImageType")
        or text(dataset, "ImageComments").startswith("SIMULATED")
    )


def is_lossy(dataset: Dataset, transfer_syntax: str) -> bool:
    """Return whether pixels were ever compressed with loss."""
    lossy = {"50", "51", "81", "91"}
    return (
        text(dataset, "LossyImageCompression") == "01"
        or transfer_syntax.removeprefix("1.2.840.10008.1.2.4.") in lossy
    )


def _made_by_algorithm(dataset: Dataset) -> bool:
    """Return whether Contributing Equipment names a processing algorithm (IHE AI Results)."""
    return any(
        "PROCESSING ALGORITHM" in text(purpose, "CodeMeaning").upper()
        for equipment in items(dataset, "ContributingEquipmentSequence")
        for purpose in items(equipment, "PurposeOfReferenceCodeSequence")
    )
