"""What is seen and measured, by whom."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from coread.core.codes import CodedConcept, Interval, Probability, Quantity
from coread.core.region import Region
from coread.errors import InputError

Status = Literal["present", "absent", "uncertain", "historical", "no_opinion"]
Change = Literal["new", "larger", "smaller", "unchanged", "resolved"]
Mode = Literal["second-reader", "concurrent", "triage", "measurement"]
NoteKind = Literal["gate", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Reader:
    """A person: a stable identifier and the role in which they act."""

    id: str
    role: str = "reader"

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("a reader needs an identifier")


@dataclass(frozen=True, slots=True)
class Model:
    """A model or an algorithm, with the digest of its weights (None where it has none)."""

    name: str
    version: str
    weights_digest: str | None
    mode: Mode


Origin = Reader | Model


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader should know about a result: a closed gate, a warning, a piece of information."""

    kind: NoteKind
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Cue:
    """Words in a text that made an assertion: ``text[start:end]``."""

    words: str
    start: int
    end: int
    role: str = "finding"


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """A measured number.

    Attributes:
        concept: What was measured.
        quantity: The number with its unit.
        interval: Its uncertainty or repeatability, or None.
        region: Where, or None.
        method: How, as a code or words of a published method, or None.
        site: The anatomical structure measured, or None.
        laterality: Its side, or None.
        source_instances: SOP instance UIDs it was measured on.
        flags: Words that limit the number, such as ``pixel spacing unknown``.
    """

    concept: CodedConcept
    quantity: Quantity
    interval: Interval | None = None
    region: Region | None = None
    method: str | None = None
    site: CodedConcept | None = None
    laterality: CodedConcept | None = None
    source_instances: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One statement about a patient, by a reader or a model.

    Attributes:
        id: Unique in its study.
        concept: What it is, from the finding vocabulary.
        status: Present, absent, uncertain, historical; ``no_opinion`` when a model abstains.
        origin: Who says so.
        subject: ``patient``, or another person the text speaks of.
        change: Against the prior, or None.
        probability: Of the model, or None.
        region: Where on the images, or None.
        place: Anatomical place as a code, or None.
        laterality: Side as a code, or None.
        measurements: Numbers that belong to it.
        comment: Free words of the reader.
        cues: For findings from text, the words that made it.
    """

    id: str
    concept: CodedConcept
    status: Status
    origin: Origin
    subject: Literal["patient", "other"] = "patient"
    change: Change | None = None
    probability: Probability | None = None
    region: Region | None = None
    place: CodedConcept | None = None
    laterality: CodedConcept | None = None
    measurements: tuple[Measurement, ...] = ()
    comment: str = ""
    cues: tuple[Cue, ...] = ()

    def __post_init__(self) -> None:
        if not self.id:
            raise InputError("a finding needs an identifier")
        if self.status == "no_opinion" and isinstance(self.origin, Reader):
            raise InputError("no_opinion is a model's answer; a reader leaves the finding out")

    def with_id(self, identifier: str) -> Self:
        """Return the same finding under another identifier."""
        return replace(self, id=identifier)
