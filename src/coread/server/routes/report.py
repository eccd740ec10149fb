"""The report and what is made of it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from coread.core import Dictation, Template
from coread.language.consistency import documents
from coread.server import readings, translate
from coread.server.limits import BoundedRoute
from coread.server.schemas import ExportJson, Language, ReadingJson, ReportDraftRequest, ReportJson
from coread.server.site import Person, Version, etag
from coread.server.text_schemas import (
    DismissalJson,
    DismissRequest,
    ReportCheckJson,
    ReportChecksJson,
    ReportTextJson,
    ReportTextRequest,
    TemplateUse,
)
from coread.storage import StoredText

_DOCUMENT_POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
router = APIRouter(prefix="/studies/{study}", tags=["report"], route_class=BoundedRoute)


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


@router.get("/report/text")
def report_text(study: str, person: Person, response: Response) -> ReportTextJson:
    """The reader's own text for the report; the ETag is its version."""
    return _text(person.text(study), response)


@router.put("/report/text")
def save_report_text(
    study: str, body: ReportTextRequest, person: Person, version: Version, response: Response
) -> ReportTextJson:
    """Keep the reader's own text: its sentences are part of the report from here on."""
    templates = tuple(Template(t.name, t.version) for t in body.templates)
    dictation = Dictation(body.text, body.language, templates)
    return _text(person.save_text(study, dictation, expected=version), response)


@router.get("/report/checks")
def report_checks(study: str, person: Person, language: Language = "en") -> ReportChecksJson:
    """What does not fit in the report, against itself, the signed priors and guidelines, with the answers."""
    checked = person.checks(study, language)
    answers = {
        key: DismissalJson(at=e.at, reason=e.reason, comment=e.comment)  # type: ignore[arg-type]
        for key, e in checked.dismissed.items()
    }
    return ReportChecksJson(
        text=checked.text,
        checks=[
            ReportCheckJson.model_validate({**check, "dismissed": answers.get(check["key"])})
            for check in documents(checked.checks, language)
        ],
    )


@router.post("/report/checks/dismiss")
def dismiss_check(
    study: str, body: DismissRequest, person: Person, version: Version, response: Response
) -> ReadingJson:
    """Let the words stand that a check asks about; who, when and why is kept."""
    done = person.dismiss(
        study, body.key, body.reason, body.comment, language=body.language, expected=version
    )
    return readings.reading(done, response)


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


def _text(stored: StoredText, response: Response) -> ReportTextJson:
    etag(response, stored.version)
    kept = stored.dictation
    return ReportTextJson(
        text=kept.text,
        language=kept.language,
        templates=[TemplateUse(name=t.name, version=t.version) for t in kept.templates],
        version=stored.version,
        saved_at=stored.saved_at,
    )
