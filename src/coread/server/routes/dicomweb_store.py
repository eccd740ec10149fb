"""STOW-RS: instances from the network into the intake; success is said only for what is on the disk."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from coread.core import FileEntry
from coread.errors import DataError, InputError
from coread.interop.dicom import read_instance
from coread.server import media
from coread.server.dicom_json import Attributes, attribute
from coread.server.site import Client, Site, TheSite
from coread.workflow.intake import IntakeSettings, ingest_bytes
from coread.workflow.jobs import enqueue_studies
from coread.workflow.uploads import mark_late_images

router = APIRouter(prefix="/dicom-web", tags=["dicomweb"])
_CANNOT_UNDERSTAND = 0xC000
_DOES_NOT_MATCH = 0xA900
_FAILURES = {"refused": _CANNOT_UNDERSTAND, "quarantined": _DOES_NOT_MATCH}


@router.post("/studies")
async def store(request: Request, site: TheSite, client: Client) -> Response:
    """Keep instances of any study."""
    return await _store(request, site, client.caller.reader or "stow", None)


@router.post("/studies/{study}")
async def store_study(study: str, request: Request, site: TheSite, client: Client) -> Response:
    """Keep instances of one study; those of another are refused."""
    return await _store(request, site, client.caller.reader or "stow", study)


async def _store(request: Request, site: Site, actor: str, study: str | None) -> Response:
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/related"):
        raise HTTPException(415, "the body is not multipart/related")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > site.settings.upload_limit:
            raise HTTPException(413, f"more than {site.settings.upload_limit} bytes")
    try:
        parts = media.read_parts(kind, bytes(body))
    except InputError as error:
        raise HTTPException(400, str(error)) from error
    if any(media.accepted(part_kind)[0].type != "application/dicom" for part_kind, _ in parts):
        raise HTTPException(415, "a part is not application/dicom")
    return await run_in_threadpool(_take_in, request, site, actor, study, [content for _, content in parts])


def _take_in(request: Request, site: Site, actor: str, study: str | None, contents: list[bytes]) -> Response:
    files, failed = [], []
    for n, content in enumerate(contents, start=1):
        other = None if study is None else _of_other_study(content, study)
        if other is None:
            files.append((f"stow/{n}", content))
        else:
            failed.append(_failed(other, _DOES_NOT_MATCH))
    summary = ingest_bytes(site.library, files, actor=actor, settings=IntakeSettings(offline=False))
    mark_late_images(site.library, summary)
    if summary.new_images:
        enqueue_studies(site.library, summary.new_images, site.models)
        site.wake()
    stored: list[Attributes] = []
    nameless: list[Attributes] = []
    address = f"{str(request.base_url).rstrip('/')}/dicom-web"
    for entry in summary.entries:
        reason = _FAILURES.get(entry.role)
        if reason is None:
            stored.append(_kept(site, entry, address))
        elif entry.instance is None:
            nameless.append(attribute("FailureReason", reason))
        else:
            failed.append(_failed(entry.instance, reason))
    sequences = (("00081199", stored), ("00081198", failed), ("0008119A", nameless))
    answer = {tag: {"vr": "SQ", "Value": items} for tag, items in sequences if items}
    status = 409 if not stored else 202 if failed or nameless else 200
    return Response(
        json.dumps(answer, separators=(",", ":")), status_code=status, media_type="application/dicom+json"
    )


def _of_other_study(content: bytes, study: str) -> str | None:
    """Return the instance UID of a file that says another study; None where it fits or can't be read."""
    try:
        header = read_instance(content, offline=False, pixels=False).header
    except DataError:
        return None  # the intake says why it can't be used
    return None if header.study == study else header.instance


def _failed(instance: str, reason: int) -> Attributes:
    return {**attribute("ReferencedSOPInstanceUID", instance), **attribute("FailureReason", reason)}


def _kept(site: Site, entry: FileEntry, address: str) -> Attributes:
    found = site.library.instances.find(entry.instance or "")
    place = f"{address}/studies/{entry.study}/series/{entry.series}/instances/{entry.instance}"
    return {
        **attribute("ReferencedSOPClassUID", None if found is None else found.header.sop_class),
        **attribute("ReferencedSOPInstanceUID", entry.instance),
        **attribute("RetrieveURL", place),
    }
