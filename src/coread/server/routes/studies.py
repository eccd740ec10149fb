"""A study, its series and their pixels in blocks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from coread.server import pixels, translate
from coread.server.schemas import StudyJson
from coread.server.site import Person, TheSite
from coread.storage import ConflictError

router = APIRouter(tags=["studies"])


@router.get("/studies/{study}")
def study(study: str, site: TheSite, person: Person) -> StudyJson:
    """A study as the caller may see it, with the patient's earlier studies."""
    return translate.study(site, person, study)


@router.get(
    "/studies/{study}/parts/{key}/frames",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}},
)
def frames(
    study: str,
    key: str,
    site: TheSite,
    person: Person,
    first: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=512)] = 32,
    of: str | None = None,
) -> Response:
    """Modality values of the slices ``first`` to ``first + count`` of a part, in slice order.

    Little endian in the part's ``dtype``, C order; ``X-Shape`` says (slices, rows, columns[, channels]).
    ``of`` is the version of the part that the address of its frames holds; another one is refused.
    """
    part = pixels.part(site, person.view, study, key)
    if of is not None and of != part.version:
        raise ConflictError("the part has other planes by now", "the part as it is", "load the study again")
    block = pixels.block(site, person.view, part, first, count)
    return Response(
        block.tobytes(),
        media_type="application/octet-stream",
        headers={
            "X-Shape": ",".join(map(str, block.shape)),
            "X-Type": part.dtype.name,
            # without the version it is not to be kept: a slice that comes late moves the others
            "Cache-Control": "no-store" if of is None else "private, max-age=3600",
            "Vary": "Cookie",
        },
    )
