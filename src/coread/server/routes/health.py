"""Whether the server lives and can work."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Response

from coread.server.site import TheSite

router = APIRouter(tags=["health"])


@router.get("/healthz")
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(site: TheSite) -> dict[str, str]:
    """The library answers."""
    site.library.audit.anchor()
    return {"status": "ok"}


@router.get("/metrics", response_class=Response)
def metrics() -> Response:
    """Figures of the process for Prometheus; nothing about studies."""
    lines = (
        "# HELP coread_info The running version.",
        "# TYPE coread_info gauge",
        f'coread_info{{version="{version("coread")}"}} 1',
    )
    return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")
