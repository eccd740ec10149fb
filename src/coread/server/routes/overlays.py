"""Maps and segments of models as 8-bit volumes on the grid of the part they belong to."""

from __future__ import annotations

import gzip
from typing import Any

from fastapi import APIRouter, Request, Response

from coread.server import overlays
from coread.server.site import Person, TheSite

router = APIRouter(prefix="/studies/{study}", tags=["overlays"])
_BYTES: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


@router.get("/maps/{identifier}/data", response_class=Response, responses=_BYTES)
def map_data(study: str, identifier: str, request: Request, site: TheSite, person: Person) -> Response:
    """A map in 8 bits: 0 says nothing, 1 to 255 run from ``X-Low`` to ``X-High``."""
    return _answer(request, overlays.map_volume(site, person, study, identifier))


@router.get("/segments/{identifier}/data", response_class=Response, responses=_BYTES)
def segment_data(study: str, identifier: str, request: Request, site: TheSite, person: Person) -> Response:
    """A region in 8 bits: 1 inside, 0 outside."""
    return _answer(request, overlays.segment_volume(site, person, study, identifier))


def _answer(request: Request, overlay: overlays.Overlay) -> Response:
    headers = {
        "X-Shape": ",".join(map(str, overlay.values.shape)),
        "X-Low": repr(overlay.low),
        "X-High": repr(overlay.high),
        "X-Part": overlay.part_key,
        "Vary": "Accept-Encoding",
    }
    content = overlay.values.tobytes()
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, media_type="application/octet-stream", headers=headers)
