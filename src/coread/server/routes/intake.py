"""Files that are handed in, and what became of them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, File, Query, UploadFile, status

from coread.server import translate, uploads
from coread.server.schemas import IntakePage, JobRef
from coread.server.site import Person, TheSite

router = APIRouter(tags=["intake"])
Role = Literal["image", "object", "duplicate", "quarantined", "refused"]


@router.get("/intake")
def intake(
    person: Person,
    role: Annotated[list[Role] | None, Query()] = None,
    study: str | None = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> IntakePage:
    """What became of every file that the caller may know of, newest first; of one study where it is named."""
    page = person.view.intake(roles=tuple(role or ()), study=study, cursor=cursor, limit=limit)
    return IntakePage(total=page.total, next=page.next, items=[translate.intake_entry(e) for e in page.items])


@router.post("/intake", status_code=status.HTTP_202_ACCEPTED)
def hand_in(files: Annotated[list[UploadFile], File()], site: TheSite, person: Person) -> JobRef:
    """Hand in DICOM files or zip archives; the work goes on as a job."""
    named = ((file.filename or "file", file.file) for file in files)
    return JobRef(job=uploads.accept(site, person.caller, named))
