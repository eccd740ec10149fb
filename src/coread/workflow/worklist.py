"""The worklist of one caller: what there is to read, in its order, and what may be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal

from coread.core import Note
from coread.decision.worklist import Placed, Waiting, WaitingLimits, order
from coread.errors import InputError
from coread.storage import ReadingHead, StudyRow
from coread.workflow.visibility import Processing, View

Shown = Literal["to_read", "being_read", "signed"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One study on the worklist.

    Attributes:
        study: As the caller may see it.
        placed: Priority, waiting time and the reason for its place.
        reason: Words of the order or the names of triage models, for the reasons that have some.
        processing: How far the work on it is.
        progress: Part that is done, or None.
        quality: Notes of analyzers that show before any read.
        priors: Number of earlier studies.
        head: Where the caller's own reading stands, or None.
    """

    study: StudyRow
    placed: Placed
    reason: str
    processing: Processing
    progress: float | None
    quality: tuple[Note, ...]
    priors: int
    head: ReadingHead | None


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """A page of the worklist.

    Attributes:
        entries: In the order to read them; those that are signed, the newest first.
        total: How many the filter shows.
        next: Cursor of the next page, or None.
        counts: How many each filter shows.
        refused_today: Files that could not be used today (in UTC).
    """

    entries: tuple[Entry, ...]
    total: int
    next: str | None
    counts: Mapping[str, int]
    refused_today: int


def page(
    view: View,
    *,
    now: datetime,
    shown: Shown = "to_read",
    query: str = "",
    cursor: str | None = None,
    limit: int = 50,
    limits: WaitingLimits | None = None,
) -> WorklistPage:
    """Return one page of the caller's worklist; states are those of the caller's own readings.

    Args:
        view: What the caller may see.
        now: The present time, with its offset.
        shown: Which studies.
        query: Words to search for in name, identifier, accession number and description.
        cursor: The ``next`` of the page before.
        limit: Length of the page.
        limits: How long studies may wait.
    """
    studies = {row.uid: row for row in _all(view, shown, query)}
    if shown == "signed":
        uids = list(studies)
        placed = {p.study: p for p in order((_waiting(view, row, now) for row in studies.values()), limits)}
    else:
        ordered = order((_waiting(view, row, now) for row in studies.values()), limits)
        placed = {p.study: p for p in ordered}
        uids = list(placed)
    start = 0 if cursor is None else _start(cursor)
    entries = tuple(_entry(view, studies[uid], placed[uid]) for uid in uids[start : start + limit])
    midnight = datetime.combine(now.date(), time(), now.tzinfo)
    counts = view.library.instances.state_counts(reader=view.caller.reader, scope=view.list_scope)
    refused = view.library.intake.counts(since=midnight, scope=view.list_scope)
    return WorklistPage(
        entries=entries,
        total=len(uids),
        next=str(start + limit) if start + limit < len(uids) else None,
        counts={state: counts[state] for state in ("to_read", "being_read", "signed")},
        refused_today=refused["refused"],
    )


def _all(view: View, shown: Shown, query: str) -> list[StudyRow]:
    found: list[StudyRow] = []
    cursor: str | None = None
    while True:
        rows = view.library.instances.studies(
            query=query,
            state=shown,
            reader=view.caller.reader,
            order="newest" if shown == "signed" else "urgency",
            cursor=cursor,
            limit=1000,
            scope=view.list_scope,
        )
        found.extend(rows.items)
        cursor = rows.next
        if cursor is None:
            return found


def _start(cursor: str) -> int:
    if not cursor.isdecimal():
        raise InputError(f"cursor {cursor!r}", "a `next` of this list", "start at the first page")
    return int(cursor)


def _waiting(view: View, row: StudyRow, now: datetime) -> Waiting:
    raised: Any = "urgent" if view.raised_by(row.uid) else None
    waiting = max(now - row.received_at, timedelta())
    return Waiting(study=row.uid, ordered=row.priority, waiting_s=waiting.total_seconds(), raised=raised)


def _entry(view: View, row: StudyRow, placed: Placed) -> Entry:
    processing, progress = view.processing(row.uid)
    notes = tuple(
        note
        for shown in view.quality(row.uid)
        if shown.result is not None
        for note in shown.result.notes
        if note.kind in ("gate", "warning")
    )
    reason = ", ".join(view.raised_by(row.uid)) if placed.why == "raised" else row.priority_reason
    return Entry(
        study=view.study(row.uid),
        placed=placed,
        reason=reason,
        processing=processing,
        progress=progress,
        quality=notes,
        priors=len(view.priors(row.uid)),
        head=view.own_head(row.uid),
    )
