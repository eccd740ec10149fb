"""QIDO-RS: lists of studies, series and instances, over what the caller may see; no file is opened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from fastapi import APIRouter, Request, Response

from coread.server import media
from coread.server.dicom_json import (
    Attributes,
    Query,
    instance_attributes,
    read_query,
    series_attributes,
    study_attributes,
)
from coread.server.site import Client
from coread.storage import StudyRow
from coread.workflow.visibility import View

router = APIRouter(prefix="/dicom-web", tags=["dicomweb"])
_TYPES = ("application/dicom+json", "application/json")


@router.options("/")
def capabilities(request: Request) -> Response:
    """The Capabilities Description: which resources there are and what each takes."""
    address = _address(request)
    resources = [
        {"path": route, "methods": ["GET"], "accept": accept}
        for route, accept in (
            ("/studies", _TYPES[0]),
            ("/series", _TYPES[0]),
            ("/instances", _TYPES[0]),
            ("/studies/{study}/series", _TYPES[0]),
            ("/studies/{study}/instances", _TYPES[0]),
            ("/studies/{study}/series/{series}/instances", _TYPES[0]),
            ("/studies/{study}/metadata", _TYPES[0]),
            ("/studies/{study}", "multipart/related; type=application/dicom"),
            ("/studies/{study}/series/{series}", "multipart/related; type=application/dicom"),
            ("/studies/{study}/series/{series}/instances/{instance}", "application/dicom"),
            (
                "/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
                "multipart/related; type=application/octet-stream",
            ),
            ("/studies/{study}/series/{series}/instances/{instance}/rendered", "image/png"),
            ("/studies/{study}/series/{series}/thumbnail", "image/png"),
        )
    ]
    resources.append(
        {"path": "/studies", "methods": ["POST"], "accept": "multipart/related; type=application/dicom"}
    )
    body = json.dumps({"base": address, "standard": "DICOM PS3.18", "resources": resources})
    return Response(body, media_type="application/json", headers={"Allow": "GET, POST, OPTIONS"})


@router.get("/studies")
def studies(request: Request, client: Client) -> Response:
    """Studies that match, the newest first."""
    address = _address(request)
    return _answer(request, (study_attributes(row, address) for row in _visible(client.view)))


@router.get("/series")
def all_series(request: Request, client: Client) -> Response:
    """Series of all studies that match."""
    return _answer(request, _series(client.view, _visible(client.view), _address(request)))


@router.get("/instances")
def all_instances(request: Request, client: Client) -> Response:
    """Instances of all studies that match."""
    return _answer(request, _instances(client.view, _visible(client.view), _address(request)))


@router.get("/studies/{study}/series")
def series(study: str, request: Request, client: Client) -> Response:
    """Series of a study that match, by number."""
    return _answer(request, _series(client.view, [client.view.study(study)], _address(request)))


@router.get("/studies/{study}/instances")
def study_instances(study: str, request: Request, client: Client) -> Response:
    """Instances of a study that match, by series and number."""
    return _answer(request, _instances(client.view, [client.view.study(study)], _address(request)))


@router.get("/studies/{study}/series/{series}/instances")
def series_instances(study: str, series: str, request: Request, client: Client) -> Response:
    """Instances of a series that match, by number."""
    address = _address(request)
    rows = client.view.instances(study, series)
    return _answer(request, (instance_attributes(row, address) for row in rows))


def _address(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}/dicom-web"


def _visible(view: View) -> Iterator[StudyRow]:
    cursor = None
    while True:
        page = view.library.instances.studies(order="newest", cursor=cursor, limit=500, scope=view.list_scope)
        for row in page.items:
            yield view.study(row.uid)
        cursor = page.next
        if cursor is None:
            return


def _series(view: View, rows: Iterator[StudyRow] | list[StudyRow], address: str) -> Iterator[Attributes]:
    for study in rows:
        of_study = study_attributes(study, address)
        for row in view.series(study.uid):
            yield {**of_study, **series_attributes(row, address)}


def _instances(view: View, rows: Iterator[StudyRow] | list[StudyRow], address: str) -> Iterator[Attributes]:
    for study in rows:
        of_study = study_attributes(study, address)
        for series_row in view.series(study.uid):
            of_series = series_attributes(series_row, address)
            for row in view.instances(study.uid, series_row.uid):
                yield {**of_study, **of_series, **instance_attributes(row, address)}


def _answer(request: Request, found: Iterator[Attributes]) -> Response:
    kind = media.require(request.headers.get("accept"), *_TYPES)
    query: Query = read_query(request.query_params.multi_items())
    matching = (attributes for attributes in found if query.matches(attributes))
    page = list(islice(matching, query.offset, query.offset + query.limit + 1))
    warnings = []
    if query.fuzzy:
        warnings.append('299 coread "fuzzymatching is not supported; values were matched literally"')
    if len(page) > query.limit:
        warnings.append('299 coread "there are more results; ask again with offset"')
    headers = {"Warning": ", ".join(warnings)} if warnings else {}
    if not page[: query.limit]:
        return Response(status_code=204, headers=headers)
    body = json.dumps(page[: query.limit], ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, media_type=kind, headers=headers)
