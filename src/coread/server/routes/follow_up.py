"""The follow-up tracker: examinations that signed reports ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, status

from coread.errors import InputError
from coread.language.followup import TaskState
from coread.server.limits import BoundedRoute
from coread.server.site import Person, TheSite
from coread.server.text_schemas import CloseRequest, FollowUpCounts, FollowUpJson, FollowUpPage
from coread.workflow import follow_up as tracker

router = APIRouter(prefix="/follow-up", tags=["follow-up"], route_class=BoundedRoute)


@router.get("")
def follow_up(
    site: TheSite,
    person: Person,
    state: Annotated[list[TaskState] | None, Query()] = None,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> FollowUpPage:
    """A page of what signed reports ask for, the overdue first."""
    found = tracker.tracked(person.view, site.clock().date())
    counts = {name: sum(one.state == name for one in found) for name in FollowUpCounts.model_fields}
    shown = [one for one in found if not state or one.state in state]
    start = _start(cursor)
    following = start + limit
    tracker.seen(person.view, shown[start:following])
    return FollowUpPage(
        total=len(shown),
        next=str(following) if following < len(shown) else None,
        counts=FollowUpCounts(**counts),
        items=[_task(one) for one in shown[start:following]],
    )


@router.post("/{identifier}/close", status_code=status.HTTP_204_NO_CONTENT)
def close_follow_up(identifier: str, body: CloseRequest, person: Person) -> None:
    """Close a task by hand: done elsewhere, or not needed any more."""
    tracker.close(person.view, identifier, body.why)


def _start(cursor: str | None) -> int:
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal()):
        raise InputError(f"cursor {cursor!r}", "a `next` of this list", "start at the first page")
    return int(cursor or 0)


def _task(one: tracker.FollowUp) -> FollowUpJson:
    row, study = one.row, one.study
    return FollowUpJson(
        id=row.id,
        study=row.study,
        patient=study.patient_name,
        patient_id=study.patient_id,
        description=study.description,
        reader=row.reader,
        what=row.asked.what,
        asked_on=row.asked.asked_on,
        earliest=row.asked.earliest,
        latest=row.asked.latest,
        state=one.state,
        done_by=one.done_by,
        done_on=one.done_on,
        closed_by=row.closed_by,
        closed_why=row.closed_why,
    )
