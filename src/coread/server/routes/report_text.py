"""A reader's own text, guidelines and differential.

None of these routes opens the library: what a model found cannot be in an answer, before the first read or
after. The text is neither kept nor logged here.
"""

from __future__ import annotations

from fastapi import APIRouter

from coread.decision import differential as ranking
from coread.decision import guidelines as rules
from coread.language.consistency import documents
from coread.language.templates import templates
from coread.server.limits import BoundedRoute
from coread.server.schemas import Language
from coread.server.site import CurrentReader
from coread.server.text_schemas import (
    AreaFindingJson,
    AreaJson,
    CheckJson,
    CriticalJson,
    CueJson,
    DifferentialAreaJson,
    DifferentialJson,
    DifferentialRequest,
    GuidelineAnswerJson,
    GuidelineJson,
    GuidelineRequest,
    ReportTemplateJson,
    SuggestionJson,
    TextJson,
    TextMeasurementJson,
    TextRequest,
)
from coread.workflow import wording
from coread.workflow.report_sentences import template_text
from coread.workflow.report_text import TextReading, read_text

router = APIRouter(tags=["text"], route_class=BoundedRoute)


@router.post("/report-text/structure")
def structure_text(body: TextRequest, reader: CurrentReader) -> TextJson:
    """Structure a text: findings, sizes, recommendations, urgency and checks, each with its words."""
    return _text(read_text(body.text, language=body.language, age=body.age, sex=body.sex))


@router.get("/report-templates")
def report_templates(reader: CurrentReader, language: Language = "en") -> list[ReportTemplateJson]:
    """Every report template as text to put in."""
    return [
        ReportTemplateJson(
            name=form.name,
            version=form.version,
            modality=form.modality,
            title=form.title[language],
            text=template_text(form.name, language),
        )
        for form in templates().values()
    ]


@router.get("/guidelines")
def guidelines(reader: CurrentReader, language: Language = "en") -> list[GuidelineJson]:
    """Every guideline with its inputs."""
    return [
        GuidelineJson(
            name=g.name,
            version=g.version,
            source=g.source,
            inputs=list(g.inputs),
            outputs=list(g.outputs),
            words={name: wording.advice(name, language) for name in (*g.inputs, *g.outputs)},
        )
        for g in rules.systems()
    ]


@router.post("/guidelines/{name}")
def apply_guideline(
    name: str, body: GuidelineRequest, reader: CurrentReader, language: Language = "en"
) -> GuidelineAnswerJson:
    """What a guideline says of given inputs."""
    answer = rules.apply(name, body.inputs)
    coded = [value for value in answer.result.values() if isinstance(value, str)]
    outside = answer.not_applicable
    return GuidelineAnswerJson(
        system=answer.system,
        version=answer.version,
        source=answer.source,
        result=dict(answer.result),
        words={known: wording.advice(known, language) for known in (*answer.result, *answer.missing, *coded)},
        row=wording.advice(answer.row, language),
        missing=list(answer.missing),
        not_applicable=None if outside is None else wording.advice(outside, language),
        notes=[wording.advice(note, language) for note in answer.notes],
    )


@router.get("/differential")
def differential_areas(reader: CurrentReader, language: Language = "en") -> list[DifferentialAreaJson]:
    """Every area of the differential with the findings that it asks for."""
    known = [ranking.knowledge(area) for area in ranking.areas()]
    return [
        DifferentialAreaJson(
            area=k.area,
            title=wording.advice(k.title, language),
            settings=list(k.settings),
            words={setting: wording.advice(setting, language) for setting in k.settings},
            findings=[
                AreaFindingJson(name=n, says=wording.advice(finding["says"], language))
                for n, finding in k.findings.items()
            ],
        )
        for k in known
    ]


@router.post("/differential")
def differential(
    body: DifferentialRequest, reader: CurrentReader, language: Language = "en"
) -> DifferentialJson:
    """Ranked diagnoses from the reader's own findings."""
    answer = ranking.rank(body.area, body.findings, age=body.age, sex=body.sex, setting=body.setting)
    found = DifferentialJson.model_validate(answer.document())
    found.title = wording.advice(found.title, language)
    found.notes = [wording.advice(note, language) for note in found.notes]
    for row in found.rows:
        row.says = wording.advice(row.says, language)
        for influence in row.influences:
            influence.says = wording.advice(influence.says, language)
            influence.source = wording.advice(influence.source, language)
    for following in found.next:
        following.says = wording.advice(following.says, language)
    return found


def _text(found: TextReading) -> TextJson:
    document = found.report.document()
    measurements = [
        TextMeasurementJson.model_validate({**given, "finding": size.finding})
        for given, size in zip(document["measurements"], found.report.measurements, strict=True)
    ]
    communication = document["communication"]
    return TextJson(
        language=found.report.language,
        version=found.report.version,
        text=found.report.text,
        findings=document["findings"],
        measurements=measurements,
        recommendations=document["recommendations"],
        critical=found.report.critical,
        critical_findings=[CriticalJson.model_validate(c) for c in document["critical_findings"]],
        communication=None if communication is None else CueJson.model_validate(communication),
        checks=[CheckJson.model_validate(c) for c in documents(found.checks)],
        guidelines=[
            SuggestionJson(finding=s.finding, name=s.name, inputs=dict(s.inputs), missing=list(s.missing))
            for s in found.guidelines
        ],
        areas=[AreaJson(name=area.name, findings=dict(area.findings)) for area in found.areas],
    )
