"""Work under way, and news as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from coread.server import events, translate
from coread.server.schemas import JobJson
from coread.server.site import Person, TheSite

router = APIRouter(tags=["jobs"])


@router.get("/jobs/{identifier}")
def job(identifier: str, person: Person) -> JobJson:
    """How far a job is."""
    return translate.job(person.view.job(identifier))


@router.delete("/jobs/{identifier}", status_code=204, response_class=Response)
def cancel(identifier: str, person: Person) -> Response:
    """Cancel a job; what it has done stays."""
    person.cancel_job(identifier)
    return Response(status_code=204)


@router.get(
    "/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
)
async def stream(
    request: Request, site: TheSite, person: Person, wait: Annotated[bool, Query()] = True
) -> StreamingResponse:
    """News of studies and jobs that the caller may see, as server-sent events.

    ``job``: a `JobJson`; ``study``: ``{study, processing, progress, state}``. ``wait=0`` answers what is
    known now and ends.
    """

    async def told() -> AsyncIterator[bytes]:
        known: dict[str, bytes] = {}
        since = None
        while True:
            news = await run_in_threadpool(events.news, person.view, since)
            for subject, event in news.events.items():
                if known.get(subject) != event:
                    yield event
            known.update(news.events)
            since = news.until
            if not wait or await request.is_disconnected():
                return
            yield b": still here\n\n"
            await events.pause(site.settings.events_interval_s)

    return StreamingResponse(told(), media_type="text/event-stream")
