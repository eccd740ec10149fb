"""FHIR R4, to be read: imaging studies, and what signed reads state of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response

from coread.server import media
from coread.server.site import Client, TheSite
from coread.storage import StudyRow
from coread.workflow.second_reading import SecondReading
from coread.workflow.visibility import HiddenError

router = APIRouter(prefix="/fhir/R4", tags=["fhir"])
_TYPES = ("application/fhir+json", "application/json")
_KINDS = ("ImagingStudy", "DiagnosticReport", "Observation", "Provenance")
_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_SEARCH = {
    "ImagingStudy": ("identifier", "patient.identifier"),
    "DiagnosticReport": ("imaging-study", "patient.identifier"),
    "Observation": ("imaging-study",),
    "Provenance": ("imaging-study",),
}
Resource = dict[str, Any]


@router.get("/metadata")
def capability(request: Request, site: TheSite) -> Response:
    """The CapabilityStatement: what can be read and searched."""
    resources = [
        {
            "type": kind,
            "interaction": [{"code": "read"}, {"code": "search-type"}],
            "searchParam": [{"name": name, "type": "token"} for name in _SEARCH[kind]],
        }
        for kind in _KINDS
    ]
    return _answer(
        request,
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": site.clock().date().isoformat(),
            "kind": "instance",
            "software": {"name": "CoRead"},
            "implementation": {
                "description": "CoRead",
                "url": f"{str(request.base_url).rstrip('/')}/fhir/R4",
            },
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "rest": [{"mode": "server", "resource": resources}],
        },
    )


@router.get("/{kind}")
def search(kind: str, request: Request, client: Client) -> Response:
    """Resources of a kind, of all visible studies or of those that the parameters name."""
    _check(kind)
    wanted = dict(request.query_params)
    found = [
        r for row in _studies(client, wanted) for r in _resources(client, row) if r["resourceType"] == kind
    ]
    entries = [{"resource": resource, "search": {"mode": "match"}} for resource in found]
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return _answer(request, {**bundle, "entry": entries} if entries else bundle)


@router.get("/{kind}/{identifier}")
def read(kind: str, identifier: str, request: Request, client: Client) -> Response:
    """One resource by its identifier."""
    _check(kind)
    wanted = {"identifier": identifier} if kind == "ImagingStudy" else {}
    for row in _studies(client, wanted):
        for resource in _resources(client, row):
            if (resource["resourceType"], resource.get("id")) == (kind, identifier):
                return _answer(request, resource)
    raise HiddenError


def _check(kind: str) -> None:
    if kind not in _KINDS:
        raise HiddenError


def _answer(request: Request, resource: Resource) -> Response:
    kind = media.require(request.headers.get("accept"), *_TYPES)
    return Response(json.dumps(resource, ensure_ascii=False, separators=(",", ":")), media_type=kind)


def _studies(client: SecondReading, wanted: dict[str, str]) -> Iterator[StudyRow]:
    view = client.view
    study = wanted.get("identifier") or wanted.get("imaging-study", "").rpartition("/")[2]
    uid = study.removeprefix("urn:dicom:uid|").removeprefix("urn:oid:")
    patient = wanted.get("patient.identifier")
    cursor = None
    while True:
        page = view.library.instances.studies(order="newest", cursor=cursor, limit=500, scope=view.list_scope)
        for row in page.items:
            if uid in ("", row.uid) and patient in (None, row.patient_id):
                yield view.study(row.uid)
        cursor = page.next
        if cursor is None:
            return


def _resources(client: SecondReading, row: StudyRow) -> Iterator[Resource]:
    """Yield the imaging study and what the latest visible signed report of each reader states."""
    yield _imaging_study(client, row)
    latest = {stored.reader: stored for stored in client.view.report_files(row.uid)}
    for stored in latest.values():
        name = next((file.name for file in stored.files if file.name.endswith("fhir.json")), None)
        content = None if name is None else client.library.reports.file(stored.id, name)
        for entry in json.loads(content)["entry"] if content else ():
            resource: Resource = entry["resource"]
            resource.setdefault("id", entry.get("fullUrl", "").removeprefix("urn:uuid:"))
            if resource["resourceType"] != "ImagingStudy":
                yield resource


def _imaging_study(client: SecondReading, row: StudyRow) -> Resource:
    series = [
        {
            "uid": one.uid,
            **({} if one.number is None or one.number < 0 else {"number": one.number}),
            "modality": {"system": _DCM, "code": one.modality},
            **({"description": one.description} if one.description else {}),
            "numberOfInstances": one.instances,
            "instance": [
                {
                    "uid": stored.header.instance,
                    "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{stored.header.sop_class}"},
                    **(
                        {}
                        if stored.header.instance_number is None or stored.header.instance_number < 0
                        else {"number": stored.header.instance_number}
                    ),
                }
                for stored in client.view.instances(row.uid, one.uid)
            ],
        }
        for one in client.view.series(row.uid)
    ]
    patient: Resource = {"display": row.patient_name.replace("^", " ").strip() or "unknown"}
    if row.patient_id:
        patient["identifier"] = {"value": row.patient_id}
    return {
        "resourceType": "ImagingStudy",
        "id": row.uid,
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{row.uid}"}],
        "status": "available",
        "modality": [{"system": _DCM, "code": code} for code in row.modalities],
        "subject": patient,
        **({"started": row.time.date().isoformat()} if row.time else {}),
        **({"description": row.description} if row.description else {}),
        "numberOfSeries": row.series,
        "numberOfInstances": row.instances,
        "series": series,
    }
