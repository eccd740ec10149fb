"""Studies, readings, comparisons and reports as the API says them."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from coread.core import Geometry, Note, Reader, Report, Section, Sentence
from coread.interop.dicom import Window
from coread.server import pixels, values
from coread.server import schemas as s
from coread.storage import AuditEntry, IntakeRow, Job, SeriesRow, StudyRow
from coread.workflow import wording
from coread.workflow.process import age_at
from coread.workflow.second_reading import SecondReading
from coread.workflow.worklist import Entry

if TYPE_CHECKING:
    from coread.server.site import Site

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
                    accepted_at=sentence.accepted_at,
                    edits=[s.EditJson(by=e.by.id, at=e.at, before=e.before) for e in sentence.edits],
                    span=sentence.span,
                )
                for sentence in section.sentences
            ],
        )
        for section in found.sections
    ]


def to_sections(came: Sequence[s.SectionJson], person: SecondReading) -> tuple[Section, ...]:
    """Return sections in the caller's words; which of them stay a model's is decided when they are merged.

    Sentences of the reader's own text are left out: they are changed in that text alone.
    """
    own: Reader = person.person
    return tuple(
        Section(
            section.name,
            tuple(
                Sentence(sentence.text.strip(), own, tuple(sentence.findings))
                for sentence in section.sentences
                if sentence.text.strip() and sentence.span is None
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


def audit_entry(entry: AuditEntry) -> s.AuditEntry:
    """Return an event of the audit log."""
    return s.AuditEntry(
        at=entry.at, actor=entry.actor, action=entry.action, subject=entry.subject, detail=dict(entry.detail)
    )
