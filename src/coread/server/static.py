"""The built reading page: its files, with the caching that each may have."""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from starlette.exceptions import HTTPException

from coread.server.site import known_reader, site_of, start_session

_HASHED = re.compile(r"-[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
_TYPES = {".wasm": "application/wasm", ".js": "text/javascript", ".mjs": "text/javascript"}
_NOT_BUILT = """<!doctype html><meta charset=utf-8><title>CoRead</title>
<h1>The reading page is not built</h1>
<p>The server runs, but this installation has no page. Install a wheel of CoRead, or build the page in
<code>web/</code> with <code>npm ci</code> and <code>npm run build</code>, and load this address again.</p>
"""


def install(app: FastAPI, folder: Path) -> None:
    """Serve the page's files; addresses of the page itself all give its one document."""
    root = folder.resolve()

    @app.get("/", include_in_schema=False)
    def index(request: Request) -> Response:
        return _document(request, root)

    @app.get("/{path:path}", include_in_schema=False)
    def file(path: str, request: Request) -> Response:
        found = (root / path).resolve()
        if not found.is_relative_to(root) or path.startswith(("api/", "dicom-web", "fhir")):
            raise HTTPException(404)
        if found.is_file():
            if found.name == "index.html":
                return _document(request, root)
            kind = (
                _TYPES.get(found.suffix) or mimetypes.guess_type(found.name)[0] or "application/octet-stream"
            )
            hashed = bool(_HASHED.search(found.name))
            cache = "public, max-age=31536000, immutable" if hashed else "no-cache"
            return FileResponse(found, media_type=kind, headers={"Cache-Control": cache})
        if "." in Path(path).name and not path.startswith("study"):
            raise HTTPException(404)
        return _document(request, root)


def _document(request: Request, root: Path) -> Response:
    page = root / "index.html"
    built = page.is_file()
    text = page.read_text(encoding="utf-8") if built else _NOT_BUILT
    response = HTMLResponse(text, status_code=200 if built else 503, headers={"Cache-Control": "no-cache"})
    site = site_of(request)
    if known_reader(request) is None and len(site.settings.readers) == 1:
        start_session(site, site.settings.readers[0].id, response)
    return response
