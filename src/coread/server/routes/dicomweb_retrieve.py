"""WADO-RS: instances, metadata, frames and pictures of what the caller may see."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import UID
from starlette.exceptions import HTTPException

from coread.errors import InputError
from coread.interop.dicom import frame_attributes, read_instance, stored_frames
from coread.server import dicom_json, media, pixels, rendering
from coread.server.dicom_json import EXPLICIT
from coread.server.problems import NotAcceptableError
from coread.server.site import Client, Site, TheSite
from coread.storage import StoredInstance
from coread.workflow.visibility import HiddenError, View

router = APIRouter(prefix="/dicom-web/studies/{study}", tags=["dicomweb"])
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# an instance never changes, a series does; what one reader may see another may not
_KEEP = {"Cache-Control": "private, max-age=3600", "Vary": "Accept, Cookie"}
_JSON = ("application/dicom+json", "application/json")


@router.get("")
def study_files(study: str, request: Request, site: TheSite, client: Client) -> Response:
    """All visible instances of a study."""
    return _instances(request, site, _of_study(client.view, study))


@router.get("/series/{series}")
def series_files(study: str, series: str, request: Request, site: TheSite, client: Client) -> Response:
    """All visible instances of a series."""
    return _instances(request, site, client.view.instances(study, series))


@router.get("/series/{series}/instances/{instance}")
def instance_file(
    study: str, series: str, instance: str, request: Request, site: TheSite, client: Client
) -> Response:
    """An instance, as it is stored or as explicit little endian."""
    return _instances(request, site, [client.view.instance(study, series, instance)])


@router.get("/metadata")
def study_metadata(study: str, request: Request, site: TheSite, client: Client) -> Response:
    """The data sets of a study as DICOM JSON, without bulk data."""
    return _metadata(request, site, _of_study(client.view, study))


@router.get("/series/{series}/metadata")
def series_metadata(study: str, series: str, request: Request, site: TheSite, client: Client) -> Response:
    """The data sets of a series as DICOM JSON, without bulk data."""
    return _metadata(request, site, client.view.instances(study, series))


@router.get("/series/{series}/instances/{instance}/metadata")
def instance_metadata(
    study: str, series: str, instance: str, request: Request, site: TheSite, client: Client
) -> Response:
    """The data set of an instance as DICOM JSON, without bulk data."""
    return _metadata(request, site, [client.view.instance(study, series, instance)])


@router.get("/series/{series}/instances/{instance}/frames/{numbers}")
def frames(
    study: str, series: str, instance: str, numbers: str, request: Request, site: TheSite, client: Client
) -> Response:
    """Frames of an instance, decoded; as they are stored when the client names that transfer syntax."""
    row = client.view.instance(study, series, instance)
    wanted = _numbers(numbers, row)
    for entry in media.accepted(request.headers.get("accept")):
        if entry.inner not in ("application/octet-stream", "application/*", "*/*") and not (
            entry.inner.startswith("image/") and entry.transfer_syntax
        ):
            continue
        syntax = entry.transfer_syntax or "*"
        stored = row.header.transfer_syntax
        if syntax in ("*", EXPLICIT):
            kind = f"application/octet-stream; transfer-syntax={EXPLICIT}"
            contents = [(kind, _decoded(site, row, n)) for n in wanted]
        elif syntax == stored and UID(stored).is_compressed:
            inner = "application/octet-stream" if "*" in entry.inner else entry.inner
            kind = f"{inner}; transfer-syntax={stored}"
            contents = [(kind, _stored(site, row, n)) for n in wanted]
        else:
            continue
        if entry.type == "application/octet-stream" and len(contents) == 1:
            return Response(contents[0][1], media_type=contents[0][0], headers=_KEEP)
        body = b"".join(media.parts(contents))
        return Response(body, media_type=media.multipart_type("application/octet-stream"), headers=_KEEP)
    raise NotAcceptableError(
        f"Accept {request.headers.get('accept')!r}",
        f"multipart/related; type=application/octet-stream; transfer-syntax one of *, {EXPLICIT}, "
        f"{row.header.transfer_syntax}",
    )


@router.get("/series/{series}/instances/{instance}/rendered")
def rendered(
    study: str,
    series: str,
    instance: str,
    request: Request,
    site: TheSite,
    client: Client,
    window: str | None = None,
    viewport: str | None = None,
) -> Response:
    """The first frame of an instance as a windowed picture."""
    return _picture(request, site, client.view, (study, series, instance), 0, window, viewport)


@router.get("/series/{series}/instances/{instance}/frames/{number}/rendered")
def rendered_frame(
    study: str,
    series: str,
    instance: str,
    number: str,
    request: Request,
    site: TheSite,
    client: Client,
    window: str | None = None,
    viewport: str | None = None,
) -> Response:
    """A frame of an instance as a windowed picture."""
    row = client.view.instance(study, series, instance)
    (frame,) = _numbers(number, row)[:1]
    return _picture(request, site, client.view, (study, series, instance), frame, window, viewport)


@router.get("/series/{series}/thumbnail")
def series_thumbnail(study: str, series: str, request: Request, site: TheSite, client: Client) -> Response:
    """The middle of a series as a small picture."""
    media.require(request.headers.get("accept"), "image/png")
    content = rendering.thumbnail(site, client.view, study, series)
    return Response(content, media_type="image/png")


@router.get("/series/{series}/instances/{instance}/thumbnail")
def instance_thumbnail(
    study: str, series: str, instance: str, request: Request, site: TheSite, client: Client
) -> Response:
    """The first frame of an instance as a small picture."""
    size = f"{rendering.THUMBNAIL},{rendering.THUMBNAIL}"
    return _picture(request, site, client.view, (study, series, instance), 0, None, size)


def _of_study(view: View, study: str) -> list[StoredInstance]:
    return [row for series in view.series(study) for row in view.instances(study, series.uid)]


def _numbers(text: str, row: StoredInstance) -> list[int]:
    try:
        numbers = [int(number) - 1 for number in text.split(",")]
    except ValueError as error:
        raise InputError(f"frames {text!r}", "whole numbers from 1, with commas between") from error
    if not all(0 <= n < row.header.frames for n in numbers):
        raise HTTPException(404, f"the instance has {row.header.frames} frames")
    return numbers


def _decoded(site: Site, row: StoredInstance, frame: int) -> bytes:
    array = pixels.stored_frame(site, row, frame)
    content = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    return content if len(content) % 2 == 0 else content + b"\0"


def _stored(site: Site, row: StoredInstance, frame: int) -> bytes:
    dataset = pixels.instance(site, row).dataset
    return get_frame(dataset.PixelData, frame, number_of_frames=row.header.frames)


def _picture(
    request: Request,
    site: Site,
    view: View,
    uids: tuple[str, str, str],
    frame: int,
    window: str | None,
    viewport: str | None,
) -> Response:
    row = view.instance(*uids)
    if not row.header.frames:
        raise HiddenError
    media.require(request.headers.get("accept"), "image/png")
    content = rendering.rendered(
        site, view, row, frame, window=rendering.read_window(window), size=rendering.read_size(viewport)
    )
    return Response(content, media_type="image/png", headers=_KEEP)


def _metadata(request: Request, site: Site, rows: Sequence[StoredInstance]) -> Response:
    kind = media.require(request.headers.get("accept"), *_JSON)
    digest = hashlib.sha256("".join(row.digest for row in rows).encode()).hexdigest()

    def make() -> bytes:
        documents = []
        for row in rows:
            found = read_instance(site.library.objects.get(row.digest))
            documents.append(dicom_json.metadata(found, row))
        return gzip.compress(dicom_json.joined(documents), 4, mtime=0)

    packed = site.pixels.get(("metadata", digest), make, len)
    headers = {"Vary": "Accept, Accept-Encoding, Cookie"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    return Response(gzip.decompress(packed), media_type=kind, headers=headers)


def _instances(request: Request, site: Site, rows: Sequence[StoredInstance]) -> Response:
    for entry in media.accepted(request.headers.get("accept")):
        if entry.inner not in ("application/dicom", "application/*", "*/*"):
            continue
        syntax = entry.transfer_syntax or ("*" if entry.inner != "application/dicom" else EXPLICIT)
        if syntax not in ("*", EXPLICIT) and any(row.header.transfer_syntax != syntax for row in rows):
            continue
        contents = (("application/dicom", _file(site, row, plain=syntax == EXPLICIT)) for row in rows)
        if entry.type == "application/dicom" and len(rows) == 1:
            return Response(next(contents)[1], media_type="application/dicom", headers=_KEEP)
        return StreamingResponse(media.parts(contents), media_type=media.multipart_type("application/dicom"))
    raise NotAcceptableError(
        f"Accept {request.headers.get('accept')!r}",
        f"multipart/related; type=application/dicom; transfer-syntax one of *, {EXPLICIT}",
    )


def _file(site: Site, row: StoredInstance, *, plain: bool) -> bytes:
    """Return the file of an instance: as it came, or as explicit little endian."""
    content = site.library.objects.get(row.digest)
    if not plain or row.header.transfer_syntax == EXPLICIT:
        return content
    dataset = read_instance(content).dataset
    if row.header.frames:
        values = stored_frames(dataset)
        data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        for keyword, value in frame_attributes(dataset).items():
            setattr(dataset, keyword, value)
        dataset.PixelData = data if len(data) % 2 == 0 else data + b"\0"
        dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
        dataset["PixelData"].is_undefined_length = False
    if row.header.transfer_syntax == _BIG_ENDIAN:
        _turn_words(dataset)
    plain_copy = Dataset()  # one that remembers no other encoding
    for element in dataset:
        plain_copy.add(element)
    plain_copy.file_meta = FileMetaDataset()
    plain_copy.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    target = io.BytesIO()
    plain_copy.save_as(target, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return target.getvalue()


def _turn_words(dataset: Dataset) -> None:
    """Turn binary words of a big endian data set to little endian, but for the pixels, which are set anew."""
    for element in dataset.iterall():
        size = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}.get(element.VR)
        if size is not None and element.tag != 0x7FE00010 and element.value:
            element.value = np.frombuffer(element.value, f">u{size}").astype(f"<u{size}").tobytes()
