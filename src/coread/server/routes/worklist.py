"""What there is to read, in its order."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from coread.server import translate
from coread.server.schemas import Worklist, WorklistCounts, WorklistFilter
from coread.server.site import Person, TheSite
from coread.workflow import worklist as lists

router = APIRouter(tags=["worklist"])


@router.get("/worklist")
def worklist(
    site: TheSite,
    person: Person,
    shown: Annotated[WorklistFilter, Query(alias="filter")] = "to_read",
    q: Annotated[str, Query(max_length=200)] = "",
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Worklist:
    """A page of the studies to read, being read or signed by the caller, in the order to read them."""
    page = lists.page(person.view, now=site.clock(), shown=shown, query=q, cursor=cursor, limit=limit)
    return Worklist(
        total=page.total,
        next=page.next,
        counts=WorklistCounts(**page.counts),
        refused_today=page.refused_today,
        items=[translate.worklist_item(entry) for entry in page.entries],
    )
