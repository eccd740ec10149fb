"""What a report states, in the form that every writer of reports takes: SR, FHIR, HTML and PDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from coread.core import (
    Addendum,
    Card,
    Finding,
    InstanceHeader,
    Measurement,
    Model,
    Origin,
    Provenance,
    Section,
    Signature,
)
from coread.core.reading import Decision
from coread.core.report import check_accepted
from coread.errors import InputError


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """Where a mask lies in a SEG.

    Attributes:
        sop_class: Of the SEG.
        sop_instance: Of the SEG.
        segment: Number of the segment.
        frame: A frame of that segment, from 1; what a planar reference names.
        instances: Source instances in slice order, or one; empty where not known.
    """

    sop_class: str
    sop_instance: str
    segment: int
    frame: int = 1
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """A DICOM object that was made for the study."""

    sop_class: str
    sop_instance: str
    series: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportContent:
    """What a report states, whatever its form.

    Attributes:
        headers: Every image of the study that was read: the evidence.
        findings: Statements, each with its origin.
        measurements: Numbers that belong to no finding, each with its origin.
        decisions: The models' findings that the reader decided on, each with the decision.
        sections: Report text.
        addenda: Words added after signing.
        language: Of the report text.
        signature: None for results that nobody has read: the document is partial and unverified.
        organization: Of the person who signed.
        segments: Segment of each finding that has a mask, by the finding's identifier.
        objects: DICOM objects that belong to the report: segmentations, maps.
        cards: Card of each model, by its name.
        provenance: Where the models' results come from.
        silence: What models said in place of a result: no opinion, not applicable, failed.
    """

    headers: tuple[InstanceHeader, ...]
    findings: tuple[Finding, ...] = ()
    measurements: tuple[tuple[Measurement, Origin], ...] = ()
    decisions: tuple[tuple[Finding, Decision], ...] = ()
    sections: tuple[Section, ...] = ()
    addenda: tuple[Addendum, ...] = ()
    language: str = "en"
    signature: Signature | None = None
    organization: str = "not stated"
    segments: Mapping[str, SegmentReference] = field(default_factory=dict)
    objects: tuple[ObjectReference, ...] = ()
    cards: Mapping[str, Card] = field(default_factory=dict)
    provenance: tuple[Provenance, ...] = ()
    silence: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.headers:
            raise InputError("a report needs the images it speaks of", "one header or more")
        if self.signature is not None:
            check_accepted(self.sections)

    @property
    def simulated(self) -> bool:
        """Whether an image of the study is simulated."""
        return any(header.simulated for header in self.headers)

    @property
    def kind(self) -> Literal["report", "text", "results"]:
        """What it is: a signed report, text that nobody has signed here, or results that nobody has read."""
        if self.signature is not None:
            return "report"
        return "text" if self.sections and not self.models else "results"

    @property
    def status(self) -> Literal["preliminary", "final", "appended"]:
        """How final it is: nobody read it, signed, or signed with an addendum."""
        if self.signature is None:
            return "preliminary"
        return "appended" if self.addenda else "final"

    def decision_on(self, finding: Finding) -> tuple[Finding, Decision] | None:
        """Return the model's finding that a final finding comes from, with the reader's decision."""
        for before, decision in self.decisions:
            after = before if decision.modified is None else decision.modified
            if decision.choice != "reject" and finding.id == after.id:
                return before, decision
        return None

    @property
    def rejected(self) -> tuple[tuple[Finding, Decision], ...]:
        """The models' findings that the reader rejected."""
        return tuple((f, d) for f, d in self.decisions if d.choice == "reject")

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model that has a part in it, once each."""
        origins: list[Origin] = [f.origin for f in self.findings]
        origins += [origin for _, origin in self.measurements]
        origins += [f.origin for f, _ in self.decisions]
        stated = [s.origin for section in self.sections for s in section.sentences]
        return tuple(dict.fromkeys(o for o in (*origins, *stated) if isinstance(o, Model)))
