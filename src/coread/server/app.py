"""The application: page, API, DICOMweb and FHIR on one origin."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, FastAPI

from coread.server import problems, static
from coread.server.pixels import PixelCache
from coread.server.routes import (
    audit,
    dicomweb_query,
    dicomweb_retrieve,
    dicomweb_store,
    fhir,
    follow_up,
    health,
    intake,
    jobs,
    overlays,
    people,
    reading,
    report,
    report_text,
    studies,
    vocabulary,
    worklist,
)
from coread.server.schemas import Problem
from coread.server.security import Guard
from coread.server.settings import ServerSettings
from coread.server.site import Sessions, Site
from coread.storage import Library, utc_now
from coread.workflow.analyzers import Registered, known_analyzers

STATIC = Path(__file__).parent / "static"
_API = (
    people,
    worklist,
    studies,
    reading,
    overlays,
    report,
    report_text,
    follow_up,
    vocabulary,
    intake,
    jobs,
    audit,
)
_REFUSALS = (401, 403, 409, 412, 422, 428)


def create_app(
    library: Library,
    *,
    settings: ServerSettings | None = None,
    clock: Callable[[], datetime] = utc_now,
    rng: random.Random | None = None,
    analyzers: Sequence[Registered] | None = None,
    models: Path | None = None,
    wake: Callable[[], None] = lambda: None,
    page: Path = STATIC,
) -> FastAPI:
    """Return the server over a library.

    Args:
        library: Open; its owner closes it.
        settings: What the site has chosen.
        clock: Gives the present time with its offset.
        rng: Source of session tokens; the system's unless a test hands in another.
        analyzers: Whose cards are known; those that are installed or imported unless given.
        models: Folder of the site's models; None for the installed ones as their cards say.
        wake: Called when there is new work in the queue.
        page: Folder of the built reading page.
    """
    settings = settings or ServerSettings()
    app = FastAPI(
        title="CoRead",
        version=version("coread"),
        summary="The radiologist's second reader.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: "_".join([*map(str, route.tags), route.name]),
    )
    rng = rng or random.SystemRandom()
    app.state.site = Site(
        library=library,
        clock=clock,
        settings=settings,
        analyzers=tuple(known_analyzers(models) if analyzers is None else analyzers),
        sessions=Sessions(rng),
        pixels=PixelCache(settings.cache_bytes),
        wake=wake,
        models=models,
    )
    problems.install(app)
    api = APIRouter(prefix="/api/v1", responses={status: {"model": Problem} for status in _REFUSALS})
    for topic in _API:
        api.include_router(topic.router)
    app.include_router(api)
    for topic in (dicomweb_query, dicomweb_retrieve, dicomweb_store, fhir, health):
        app.include_router(topic.router)
    static.install(app, page)
    hosts = frozenset({"127.0.0.1", "localhost", "::1", settings.host.strip("[]")})
    app.add_middleware(Guard, hosts=hosts)
    return app
