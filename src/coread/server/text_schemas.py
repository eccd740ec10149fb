"""What the API says of a reader's own text, of guidelines and of the differential."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from coread.server.schemas import Language, Schema

TextLanguage = Literal["auto", "en", "tr"]
Age = Annotated[float | None, Field(ge=0, le=125)]
Name = Annotated[str, Field(max_length=100)]
Scalar = bool | float | Annotated[str, Field(max_length=200)] | None
GuidelineInput = Scalar | Annotated[list[Scalar], Field(max_length=50)]


class TextRequest(Schema):
    """A reader's own text, with age and sex of the patient; nothing else is looked at."""

    text: Annotated[str, Field(max_length=50_000)]
    language: TextLanguage = "auto"
    age: Age = None
    sex: Literal["F", "M"] | None = None


class CueJson(Schema):
    """Words of the text that decided something; ``start`` and ``end`` count code points of ``text``."""

    text: str
    start: int
    end: int
    role: str


class TextCodeJson(Schema):
    """A code of a finding."""

    scheme: str
    value: str


class TextFindingJson(Schema):
    """A finding that the text states, with every word that decided something."""

    finding: str
    code: TextCodeJson | None
    status: Literal["present", "absent", "uncertain", "historical"]
    subject: Literal["patient", "other"]
    laterality: str | None
    location: str | None
    severity: str | None
    change: str | None
    certainty: str | None
    section: str
    sentence: int
    start: int
    end: int
    cues: list[CueJson]


class TextMeasurementJson(Schema):
    """A size in millimetres; ``finding`` is the place in the list of findings of what it measures."""

    values_mm: list[float]
    prior_mm: list[float] | None
    series: int | None
    image: int | None
    of: str | None
    finding: int | None
    sentence: int
    cues: list[CueJson]


class RecommendationJson(Schema):
    """What the text asks for next."""

    what: str
    min_months: float | None
    max_months: float | None
    sentence: int
    cues: list[CueJson]


class CriticalJson(Schema):
    """An urgent finding: its place in the list of findings, and its category (1 minutes, 2 hours, 3 days)."""

    finding: str
    index: int
    category: int


class CheckWordsJson(Schema):
    """A place in the text."""

    text: str
    start: int
    end: int


class CheckJson(Schema):
    """Something that does not fit; the key is the same as long as the words are."""

    key: str
    code: str
    text: str
    words: list[CheckWordsJson]


class SuggestionJson(Schema):
    """A guideline that fits a finding, with what the text gives and what is missing."""

    finding: int
    name: str
    inputs: dict[str, GuidelineInput]
    missing: list[str]


class AreaJson(Schema):
    """An area of the differential that the text is about, and what it says of the area's findings."""

    name: str
    findings: dict[str, bool]


class TextJson(Schema):
    """What was understood of a text; all places belong to ``text``, the normalised form of what came."""

    language: str
    version: str
    text: str
    findings: list[TextFindingJson]
    measurements: list[TextMeasurementJson]
    recommendations: list[RecommendationJson]
    critical: int | None
    critical_findings: list[CriticalJson]
    communication: CueJson | None
    checks: list[CheckJson]
    guidelines: list[SuggestionJson]
    areas: list[AreaJson]


class GuidelineJson(Schema):
    """A guideline with its inputs; ``words`` says the names of inputs and outputs in a language."""

    name: str
    version: str
    source: str
    inputs: list[str]
    outputs: list[str]
    words: dict[str, str]


class GuidelineRequest(Schema):
    """Inputs of a guideline; what is not known is left out."""

    inputs: Annotated[dict[Name, GuidelineInput], Field(default_factory=dict, max_length=50)]


class GuidelineAnswerJson(Schema):
    """What a guideline says: result, row that fired, what is missing, or why it does not apply.

    ``words`` says the names of the result and its coded values in a language; row and notes are said in it.
    """

    system: str
    version: str
    source: str
    result: dict[str, GuidelineInput]
    words: dict[str, str]
    row: str
    missing: list[str]
    not_applicable: str | None
    notes: list[str]


class DifferentialRequest(Schema):
    """Findings of an area: true where seen, false where looked for and not seen."""

    area: Name
    findings: Annotated[dict[Name, bool], Field(default_factory=dict, max_length=100)]
    age: Age = None
    sex: Literal["F", "M"] | None = None
    setting: Name = "general"


class InfluenceJson(Schema):
    """How a finding moved a diagnosis: times its odds."""

    finding: str
    says: str
    present: bool
    likelihood_ratio: float
    counted: bool
    source: str
    grade: Literal["A", "B", "C", "guess"]


class DiagnosisJson(Schema):
    """A diagnosis in its place, with the interval of its probability."""

    diagnosis: str
    says: str
    prior: float
    posterior: float
    low: float
    high: float
    cannot_miss: bool
    influences: list[InfluenceJson]


class NextFindingJson(Schema):
    """A finding not yet looked for, and the uncertainty that it is expected to remove."""

    finding: str
    says: str
    expected_bits: float


class DifferentialJson(Schema):
    """Ranked diagnoses."""

    area: str
    title: str
    setting: str
    model: str
    level: float
    rows: list[DiagnosisJson]
    cannot_miss: list[str]
    next: list[NextFindingJson]
    notes: list[str]


class AreaFindingJson(Schema):
    """A finding that an area asks for."""

    name: str
    says: str


class DifferentialAreaJson(Schema):
    """An area of the differential with its findings; ``words`` says the settings in a language."""

    area: str
    title: str
    settings: list[str]
    words: dict[str, str]
    findings: list[AreaFindingJson]


# text, checks and follow-up of a report


class TemplateUse(Schema):
    """A template that was put into a text."""

    name: Name
    version: Annotated[str, Field(max_length=20)]


class ReportTextRequest(Schema):
    """A reader's own text for the report of a study."""

    text: Annotated[str, Field(max_length=50_000)]
    language: TextLanguage = "auto"
    templates: Annotated[list[TemplateUse], Field(default_factory=list, max_length=20)]


class ReportTextJson(Schema):
    """A reader's own text as it was saved; version 0 where it never was."""

    text: str
    language: TextLanguage
    templates: list[TemplateUse]
    version: int
    saved_at: datetime | None


class ReportTemplateJson(Schema):
    """A report template as text to put in."""

    name: str
    version: str
    modality: str
    title: str
    text: str


DismissReason = Literal["right_as_written", "told_elsewhere", "misread", "not_applicable", "other"]


class DismissalJson(Schema):
    """A reader's answer to a check."""

    at: datetime
    reason: DismissReason
    comment: str


class ReportCheckJson(CheckJson):
    """A check of the report, with the reader's answer where there is one."""

    dismissed: DismissalJson | None


class ReportChecksJson(Schema):
    """The checks of a report; all places belong to ``text``, the report's words."""

    text: str
    checks: list[ReportCheckJson]


class DismissRequest(Schema):
    """Which check to let stand, and why."""

    key: Annotated[str, Field(max_length=64)]
    reason: DismissReason
    comment: Annotated[str, Field(max_length=1000)] = ""
    language: Language = "en"


class SignRequest(Schema):
    """In which language the report was shown that is signed; that of its draft unless given."""

    language: Language | None = None


class FollowUpJson(Schema):
    """An examination that a signed report asks for."""

    id: str
    study: str
    patient: str
    patient_id: str
    description: str
    reader: str
    what: str
    asked_on: date
    earliest: date | None
    latest: date | None
    state: Literal["waiting", "due", "overdue", "done"]
    done_by: str | None
    done_on: date | None
    closed_by: str | None
    closed_why: str


class FollowUpCounts(Schema):
    """How many stand how."""

    overdue: int
    due: int
    waiting: int
    done: int


class FollowUpPage(Schema):
    """A page of what signed reports ask for: overdue first, then by the last day."""

    total: int
    next: str | None
    counts: FollowUpCounts
    items: list[FollowUpJson]


class CloseRequest(Schema):
    """Why a task is closed by hand."""

    why: Annotated[str, Field(min_length=1, max_length=1000)]
