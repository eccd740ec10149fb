"""The report and what is made of it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from coread.server import translate
from coread.server.schemas import ExportJson, Language, ReportDraftRequest, ReportJson
from coread.server.site import Person

_DOCUMENT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
router = APIRouter(prefix="/studies/{study}", tags=["report"])


@router.get("/report")
def report(study: str, person: Person, language: Language = "en") -> ReportJson:
    """The signed report, or the draft from what the reader found and accepted."""
    return translate.report(person.report(study, language), person)


@router.put("/report/draft")
def save_report(study: str, body: ReportDraftRequest, person: Person) -> ReportJson:
    """Keep the reader's own words for the report, before signing."""
    sections = translate.to_sections(body.sections, person)
    saved = person.save_report(study, sections, tuple(body.measurements), body.language)
    return translate.report(saved, person)


@router.get("/exports")
def exports(study: str, person: Person) -> list[ExportJson]:
    """The files of the signed read."""
    return [translate.export(name, size) for name, size in person.exports(study).items()]


@router.get("/exports/{name}", response_class=Response)
def export(study: str, name: str, person: Person) -> Response:
    """One file of the signed read."""
    content = person.export(study, name)
    kind = translate.media_type(name)
    shown = "inline" if kind in ("text/html", "application/pdf", "image/png") else "attachment"
    headers = {"Content-Disposition": f'{shown}; filename="{name}"'}
    if kind == "text/html":
        headers["Content-Security-Policy"] = (
            "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        )
    return Response(content, media_type=kind, headers=headers)
