"""What the API says and takes, as models; the page's client is generated from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Priority = Literal["critical", "urgent", "routine"]
Processing = Literal["received", "processing", "ready", "failed"]
ReadingState = Literal["unread", "reading", "read_alone", "ai_shown", "reconciled", "signed", "addendum"]
WorklistFilter = Literal["to_read", "being_read", "signed"]
Language = Literal["en", "tr"]


class Schema(BaseModel):
    """A model that takes no unknown fields."""

    model_config = ConfigDict(extra="forbid")


class Problem(Schema):
    """An error by RFC 9457, with the three parts of every error here."""

    type: str
    title: str
    status: int
    detail: str
    came: str
    expected: str
    todo: str


# people


class Me(Schema):
    """Who is asking, as the server knows it."""

    id: str
    name: str
    role: str
    language: Language
    mode: Literal["second-reader"] = "second-reader"


class ReaderChoice(Schema):
    """A configured reader that a session can be opened for."""

    id: str
    name: str
    role: str


class SessionRequest(Schema):
    """Which of the configured readers to act as."""

    reader: str


class PatientJson(Schema):
    """Who the patient is, as the images say."""

    name: str
    id: str
    age: float | None
    sex: Literal["F", "M", "O"] | None


# coded values


class ConceptJson(Schema):
    """A code with its words."""

    value: str
    scheme: str
    meaning: str


class OriginJson(Schema):
    """Who says it: a reader (id, role) or a model (name, version, mode, evidence level).

    A sentence of a report may also come from a template (name, version) or be imported (name of its source).
    """

    kind: Literal["reader", "model", "template", "imported"]
    id: str | None = None
    role: str | None = None
    name: str | None = None
    version: str | None = None
    mode: str | None = None
    evidence_level: int | None = None


class ProbabilityJson(Schema):
    """A probability with its interval and operating point."""

    value: float
    low: float | None = None
    high: float | None = None
    level: float | None = None
    threshold: float
    calibrated: bool


class RegionJson(Schema):
    """Where a finding lies.

    ``points`` are LPS millimetres [x, y, z] in a frame of reference, or [row, column] on an instance:
    one for a point, two corners for a box, the line for a contour, none for a mask.
    """

    type: Literal["point", "box", "contour", "mask"]
    frame_of_reference: str | None = None
    instance: str | None = None
    frame: int | None = None
    points: list[list[float]] = []
    centre: list[float] | None = None
    diameter_mm: float | None = None
    segment_id: str | None = None
    series: str | None = None
    slice: int | None = None


class MeasurementJson(Schema):
    """A number with its unit and uncertainty; ``id`` where it stands for itself."""

    id: str | None = None
    concept: ConceptJson
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str | None = None
    site: ConceptJson | None = None
    laterality: ConceptJson | None = None
    flags: list[str] = []
    model: str | None = None


class FindingJson(Schema):
    """One statement about the patient, by a reader or a model; the same both ways."""

    id: str = Field(min_length=1, max_length=128)
    concept: ConceptJson
    status: Literal["present", "absent", "uncertain", "historical", "no_opinion"]
    origin: OriginJson | None = None
    probability: ProbabilityJson | None = None
    region: RegionJson | None = None
    place: ConceptJson | None = None
    laterality: ConceptJson | None = None
    change: Literal["new", "larger", "smaller", "unchanged", "resolved"] | None = None
    measurements: list[MeasurementJson] = []
    comment: str = ""


# worklist


class QualityJson(Schema):
    """One thing to know of the images' quality."""

    kind: Literal["gate", "warning", "information"]
    text: str


class WorklistItem(Schema):
    """One study on the worklist."""

    study: str
    patient: PatientJson
    description: str
    modalities: list[str]
    body_part: str | None
    time: datetime | None
    images: int
    priority: Priority
    reason: str
    reason_code: str
    waiting_s: float
    limit_s: float
    processing: Processing
    progress: float | None
    quality: list[QualityJson]
    priors: int
    reader: str | None
    state: ReadingState
    more_images: bool
    simulated: bool
    accession: str


class WorklistCounts(Schema):
    """How many studies each filter shows."""

    to_read: int
    being_read: int
    signed: int


class Worklist(Schema):
    """A page of the worklist, in the order to read."""

    total: int
    next: str | None
    counts: WorklistCounts
    refused_today: int
    items: list[WorklistItem]


# studies


class InstanceRef(Schema):
    """One slice or frame: its instance and frame number, from 1."""

    uid: str
    frame: int


class WindowJson(Schema):
    """A grey window in the unit of the values."""

    name: str
    center: float
    width: float


class PartJson(Schema):
    """A part of a series that is one array: a volume, an image, a cine.

    ``affine`` (4 rows) maps (k, j, i, 1) to LPS millimetres; ``shape`` is (slices, rows, columns),
    (rows, columns) or (frames, rows, columns). ``frames`` is the address of its values: modality values
    of slices ``first`` to ``first + count`` in ``dtype`` little endian.
    """

    key: str
    kind: Literal["volume", "series", "image", "cine"]
    shape: list[int]
    channels: int
    dtype: str
    spacing_mm: list[float] | None
    affine: list[list[float]] | None
    frame_of_reference: str | None
    instances: list[InstanceRef]
    times_s: list[float] | None
    window: WindowJson | None
    presets: list[WindowJson]
    unit: str
    notes: list[QualityJson]
    frames: str


class SeriesJson(Schema):
    """A visible series and its parts."""

    uid: str
    number: int | None
    description: str
    modality: str
    images: int
    parts: list[PartJson]
    thumbnail: str | None
    lossy: bool
    simulated: bool


class PriorReportJson(Schema):
    """What a signed report of an earlier study states."""

    signed_at: datetime
    reader: str
    sections: list[SectionJson]


class PriorJson(Schema):
    """An earlier study of the patient."""

    study: str
    time: datetime | None
    description: str
    modalities: list[str]
    series: list[SeriesJson]
    report: PriorReportJson | None


class ReadingBrief(Schema):
    """How far the caller's reading of a study is."""

    state: ReadingState
    more_images: bool
    version: int
    opened_at: datetime | None
    committed_at: datetime | None
    signed_at: datetime | None
    can_read: bool
    read_only_reason: str | None


class StudyJson(Schema):
    """A study as the caller may see it."""

    study: str
    patient: PatientJson
    description: str
    time: datetime | None
    accession: str
    simulated: bool
    series: list[SeriesJson]
    priors: list[PriorJson]
    reading: ReadingBrief


# reading


class DecisionJson(Schema):
    """What the reader made of one finding of a model."""

    choice: Literal["accept", "reject", "modify"]
    reason: str | None = None
    comment: str = ""
    modified: FindingJson | None = None
    at: datetime


class AddendumJson(Schema):
    """Words after signing."""

    at: datetime
    text: str


class ReadingJson(Schema):
    """The caller's own reading of a study."""

    study: str
    state: ReadingState
    version: int
    draft: list[FindingJson]
    first_read: list[FindingJson]
    decisions: dict[str, DecisionJson]
    undecided: list[str]
    addenda: list[AddendumJson]
    more_images: bool
    opened_at: datetime | None
    committed_at: datetime | None
    signed_at: datetime | None


class FindingsRequest(Schema):
    """Findings of a draft or a committed read."""

    findings: Annotated[list[FindingJson], Field(max_length=500)]


class VersionJson(Schema):
    """The version after a change, for the next If-Match."""

    version: int


class DecisionRequest(Schema):
    """A decision on one finding of a model."""

    finding: str
    choice: Literal["accept", "reject", "modify"]
    reason: (
        Literal[
            "artefact",
            "anatomical_variant",
            "known_prior",
            "below_threshold",
            "wrong_location",
            "other",
        ]
        | None
    ) = None
    comment: Annotated[str, Field(max_length=4000)] = ""
    modified: FindingJson | None = None


class AddendumRequest(Schema):
    """Words to add after signing."""

    text: Annotated[str, Field(min_length=1, max_length=20000)]


class PairJson(Schema):
    """A finding of the reader and one of a model."""

    reader: str
    model: str


class MapJson(Schema):
    """A map; its numbers are at ``data``."""

    id: str
    meaning: ConceptJson
    says: str
    unit: str
    low: float
    high: float
    part_key: str
    model: str
    data: str


class SegmentJson(Schema):
    """A region; its pixels are at ``data``. ``time`` counts the times of a series from 0: where it lies."""

    id: str
    concept: ConceptJson
    part_key: str
    colour: str
    model: str
    finding: str | None
    time: int | None
    data: str


class SilenceJson(Schema):
    """Why a model says nothing."""

    model: str
    code: Literal["no_opinion", "not_applicable", "failed", "no_finding"]
    text: str


class ModelNoteJson(Schema):
    """A note of a model on its result."""

    model: str
    kind: Literal["gate", "warning", "information"]
    code: str
    text: str


class ModelJson(Schema):
    """A model that took part."""

    name: str
    version: str
    evidence_level: int | None
    card: str


class ComparisonJson(Schema):
    """Reader against models, the difference first; ``stale`` when newer results wait to be shown."""

    contradicted: list[PairJson]
    model_only: list[str]
    reader_only: list[str]
    agreed: list[PairJson]
    match_version: str
    findings: dict[str, FindingJson]
    measurements: list[MeasurementJson]
    maps: list[MapJson]
    segments: list[SegmentJson]
    silence: list[SilenceJson]
    notes: list[ModelNoteJson]
    models: list[ModelJson]
    stale: bool


# report


class EditJson(Schema):
    """A change of a sentence: who, when, and the words before."""

    by: str
    at: datetime
    before: str


class SentenceJson(Schema):
    """A sentence and where it comes from.

    ``span`` is its place in the reader's own text, for a sentence that is written there and nowhere else.
    """

    text: Annotated[str, Field(max_length=20000)]
    origin: OriginJson | None = None
    findings: list[str] = []
    accepted_by: str | None = None
    accepted_at: datetime | None = None
    edits: list[EditJson] = []
    span: tuple[int, int] | None = None


class SectionJson(Schema):
    """A section of a report; the title is in the report's language."""

    name: Literal[
        "exam",
        "indication",
        "technique",
        "comparison",
        "findings",
        "impression",
        "recommendations",
        "communication",
        "dose",
    ]
    title: str = ""
    sentences: list[SentenceJson]


class ReportJson(Schema):
    """A report: a draft from what was accepted, or signed."""

    language: Language
    sections: list[SectionJson]
    signed: bool
    signed_at: datetime | None
    reader: str | None
    addenda: list[AddendumJson]
    html: str | None


class ReportDraftRequest(Schema):
    """The reader's own words before signing, and which of the models' numbers to state."""

    sections: list[SectionJson]
    measurements: list[str] = []
    language: Language = "en"


class ExportJson(Schema):
    """A file of a signed read."""

    name: str
    kind: str
    bytes: int


class VocabularyEntry(Schema):
    """A concept of the finding vocabulary in the language asked for."""

    concept: ConceptJson
    parent: ConceptJson | None
    words: str
    quick_no: bool
    modalities: list[str]


# intake, jobs, models, audit


class IntakeEntry(Schema):
    """What became of one file."""

    id: str
    path: str
    role: Literal["image", "object", "duplicate", "quarantined", "refused"]
    reason: str
    study: str | None
    series: str | None
    instance: str | None
    marks: list[str]
    at: datetime


class IntakePage(Schema):
    """A page of what became of the files that were handed in, newest first."""

    total: int
    next: str | None
    items: list[IntakeEntry]


class JobRef(Schema):
    """Work that goes on: watch it at ``/jobs/{job}`` or in the event stream."""

    job: str


class JobJson(Schema):
    """How far a job is."""

    id: str
    kind: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float
    words: str


class AuditEntry(Schema):
    """One event of the audit log."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, str]


class AuditPage(Schema):
    """A page of the audit log over what the caller may see, newest first; ``intact`` after a check."""

    total: int
    next: str | None
    intact: bool | None
    items: list[AuditEntry]


PriorReportJson.model_rebuild()
