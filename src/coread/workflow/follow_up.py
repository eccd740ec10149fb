"""The follow-up tracker: what signed reports ask for, when it is due, and which examination answered it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from coread.core import Report
from coread.errors import InputError
from coread.language import followup, structure
from coread.language.followup import Exam, Task, TaskState
from coread.storage import Asked, FollowUpRow, Library, Scope, StudyRow
from coread.workflow.report_checks import report_words
from coread.workflow.visibility import HiddenError, View


@dataclass(frozen=True, slots=True)
class FollowUp:
    """An examination that a signed report asks for.

    Attributes:
        row: As it is kept.
        study: The study whose report asks.
        state: How it stands: waiting, due, overdue or done.
        done_by: The study that answered it, or None.
        done_on: Its day, or None.
    """

    row: FollowUpRow
    study: StudyRow
    state: TaskState
    done_by: str | None
    done_on: date | None


def keep(library: Library, report: Report) -> None:
    """Keep what a signed report and its addenda ask for.

    Raises:
        InputError: The report is not signed.
    """
    if report.signature is None:
        raise InputError("a report that is not signed", "a signed one", "tasks come with the signature")
    texts = [(report_words(report), report.signature.at.date())]
    texts += [(addendum.text, addendum.signature.at.date()) for addendum in report.addenda]
    asked = [
        Asked(task.what, task.asked_on, task.earliest, task.latest)
        for text, on in texts
        for task in followup.tasks(structure(text, report.language), report.study, on)
    ]
    library.follow_up.replace(report.study, report.signature.reader.id, asked)


def rebuild(library: Library) -> int:
    """Read all signed reports again, those of an earlier version too; return how many there are."""
    count, cursor = 0, None
    while True:
        page = library.instances.studies(state="signed", cursor=cursor, limit=500)
        for study in page.items:
            latest = {stored.reader: stored for stored in library.reports.of(study.uid)}
            for report in (stored.load() for stored in latest.values()):
                if report.signature is not None:
                    keep(library, report)
                    count += 1
        cursor = page.next
        if cursor is None:
            return count


def tracked(view: View, today: date) -> tuple[FollowUp, ...]:
    """Return what signed reports that the caller may see ask for; overdue first, then by the last day.

    What of it is shown to a person goes through `seen`.
    """
    rows = view.library.follow_up.rows()
    allowed = view.sees_signed(tuple(dict.fromkeys(row.study for row in rows)))
    return _tracked(view.library, [row for row in rows if row.study in allowed], today, view.list_scope)


def seen(view: View, shown: Iterable[FollowUp]) -> None:
    """Remember what the caller has seen of reports: they can't make a first read of those any more."""
    for study in dict.fromkeys(one.row.study for one in shown):
        view.signed_reports(study)


def tracked_by_all(library: Library, today: date) -> tuple[FollowUp, ...]:
    """Return what all signed reports of a library ask for, for whoever keeps it; in the same order."""
    return _tracked(library, library.follow_up.rows(), today, "acquired")


def close(view: View, identifier: str, why: str) -> None:
    """Close a task by hand: done elsewhere, or not needed any more; the reason is kept.

    Raises:
        HiddenError: The caller may not see it.
        InputError: There is no reason.
    """
    row = next((r for r in view.library.follow_up.rows() if r.id == identifier), None)
    if row is None or view.caller.reader is None or row.study not in view.sees_signed((row.study,)):
        raise HiddenError
    if not why.strip():
        raise InputError("a task without a reason to close it", "why it is not open any more", "give one")
    with view.library.transaction():
        view.library.follow_up.close(identifier, view.caller.reader, why.strip())
        view.library.audit.append(view.caller.reader, "follow_up.closed", row.study, {"task": identifier})


def _tracked(
    library: Library, rows: Sequence[FollowUpRow], today: date, scope: Scope
) -> tuple[FollowUp, ...]:
    studies = tuple(dict.fromkeys(row.study for row in rows))
    of_patient = library.instances.of_patients(studies, scope=scope)
    found = [_stands(row, of_patient[row.study], today) for row in rows if row.study in of_patient]
    return tuple(sorted(found, key=_order))


def _stands(row: FollowUpRow, studies: Sequence[StudyRow], today: date) -> FollowUp:
    study = next(s for s in studies if s.uid == row.study)
    asked = row.asked
    task = Task(
        row.study,
        asked.what,
        asked.asked_on,
        asked.earliest,
        asked.latest,
        asking=_exam(study, asked.asked_on),
    )
    exams = [_exam(r, r.time.date()) for r in studies if r.time is not None]
    (task,) = followup.close((task,), exams)
    done_on = next((exam.on for exam in exams if exam.study == task.done_by), None)
    closed = row.closed_at is not None and task.done_by is None
    return FollowUp(row, study, "done" if closed else task.state(today), task.done_by, done_on)


def _exam(study: StudyRow, on: date) -> Exam:
    return Exam(study.uid, study.modalities, on, study.body_parts[0] if study.body_parts else None)


def _order(one: FollowUp) -> tuple[int, date, str]:
    rank = ("overdue", "due", "waiting", "done").index(one.state)
    return rank, one.row.asked.latest or date.max, one.row.id
