"""A study, its series and their pixels in blocks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from coread.server import pixels, translate
from coread.server.schemas import StudyJson
from coread.server.site import Person, TheSite

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
) -> Response:
    """Modality values of the slices ``first`` to ``first + count`` of a part, in slice order.

    Little endian in the part's ``dtype``, C order; ``X-Shape`` says (slices, rows, columns[, channels]).
    """
    part = pixels.part(site, person.view, study, key)
    block = pixels.block(site, person.view, part, first, count)
    return Response(
        block.tobytes(),
        media_type="application/octet-stream",
        headers={
            "X-Shape": ",".join(map(str, block.shape)),
            "X-Type": part.dtype.name,
            "Cache-Control": "private, max-age=3600",
        },
    )
