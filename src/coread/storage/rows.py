"""What the index gives back of studies, series and instances."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from coread.core import InstanceHeader
from coread.errors import InputError

Priority = Literal["critical", "urgent", "routine"]
PRIORITIES: tuple[Priority, ...] = ("critical", "urgent", "routine")


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance on its way into the index.

    Attributes:
        header: Its index entry.
        digest: Of its bytes, which are in the object store.
        size: Of its bytes.
    """

    header: InstanceHeader
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance in the index."""

    header: InstanceHeader
    digest: str
    size: int
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRow:
    """A series as it is listed; everything is counted over the scope that was asked for."""

    uid: str
    study: str
    number: int | None
    description: str
    modality: str
    body_part: str | None
    instances: int
    images: int
    frames: int
    simulated: bool
    lossy: bool
    derived_uids: bool
    received_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """A study as it is listed; everything is counted over the scope that was asked for.

    Attributes:
        uid: Study instance UID.
        patient_id: As it came.
        patient_name: As DICOM writes it.
        birth_date: Or None.
        sex: ``F``, ``M``, ``O`` or None.
        time: Of the study, without zone where the file says none; or None.
        accession: Accession number.
        description: Words of the study.
        referring: Referring physician.
        modalities: Sorted, each once.
        body_parts: Sorted, each once.
        series: How many.
        instances: How many.
        images: Instances with pixels that can be shown.
        frames: How many.
        simulated: Whether any of it says that it is simulated.
        lossy: Whether any of it was compressed with loss.
        derived_uids: Whether any UIDs were made from the content.
        priority: How urgent it was set to be.
        priority_reason: Why, in one line.
        received_at: When the first of it came.
        updated_at: When the last of it came.
    """

    uid: str
    patient_id: str
    patient_name: str
    birth_date: date | None
    sex: Literal["F", "M", "O"] | None
    time: datetime | None
    accession: str
    description: str
    referring: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    series: int
    instances: int
    images: int
    frames: int
    simulated: bool
    lossy: bool
    derived_uids: bool
    priority: Priority
    priority_reason: str
    received_at: datetime
    updated_at: datetime


def urgency(priority: Priority) -> int:
    """Return the rank of a priority; 0 comes first.

    Raises:
        InputError: There is no such priority.
    """
    if priority not in PRIORITIES:
        raise InputError(f"priority {priority!r}", f"one of {', '.join(PRIORITIES)}")
    return PRIORITIES.index(priority)
