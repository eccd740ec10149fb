"""Studies, readings, comparisons and reports as the API says them."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import Response

from coread.core import Finding, Geometry, ImagePlane, Note, Reader, Report, Section, Sentence
from coread.core.reading import Committed, Opened
from coread.interop.dicom import Window
from coread.server import overlays, pixels, values
from coread.server import schemas as s
from coread.storage import AuditEntry, IntakeRow, Job, SeriesRow, StudyRow
from coread.workflow import wording
from coread.workflow.analyzers import Registered
from coread.workflow.process import age_at
from coread.workflow.second_reading import Comparison, ReadingAt, SecondReading
from coread.workflow.visibility import HiddenError, ShownResult
from coread.workflow.worklist import Entry

if TYPE_CHECKING:
    from coread.server.site import Site

_COLOURS = ("#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#d55e00", "#f0e442")
_REASONS = {
    "overdue": "Waits longer than its limit",
    "half_of_limit": "Waiting has used half of its limit",
    "ordered": "Ordered as {priority}",
    "raised": "Raised by triage, enabled here",
    "arrival": "In order of arrival",
}
_KINDS = {
    ".dcm": "application/dicom",
    ".html": "text/html",
    ".pdf": "application/pdf",
    ".png": "image/png",
}


# the worklist


def worklist_item(entry: Entry) -> s.WorklistItem:
    """Return a study on the worklist."""
    row, head, placed = entry.study, entry.head, entry.placed
    reason = _REASONS[placed.why].format(priority=placed.priority)
    return s.WorklistItem(
        study=row.uid,
        patient=_patient(row),
        description=row.description,
        modalities=list(row.modalities),
        body_part=row.body_parts[0] if row.body_parts else None,
        time=_moment(row.time),
        images=row.images,
        priority=placed.priority,
        reason=f"{reason}: {entry.reason}" if entry.reason else reason,
        reason_code=placed.why,
        waiting_s=placed.waiting_s,
        limit_s=placed.limit_s,
        processing=entry.processing,
        progress=entry.progress,
        quality=[_note(note) for note in entry.quality],
        priors=entry.priors,
        reader=None if head is None else head.reader,
        state="unread" if head is None else head.state.value,
        more_images=head is not None and head.more_images,
        simulated=row.simulated,
        accession=row.accession,
    )


def _patient(row: StudyRow) -> s.PatientJson:
    age = age_at(row.birth_date, row.time.date() if row.time else None)
    return s.PatientJson(name=row.patient_name, id=row.patient_id, age=age, sex=row.sex)


def _moment(time: datetime | None) -> datetime | None:
    # files mostly say no zone: the clock on the scanner's wall is said as UTC, so that it reads the same
    return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)


def _note(note: Note) -> s.QualityJson:
    return s.QualityJson(kind=note.kind, text=note.text)


# studies


def study(site: Site, person: SecondReading, uid: str) -> s.StudyJson:
    """Return a study as the caller may see it, with the patient's earlier studies."""
    view = person.view
    row = view.study(uid)
    return s.StudyJson(
        study=uid,
        patient=_patient(row),
        description=row.description,
        time=_moment(row.time),
        accession=row.accession,
        simulated=row.simulated,
        series=[_series(site, person, uid, one, arranged=True) for one in view.series(uid)],
        priors=[_prior(site, person, uid, prior) for prior in view.priors(uid)],
        reading=_brief(person, uid),
    )


def _prior(site: Site, person: SecondReading, study: str, prior: StudyRow) -> s.PriorJson:
    stored = person.view.prior_report(study, prior.uid)
    report = None
    if stored is not None:
        signed = stored.load()
        assert signed.signature is not None
        report = s.PriorReportJson(
            signed_at=signed.signature.at,
            reader=signed.signature.reader.id,
            sections=_sections(signed, person),
        )
    return s.PriorJson(
        study=prior.uid,
        time=_moment(prior.time),
        description=prior.description,
        modalities=list(prior.modalities),
        series=[
            _series(site, person, prior.uid, one, arranged=False) for one in person.view.series(prior.uid)
        ],
        report=report,
    )


def _series(site: Site, person: SecondReading, study: str, row: SeriesRow, *, arranged: bool) -> s.SeriesJson:
    found = pixels.parts(site, person.view, study, row.uid) if arranged and row.images else ()
    return s.SeriesJson(
        uid=row.uid,
        number=row.number,
        description=row.description,
        modality=row.modality,
        images=row.images,
        parts=[_part(part) for part in found],
        thumbnail=f"/dicom-web/studies/{study}/series/{row.uid}/thumbnail" if row.images else None,
        lossy=row.lossy,
        simulated=row.simulated,
    )


def _part(part: pixels.Part) -> s.PartJson:
    layout = part.layout
    grid = layout.grid
    if isinstance(grid, Geometry):
        spacing: list[float] | None = list(grid.spacing_mm)
        affine: list[list[float]] | None = grid.affine.tolist()
    else:
        spacing, affine = None if grid.spacing_mm is None else list(grid.spacing_mm), None
    first = layout.windows[0] if layout.windows else None
    return s.PartJson(
        key=layout.key,
        kind=layout.kind,
        shape=list(layout.shape),
        channels=part.channels,
        dtype=part.dtype.name,
        spacing_mm=spacing,
        affine=affine,
        frame_of_reference=layout.frame_of_reference,
        instances=[s.InstanceRef(uid=f.instance, frame=f.frame + 1) for f in layout.frames],
        times_s=list(layout.times_s) or None,
        window=None if first is None else _window(first),
        presets=[_window(window) for window in (*layout.windows, *layout.presets)],
        unit=layout.unit,
        notes=[_note(note) for note in layout.notes],
        frames=f"/api/v1/studies/{part.study}/parts/{quote(layout.key)}/frames?of={part.version}",
    )


def _window(window: Window) -> s.WindowJson:
    return s.WindowJson(name=window.name, center=window.center, width=window.width)


def _brief(person: SecondReading, study: str) -> s.ReadingBrief:
    head = person.view.own_head(study)
    can_read, reason = True, None
    if person.caller.role not in ("reader", "lead", "admin"):
        can_read, reason = False, f"The role {person.caller.role} does not read studies."
    elif head is None and person.view.has_seen(study):
        can_read, reason = (
            False,
            "You have seen its report without reading it: a first read is somebody else's.",
        )
    return s.ReadingBrief(
        state="unread" if head is None else head.state.value,
        more_images=head is not None and head.more_images,
        version=0 if head is None else head.version,
        opened_at=None if head is None else head.opened_at,
        committed_at=None if head is None else head.committed_at,
        signed_at=None if head is None else head.signed_at,
        can_read=can_read,
        read_only_reason=reason,
    )


# readings


def planes(site: Site, person: SecondReading, study: str) -> Callable[[str], ImagePlane]:
    """Return what gives the plane of an instance of a study, where the caller may see it."""

    def plane(instance: str) -> ImagePlane:
        found = person.library.instances.find(instance)
        if found is None:
            raise HiddenError
        header = person.view.instance(study, found.header.series, instance).header
        for part in pixels.parts(site, person.view, study, header.series):
            grid = part.layout.grid
            if any(source.instance == instance for source in part.layout.frames):
                if isinstance(grid, ImagePlane):
                    return grid
                return ImagePlane(grid.shape[1:], grid.spacing_mm[1:], "patient")
        raise HiddenError

    return plane


def reading(at: ReadingAt, response: Response) -> s.ReadingJson:
    """Return a reading, and say its version as ETag."""
    read, version = at
    response.headers["ETag"] = f'"{version}"'
    opened = next((e.at for e in read.events if isinstance(e, Opened)), None)
    committed = next((e.at for e in read.events if isinstance(e, Committed)), None)
    return s.ReadingJson(
        study=read.study,
        state=read.state.value,
        version=version,
        draft=[values.finding(f, {}) for f in read.draft],
        first_read=[values.finding(f, {}) for f in read.committed_findings],
        decisions={
            identifier: s.DecisionJson(
                choice=decision.choice,
                reason=decision.reason,
                comment=decision.comment,
                modified=None if decision.modified is None else values.finding(decision.modified, {}),
                at=decision.at,
            )
            for identifier, decision in read.decisions.items()
        },
        undecided=list(read.undecided),
        addenda=[s.AddendumJson(at=at, text=text) for at, text in read.addenda],
        more_images=read.more_images,
        opened_at=opened,
        committed_at=committed,
        signed_at=read.signed_at,
    )


def comparison(site: Site, person: SecondReading, study: str, found: Comparison) -> s.ComparisonJson:
    """Return reader against models, with maps, regions and what was left unsaid."""
    cards = person.cards
    difference = found.difference
    findings = {f.id: values.finding(f, cards) for f in (*found.own, *found.models)}
    maps: list[s.MapJson] = []
    segments: list[s.SegmentJson] = []
    for shown in found.results:
        maps.extend(_maps(site, person, study, shown))
        segments.extend(_segments(site, person, study, shown, len(segments)))
    return s.ComparisonJson(
        contradicted=[s.PairJson(reader=r, model=m) for r, m in difference.contradicted],
        model_only=list(difference.model_only),
        reader_only=list(difference.reader_only),
        agreed=[s.PairJson(reader=r, model=m) for r, m in difference.agreed],
        match_version=difference.version,
        findings=findings,
        measurements=[
            values.measurement(measured, identifier, shown.name)
            for identifier, (measured, shown) in found.measurements().items()
        ],
        maps=maps,
        segments=segments,
        silence=[said for shown in found.results if (said := _silence(shown)) is not None],
        notes=[
            s.ModelNoteJson(model=shown.name, kind=note.kind, code=note.code, text=note.text)
            for shown in found.results
            if shown.result is not None
            for note in shown.result.notes
        ],
        models=[
            s.ModelJson(
                name=shown.name,
                version=shown.row.provenance.version,
                evidence_level=None if shown.card is None else shown.card.evidence_level,
                card=f"/api/v1/models/{quote(shown.row.analyzer)}",
            )
            for shown in found.results
        ],
        stale=found.stale,
    )


def _maps(site: Site, person: SecondReading, study: str, shown: ShownResult) -> list[s.MapJson]:
    found = []
    for identifier, one in overlays.maps(shown).items():
        part = overlays.home(site, person, study, one.source_instances, one.frame_of_reference, one.grid)
        if part is not None:
            found.append(
                s.MapJson(
                    id=identifier,
                    meaning=values.concept(one.meaning),
                    says=one.says,
                    unit=one.unit,
                    low=one.low,
                    high=one.high,
                    part_key=part.layout.key,
                    model=shown.name,
                    data=f"/api/v1/studies/{study}/maps/{identifier}/data",
                )
            )
    return found


def _segments(
    site: Site, person: SecondReading, study: str, shown: ShownResult, before: int
) -> list[s.SegmentJson]:
    found: list[s.SegmentJson] = []
    for region in overlays.regions(shown):
        grid = region.mask.grid
        part = overlays.home(site, person, study, region.instances, region.frame_of_reference, grid)
        if part is not None:
            found.append(
                s.SegmentJson(
                    id=region.identifier,
                    concept=values.concept(region.concept),
                    part_key=part.layout.key,
                    colour=_COLOURS[(before + len(found)) % len(_COLOURS)],
                    model=shown.name,
                    finding=region.finding,
                    data=f"/api/v1/studies/{study}/segments/{region.identifier}/data",
                )
            )
    return found


def _silence(shown: ShownResult) -> s.SilenceJson | None:
    name, row = shown.name, shown.row
    if row.not_applicable is not None:
        return s.SilenceJson(model=name, code="not_applicable", text=row.not_applicable)
    if row.failure is not None:
        return s.SilenceJson(model=name, code="failed", text=row.failure)
    findings: Sequence[Finding] = () if shown.result is None else shown.result.findings
    if any(f.status == "no_opinion" for f in findings):
        notes = () if shown.result is None else shown.result.notes
        said = " ".join(note.text for note in notes if note.kind in ("gate", "warning"))
        return s.SilenceJson(
            model=name, code="no_opinion", text=said or "The model has no opinion on this study."
        )
    if not findings and shown.result is not None and not shown.result.measurements:
        return s.SilenceJson(model=name, code="no_finding", text="The model found nothing.")
    return None


# reports


def report(found: Report, person: SecondReading) -> s.ReportJson:
    """Return a report, a draft or signed."""
    signature = found.signature
    return s.ReportJson(
        language=found.language,
        sections=_sections(found, person),
        signed=signature is not None,
        signed_at=None if signature is None else signature.at,
        reader=None if signature is None else signature.reader.id,
        addenda=[s.AddendumJson(at=a.signature.at, text=a.text) for a in found.addenda],
        html=None if signature is None else _html(person, found.study),
    )


def _html(person: SecondReading, study: str) -> str | None:
    name = next((name for name in person.exports(study) if name.endswith(".html")), None)
    return None if name is None else f"/api/v1/studies/{study}/exports/{quote(name)}"


def _sections(found: Report, person: SecondReading) -> list[s.SectionJson]:
    return [
        s.SectionJson(
            name=section.name,
            title=wording.title(section.name, found.language),
            sentences=[
                s.SentenceJson(
                    text=sentence.text,
                    origin=values.origin(sentence.origin, person.cards),
                    findings=list(sentence.findings),
                    accepted_by=None if sentence.accepted_by is None else sentence.accepted_by.id,
                )
                for sentence in section.sentences
            ],
        )
        for section in found.sections
    ]


def to_sections(came: Sequence[s.SectionJson], person: SecondReading) -> tuple[Section, ...]:
    """Return sections in the caller's words; which of them stay a model's is decided when they are merged."""
    own: Reader = person.person
    return tuple(
        Section(
            section.name,
            tuple(
                Sentence(sentence.text.strip(), own, tuple(sentence.findings))
                for sentence in section.sentences
                if sentence.text.strip()
            ),
        )
        for section in came
    )


def media_type(name: str) -> str:
    """Return the media type of a file of a signed read."""
    if name.endswith(".fhir.json"):
        return "application/fhir+json"
    ending = name[name.rfind(".") :].lower()
    return _KINDS.get(ending) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def export(name: str, size: int) -> s.ExportJson:
    """Return a file of a signed read as it is listed."""
    return s.ExportJson(name=name, kind=media_type(name), bytes=size)


# vocabulary, intake, jobs, models, audit


def vocabulary_entry(term: wording.Term) -> s.VocabularyEntry:
    """Return a term of the vocabulary."""
    return s.VocabularyEntry(
        concept=values.concept(term.concept),
        parent=None if term.parent is None else values.concept(term.parent),
        words=term.words,
        quick_no=term.quick_no,
        modalities=list(term.modalities),
    )


def intake_entry(row: IntakeRow) -> s.IntakeEntry:
    """Return what became of a file."""
    entry = row.entry
    return s.IntakeEntry(
        id=row.id,
        path=entry.path,
        role=entry.role,
        reason=entry.reason,
        study=entry.study,
        series=entry.series,
        instance=entry.instance,
        marks=list(entry.marks),
        at=row.at,
    )


def job(found: Job) -> s.JobJson:
    """Return how far a job is."""
    return s.JobJson(
        id=found.id,
        kind=found.kind,
        state=found.state,
        progress=found.progress,
        words=found.error or found.words,
    )


def card(registered: Registered) -> s.CardJson:
    """Return the card of an analyzer."""
    found = registered.card
    return s.CardJson(
        id=registered.name,
        name=found.name,
        version=found.version,
        kind=found.kind,
        mode=found.mode,
        shown=found.shown,
        intended_use=found.intended_use,
        not_for=found.not_for,
        evidence_level=found.evidence_level,
        training_data=found.training_data,
        metrics=[s.MetricJson(**asdict(metric)) for metric in found.metrics],
        licence=found.licence,
        references=list(found.references),
        weights=found.weights,
        threshold=found.threshold,
        calibration=found.calibration,
        needs=[asdict(need) for need in found.needs],
    )


def audit_entry(entry: AuditEntry) -> s.AuditEntry:
    """Return an event of the audit log."""
    return s.AuditEntry(
        at=entry.at, actor=entry.actor, action=entry.action, subject=entry.subject, detail=dict(entry.detail)
    )
