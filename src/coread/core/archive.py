"""What is known of a stored instance and of a file that was handed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from coread.errors import InputError

FileRole = Literal["image", "object", "duplicate", "quarantined", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceHeader:
    """The index entry of one DICOM instance: everything that lists, groups and matches need.

    Attributes:
        patient_id: As it came; empty where the file says none.
        patient_name: As DICOM writes it (components by ``^``), decoded to Unicode.
        birth_date: Or None.
        sex: ``F``, ``M``, ``O`` or None.
        study: Study instance UID.
        study_time: Date and time of the study, without zone where the file says none; or None.
        accession: Accession number.
        study_description: Words of the study.
        referring: Referring physician, as DICOM writes it.
        series: Series instance UID.
        series_number: Or None.
        series_description: Words of the series.
        modality: DICOM modality.
        body_part: Upper case, or None.
        instance: SOP instance UID.
        sop_class: SOP class UID.
        instance_number: Or None.
        rows: Of the pixels, or None.
        columns: Of the pixels, or None.
        frames: Number of frames; 0 without pixels.
        transfer_syntax: UID, as it came.
        frame_of_reference: UID, or None.
        role: ``image`` or ``object``.
        acquired: Whether it is an acquired image or a dose report, which may be shown before the first
            read; everything else is hidden until then.
        simulated: Whether it says that it is simulated.
        lossy: Whether it was ever compressed with loss.
        derived_uids: Whether the UIDs were made from the content because the file had none.
    """

    patient_id: str
    patient_name: str
    birth_date: date | None
    sex: Literal["F", "M", "O"] | None
    study: str
    study_time: datetime | None
    accession: str
    study_description: str
    referring: str
    series: str
    series_number: int | None
    series_description: str
    modality: str
    body_part: str | None
    instance: str
    sop_class: str
    instance_number: int | None
    rows: int | None
    columns: int | None
    frames: int
    transfer_syntax: str
    frame_of_reference: str | None
    role: Literal["image", "object"]
    acquired: bool
    simulated: bool
    lossy: bool
    derived_uids: bool = False

    def __post_init__(self) -> None:
        for name in ("study", "series", "instance", "sop_class"):
            if not getattr(self, name):
                raise InputError(f"an index entry needs its {name} UID")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """What became of one file that was handed in; every file gets exactly one.

    Attributes:
        path: As given; members of an archive as ``archive.zip!member``.
        role: What became of it.
        reason: In plain words; empty for an image or an object that is simply kept.
        study: UID, where known.
        series: UID, where known.
        instance: UID, where known.
        marks: Words that limit it, such as ``UIDs derived from the content``.
    """

    path: str
    role: FileRole
    reason: str = ""
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    marks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.role in ("duplicate", "quarantined", "refused") and not self.reason:
            raise InputError(f"{self.path}: a file that is {self.role} needs a reason")
