"""Who is asking."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from coread.errors import InputError
from coread.server.schemas import Me, ReaderChoice, SessionRequest
from coread.server.settings import ConfiguredReader
from coread.server.site import CurrentReader, TheSite, known_reader, start_session

router = APIRouter(tags=["people"])


def _me(reader: ConfiguredReader) -> Me:
    return Me(id=reader.id, name=reader.name, role=reader.role, language=reader.language)


@router.get("/me")
def me(request: Request, response: Response, site: TheSite, reader: CurrentReader) -> Me:
    """Who the server takes the caller for."""
    if known_reader(request) is None:
        start_session(site, reader.id, response)
    return _me(reader)


@router.get("/session")
def readers(site: TheSite) -> list[ReaderChoice]:
    """The readers that a session can be opened for."""
    return [ReaderChoice(id=r.id, name=r.name, role=r.role) for r in site.settings.readers]


@router.post("/session")
def choose(chosen: SessionRequest, response: Response, site: TheSite) -> Me:
    """Act as one of the configured readers."""
    reader = site.settings.reader(chosen.reader)
    if reader is None:
        raise InputError("a reader that is not configured", "one of GET /api/v1/session")
    start_session(site, reader.id, response)
    return _me(reader)
