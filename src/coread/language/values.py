"""What structured report text is made of; plain values, all frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

TextStatus = Literal["present", "absent", "uncertain", "historical"]
TextChange = Literal["new", "increased", "decreased", "stable", "resolved"]


@dataclass(frozen=True, slots=True)
class Words:
    """Words of the text that decided something: ``text[start:end]``."""

    text: str
    start: int
    end: int
    role: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """What the surroundings of a phrase say of it, with the words that say so."""

    negated: bool = False
    uncertain: bool = False
    historical: bool = False
    other_person: bool = False
    resolved: bool = False
    cues: tuple[Words, ...] = ()

    @property
    def status(self) -> TextStatus:
        """Exactly one status; what another person has or had is `historical` for the patient."""
        if self.other_person:
            return "absent" if self.negated else "historical"
        if self.negated:
            return "absent"
        if self.historical:
            return "historical"
        return "uncertain" if self.uncertain else "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFinding:
    """A finding that a text states.

    Attributes:
        finding: Plain English name, singular, lower case, in every language.
        code: ``{scheme, value}`` of the core vocabulary or of the finding models (OIFM), or None.
        status: Exactly one.
        subject: ``patient``, or ``other`` for a family member.
        laterality: left, right, bilateral, medial, lateral or None.
        location: Plain English place or None.
        severity: minimal, mild, moderate, severe, large, small or None.
        change: Against the prior, or None.
        certainty: Words that grade an uncertain finding (``likely``, ``possible``), or None.
        section: Section it stands in.
        sentence: Running number of its sentence.
        start: Where the words begin that name it.
        end: Where they end.
        cues: Every word that decided something.
        qualifiers: Words that matter for urgency, such as ``tension``, ``acute``.
    """

    finding: str
    status: TextStatus
    start: int
    end: int
    sentence: int
    section: str
    code: tuple[str, str] | None = None
    subject: Literal["patient", "other"] = "patient"
    laterality: str | None = None
    location: str | None = None
    severity: str | None = None
    change: TextChange | None = None
    certainty: str | None = None
    cues: tuple[Words, ...] = ()
    qualifiers: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {
            "finding": self.finding,
            "code": None if self.code is None else {"scheme": self.code[0], "value": self.code[1]},
            "status": self.status,
            "subject": self.subject,
            "laterality": self.laterality,
            "location": self.location,
            "severity": self.severity,
            "change": self.change,
            "certainty": self.certainty,
            "section": self.section,
            "sentence": self.sentence,
            "start": self.start,
            "end": self.end,
            "cues": [_cue(words) for words in self.cues],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMeasurement:
    """A size in millimetres.

    Attributes:
        values_mm: As many as the text gives, in its order.
        prior_mm: The same of the prior, or None.
        series: Series number that the text names, or None.
        image: Image number, or None.
        of: Name of the finding (or device) it measures, or None.
        finding: Index of that finding in the report, or None.
        cues: The words it was read from.
    """

    values_mm: tuple[float, ...]
    sentence: int
    prior_mm: tuple[float, ...] | None = None
    series: int | None = None
    image: int | None = None
    of: str | None = None
    finding: int | None = None
    cues: tuple[Words, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the measurement as a JSON object."""
        return {
            "values_mm": [_plain(v) for v in self.values_mm],
            "prior_mm": None if self.prior_mm is None else [_plain(v) for v in self.prior_mm],
            "series": self.series,
            "image": self.image,
            "of": self.of,
            "sentence": self.sentence,
            "cues": [_cue(words) for words in self.cues],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What the text asks for next.

    Attributes:
        what: Such as ``CT chest``, ``biopsy``, ``follow-up``, ``none`` (explicitly nothing).
        min_months: Earliest, or None where no time is said.
        max_months: Latest.
        cues: The words it was read from.
    """

    what: str
    min_months: float | None
    max_months: float | None
    sentence: int
    cues: tuple[Words, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the recommendation as a JSON object."""
        return {
            "what": self.what,
            "min_months": None if self.min_months is None else _plain(self.min_months),
            "max_months": None if self.max_months is None else _plain(self.max_months),
            "sentence": self.sentence,
            "cues": [_cue(words) for words in self.cues],
        }


@dataclass(frozen=True, slots=True)
class TextSection:
    """A section of the report: ``text[start:end]`` without its heading."""

    name: str
    heading: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StructuredReport:
    """The structure of a report's text; the same text and version give the same structure everywhere.

    Attributes:
        language: ``en`` or ``tr`` (or of another rule pack).
        text: As it came.
        sections: In the order of the text.
        sentences: (start, end) of each.
        findings: In the order of the text.
        measurements: Sizes.
        recommendations: In the order of the text.
        critical: Most urgent actionable category 1 (minutes), 2 (hours), 3 (days), or None.
        critical_findings: (index of the finding, category).
        communication: Words that document a communication, or None.
        version: Of engine and rule pack.
    """

    language: str
    text: str
    sections: tuple[TextSection, ...] = ()
    sentences: tuple[tuple[int, int], ...] = ()
    findings: tuple[TextFinding, ...] = ()
    measurements: tuple[TextMeasurement, ...] = ()
    recommendations: tuple[Recommendation, ...] = ()
    critical: int | None = None
    critical_findings: tuple[tuple[int, int], ...] = ()
    communication: Words | None = None
    version: str = field(default="")

    @property
    def recommendation(self) -> Recommendation | None:
        """The first recommendation, or None."""
        return self.recommendations[0] if self.recommendations else None

    def document(self) -> dict[str, Any]:
        """Return the structure as a JSON object."""
        first = self.recommendation
        return {
            "lang": self.language,
            "version": self.version,
            "sections": [
                {"name": s.name, "heading": s.heading, "start": s.start, "end": s.end} for s in self.sections
            ],
            "findings": [finding.document() for finding in self.findings],
            "measurements": [measurement.document() for measurement in self.measurements],
            "recommendation": None if first is None else first.document(),
            "recommendations": [r.document() for r in self.recommendations],
            "critical": self.critical,
            "critical_findings": [
                {"finding": self.findings[i].finding, "index": i, "category": c}
                for i, c in self.critical_findings
            ],
            "communication_documented": self.communication is not None,
            "communication": None if self.communication is None else _cue(self.communication),
        }


def _cue(words: Words) -> dict[str, Any]:
    return {"text": words.text, "start": words.start, "end": words.end, "role": words.role}


def _plain(value: float) -> float | int:
    value = round(value, 3)
    return int(value) if value == int(value) else value
