"""Recommendations as dated tasks: due, overdue, done by the next examination that fits."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from coread.language.values import StructuredReport

TaskState = Literal["waiting", "due", "overdue", "done"]
# modality of DICOM: what recommendations call it
_MODALITIES = {
    "CT": ("CT",),
    "MR": ("MRI", "MRCP"),
    "US": ("ultrasound",),
    "MG": ("mammogram",),
    "DX": ("radiograph",),
    "CR": ("radiograph",),
    "PT": ("PET/CT",),
    "NM": ("bone scan",),
}


# region that a report names: body parts of DICOM that an examination of it has
_REGIONS = {
    "chest": ("chest", "thorax", "lung"),
    "head": ("head", "brain", "skull"),
    "brain": ("brain", "head"),
    "abdomen": ("abdomen", "abdomenpelvis", "abdomen and pelvis"),
    "abdomen and pelvis": ("abdomenpelvis", "abdomen and pelvis", "abdomen"),
    "pelvis": ("pelvis", "abdomenpelvis", "abdomen and pelvis"),
    "liver": ("liver", "abdomen", "abdomenpelvis", "abdomen and pelvis"),
    "renal": ("kidney", "abdomen", "abdomenpelvis", "abdomen and pelvis"),
    "lumbar": ("lspine", "lumbar spine", "spine"),
    "thyroid": ("thyroid", "neck"),
}
# asked for without saying of what kind: of the kind that the report is on
_ANY_KIND = ("follow-up", "screening")


@dataclass(frozen=True, slots=True)
class Exam:
    """An examination that took place.

    Attributes:
        study: Study instance UID.
        modalities: DICOM modalities in it.
        on: Its day.
        region: DICOM body part, or None where not known.
    """

    study: str
    modalities: tuple[str, ...]
    on: date
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """An examination that a report asked for.

    Attributes:
        study: The study whose report asked.
        what: Such as ``CT chest``.
        asked_on: Date of the report.
        earliest: First day, or None where no time was said.
        latest: Last day, or None.
        done_by: The study that closed it, or None.
        asking: The examination that the report is on, where known.
    """

    study: str
    what: str
    asked_on: date
    earliest: date | None
    latest: date | None
    done_by: str | None = None
    asking: Exam | None = None

    def state(self, today: date) -> TaskState:
        """Return how the task stands on a day; one without a time waits until it is done."""
        if self.done_by is not None:
            return "done"
        if self.earliest is None or self.latest is None or today < self.earliest:
            return "waiting"
        return "due" if today <= self.latest else "overdue"


def add_months(day: date, months: float) -> date:
    """Return the day a number of months later; the part of a month as days of 30.4.

    Examples:
        >>> add_months(date(2024, 1, 31), 1), add_months(date(2024, 1, 1), 1.4)
        (datetime.date(2024, 2, 29), datetime.date(2024, 2, 13))
    """
    whole = int(months)
    number = day.month - 1 + whole
    year, month = day.year + number // 12, number % 12 + 1
    last = calendar.monthrange(year, month)[1]
    return date(year, month, min(day.day, last)) + timedelta(days=round((months - whole) * 30.4))


def tasks(report: StructuredReport, study: str, on: date) -> tuple[Task, ...]:
    """Return the tasks that a report makes; "no follow-up" makes none."""
    return tuple(
        Task(
            study,
            asked.what,
            on,
            None if asked.min_months is None else add_months(on, asked.min_months),
            None if asked.max_months is None else add_months(on, asked.max_months),
        )
        for asked in report.recommendations
        if asked.what != "none"
    )


def close(open_tasks: Iterable[Task], exams: Iterable[Exam]) -> tuple[Task, ...]:
    """Return the tasks, each closed by the first later examination that fits."""
    later = sorted(exams, key=lambda exam: (exam.on, exam.study))
    return tuple(
        task
        if task.done_by is not None
        else replace(task, done_by=next((e.study for e in later if _fits(task, e)), None))
        for task in open_tasks
    )


def _fits(task: Task, exam: Exam) -> bool:
    if exam.on <= task.asked_on or exam.study == task.study:
        return False
    kind, _, region = task.what.partition(" ")
    if task.what in _ANY_KIND:
        asking = task.asking
        if asking is None:
            return True
        if asking.region and exam.region:
            return asking.region.casefold() == exam.region.casefold()
        return not set(asking.modalities).isdisjoint(exam.modalities)
    named = (task.what, kind)
    names = [name for modality in exam.modalities for name in _MODALITIES.get(modality, ())]
    if not any(name in named for name in names):
        return False
    return not (region and exam.region) or exam.region.casefold() in _REGIONS.get(region, (region,))


def overdue(open_tasks: Iterable[Task], today: date) -> tuple[Task, ...]:
    """Return the overdue tasks, the longest overdue first."""
    late = [task for task in open_tasks if task.state(today) == "overdue"]
    return tuple(sorted(late, key=lambda task: (task.latest or today, task.study)))
