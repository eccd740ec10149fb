"""The second reading: open, draft, commit, reveal, decide, sign, add."""

from __future__ import annotations

from fastapi import APIRouter, Response, status

from coread.core.reading import Decision
from coread.server import readings, values
from coread.server.schemas import (
    AddendumRequest,
    ComparisonJson,
    DecisionRequest,
    FindingsRequest,
    ReadingJson,
    VersionJson,
)
from coread.server.site import Person, TheSite, Version, etag
from coread.server.text_schemas import SignRequest

router = APIRouter(prefix="/studies/{study}", tags=["reading"])


@router.post("/reading", status_code=status.HTTP_200_OK)
def open_reading(study: str, person: Person, response: Response) -> ReadingJson:
    """Open the study to read it: the caller is assigned to it from now on."""
    return readings.reading(person.open(study), response)


@router.get("/reading")
def reading(study: str, person: Person, response: Response) -> ReadingJson:
    """The caller's own reading; the ETag is its version."""
    return readings.reading(person.reading(study), response)


@router.put("/reading/draft")
def save_draft(
    study: str, body: FindingsRequest, site: TheSite, person: Person, version: Version, response: Response
) -> VersionJson:
    """Keep the draft of the read in progress."""
    findings = values.to_findings(body.findings, readings.planes(site, person, study))
    saved = person.save_draft(study, findings, expected=version)
    etag(response, saved.version)
    return VersionJson(version=saved.version)


@router.post("/reading/commit")
def commit(
    study: str, body: FindingsRequest, site: TheSite, person: Person, version: Version, response: Response
) -> ReadingJson:
    """Commit the first read, or the read of images that came later: it can't be changed."""
    findings = values.to_findings(body.findings, readings.planes(site, person, study))
    return readings.reading(person.commit(study, findings, expected=version), response)


@router.post("/reading/reveal")
def reveal(study: str, person: Person, site: TheSite) -> ComparisonJson:
    """Show what the models found beside the committed read."""
    return readings.comparison(site, person, study, person.reveal(study))


@router.get("/comparison")
def comparison(study: str, person: Person, site: TheSite) -> ComparisonJson:
    """Reader against models, after the reveal."""
    return readings.comparison(site, person, study, person.comparison(study))


@router.post("/reading/decisions")
def decide(
    study: str, body: DecisionRequest, person: Person, site: TheSite, version: Version, response: Response
) -> ReadingJson:
    """Accept, reject or modify one finding of a model."""
    modified = None
    if body.modified is not None:
        modified = values.to_findings([body.modified], readings.planes(site, person, study))[0]
    decision = Decision(
        finding=body.finding,
        choice=body.choice,
        at=site.clock(),
        reason=body.reason,
        comment=body.comment,
        modified=modified,
    )
    return readings.reading(person.decide(study, decision, expected=version), response)


@router.post("/reading/sign")
def sign(
    study: str, person: Person, version: Version, response: Response, body: SignRequest | None = None
) -> ReadingJson:
    """Sign: the report and its exports are made and final."""
    language = None if body is None else body.language
    return readings.reading(person.sign(study, expected=version, language=language), response)


@router.post("/reading/addendum")
def addendum(
    study: str, body: AddendumRequest, person: Person, version: Version, response: Response
) -> ReadingJson:
    """Add words after signing."""
    return readings.reading(person.addendum(study, body.text, expected=version), response)
