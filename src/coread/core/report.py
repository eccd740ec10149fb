"""A report: sentences with their origin, findings, signatures and addenda."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from coread.core.finding import Finding, Measurement, Origin, Reader
from coread.errors import InputError

SectionName = Literal[
    "indication",
    "technique",
    "comparison",
    "findings",
    "impression",
    "recommendations",
    "communication",
    "dose",
]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and where it comes from.

    Attributes:
        text: The words.
        origin: A reader, or a model whose words a reader accepted.
        findings: Identifiers of the findings it states.
        accepted_by: The reader who accepted a model's sentence, or None for the reader's own.
    """

    text: str
    origin: Origin
    findings: tuple[str, ...] = ()
    accepted_by: Reader | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A named part of a report."""

    name: SectionName
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed, when."""

    reader: Reader
    at: datetime


@dataclass(frozen=True, slots=True)
class Addendum:
    """Words added after signing."""

    text: str
    signature: Signature


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a reader says of a study.

    Attributes:
        study: Study instance UID.
        language: ``en`` or ``tr``.
        sections: In reading order.
        findings: Final findings: the reader's own, accepted and modified ones.
        measurements: Numbers that belong to no finding and were accepted.
        signature: None for a draft.
        addenda: Oldest first.

    Raises:
        InputError: It is signed and holds a model's sentence that nobody accepted.
    """

    study: str
    language: Literal["en", "tr"]
    sections: tuple[Section, ...]
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    signature: Signature | None = None
    addenda: tuple[Addendum, ...] = ()

    def __post_init__(self) -> None:
        if self.signature is None:
            if self.addenda:
                raise InputError("an addendum comes after a signature")
            return
        for section in self.sections:
            for sentence in section.sentences:
                if not isinstance(sentence.origin, Reader) and sentence.accepted_by is None:
                    raise InputError(
                        f"nobody accepted this sentence of {sentence.origin.name}: {sentence.text!r}"
                    )
