"""What was done, for those who watch over it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from coread.server import translate
from coread.server.schemas import AuditPage
from coread.server.site import Person

router = APIRouter(tags=["audit"])


@router.get("/audit")
def audit(
    person: Person,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    check: bool = False,
) -> AuditPage:
    """The audit log over what the caller may see, for roles lead, auditor and admin, newest first."""
    page, intact = person.view.audit(cursor=cursor, limit=limit, check=check)
    return AuditPage(
        total=page.total, next=page.next, intact=intact, items=[translate.audit_entry(e) for e in page.items]
    )
