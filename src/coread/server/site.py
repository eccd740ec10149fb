"""What all routes of one application share, and who asks."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header
from starlette.requests import Request
from starlette.responses import Response

from coread.errors import InputError
from coread.server.pixels import PixelCache
from coread.server.problems import PreconditionRequiredError, UnknownCallerError
from coread.server.settings import ConfiguredReader, ServerSettings
from coread.workflow.analyzers import Registered
from coread.workflow.second_reading import SecondReading
from coread.workflow.visibility import Caller

if TYPE_CHECKING:
    from coread.storage import Library

COOKIE = "coread_session"
_MOST_SESSIONS = 1024


class Sessions:
    """Who is behind a cookie: random tokens, kept in memory, the oldest forgotten."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._readers: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()

    def start(self, reader: str) -> str:
        """Return the token of a new session of a reader."""
        with self._lock:
            token = f"{self._rng.getrandbits(256):064x}"
            self._readers[token] = reader
            while len(self._readers) > _MOST_SESSIONS:
                self._readers.popitem(last=False)
        return token

    def reader(self, token: str | None) -> str | None:
        """Return the reader of a token, or None."""
        return None if token is None else self._readers.get(token)


@dataclass(frozen=True)
class Site:
    """What all routes share."""

    library: Library
    clock: Callable[[], datetime]
    settings: ServerSettings
    analyzers: tuple[Registered, ...]
    sessions: Sessions
    pixels: PixelCache = field(repr=False)
    wake: Callable[[], None] = field(default=lambda: None, repr=False)
    models: Path | None = None

    def second_reading(self, caller: Caller) -> SecondReading:
        """Return everything that a caller may do and see."""
        return SecondReading(
            self.library,
            caller,
            clock=self.clock,
            rules=self.settings.rules,
            cards={registered.name: registered.card for registered in self.analyzers},
        )


def site_of(request: Request) -> Site:
    """Return what the application shares."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def start_session(site: Site, reader: str, response: Response) -> None:
    """Set the cookie of a new session; it reaches DICOMweb and FHIR too, which know no other person."""
    response.set_cookie(COOKIE, site.sessions.start(reader), path="/", httponly=True, samesite="strict")


def known_reader(request: Request) -> ConfiguredReader | None:
    """Return who the cookie says is asking, or None."""
    site = site_of(request)
    identifier = site.sessions.reader(request.cookies.get(COOKIE))
    return None if identifier is None else site.settings.reader(identifier)


def current_reader(request: Request) -> ConfiguredReader:
    """Return who is asking; on a server with one reader it is that one.

    Raises:
        UnknownCallerError: Several readers are configured and none was chosen.
    """
    reader = known_reader(request)
    if reader is not None:
        return reader
    readers = site_of(request).settings.readers
    if len(readers) == 1:
        return readers[0]
    raise UnknownCallerError(
        "the server does not know who asks", "a session of one of its readers", "POST /api/v1/session"
    )


def _person(request: Request) -> SecondReading:
    reader = current_reader(request)
    return site_of(request).second_reading(Caller(reader.id, reader.role))


def _client(request: Request) -> SecondReading:
    reader = known_reader(request)
    caller = Caller(None, "client") if reader is None else Caller(reader.id, reader.role)
    return site_of(request).second_reading(caller)


def _expected_version(if_match: Annotated[str | None, Header()] = None) -> int:
    if if_match is None:
        raise PreconditionRequiredError(
            "a change without If-Match",
            "the version of the reading that it changes",
            "send If-Match with its ETag",
        )
    digits = if_match.strip().removeprefix("W/").strip('"')
    if not digits.isdecimal():
        raise InputError(f"If-Match {if_match!r}", "the ETag of a reading, a number in quotes")
    return int(digits)


TheSite = Annotated[Site, Depends(site_of)]
Person = Annotated[SecondReading, Depends(_person)]
Client = Annotated[SecondReading, Depends(_client)]
CurrentReader = Annotated[ConfiguredReader, Depends(current_reader)]
Version = Annotated[int, Depends(_expected_version)]


def etag(response: Response, version: int) -> None:
    """Say the version of a reading."""
    response.headers["ETag"] = f'"{version}"'


__all__ = ["COOKIE", "Client", "CurrentReader", "Person", "Sessions", "Site", "TheSite", "Version"]
