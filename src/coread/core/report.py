"""A report: sentences with their origin, findings, signatures and addenda."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from coread.core.finding import Finding, Measurement, Origin, Reader
from coread.errors import InputError

SectionName = Literal[
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


# in the order in which a report is read
SECTION_NAMES: tuple[SectionName, ...] = get_args(SectionName)


@dataclass(frozen=True, slots=True)
class Template:
    """A report template that gave a sentence, with its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Imported:
    """Where a sentence was taken from that was written elsewhere, such as the name of a file."""

    source: str


SentenceOrigin = Origin | Template | Imported


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a sentence: who, when, and the words before."""

    by: Reader
    at: datetime
    before: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and where it comes from.

    Attributes:
        text: The words.
        origin: Who or what wrote it first.
        findings: Identifiers of the findings it states.
        accepted_by: The reader who accepted what they did not write, or None for the reader's own.
        accepted_at: When, or None where nobody did.
        edits: What was changed in it, oldest first.
        span: Where it stands in the reader's own text (`Dictation`), in characters; None for others.
    """

    text: str
    origin: SentenceOrigin
    findings: tuple[str, ...] = ()
    accepted_by: Reader | None = None
    accepted_at: datetime | None = None
    edits: tuple[Edit, ...] = ()
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A named part of a report."""

    name: SectionName
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Dictation:
    """A reader's own text for a report: dictated, pasted or written.

    Attributes:
        text: The words.
        language: ``auto``, ``en`` or ``tr``.
        templates: Templates that were put into it.
    """

    text: str
    language: Literal["auto", "en", "tr"] = "auto"
    templates: tuple[Template, ...] = ()


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
        dictation: The reader's own text that sentences were taken from, or None.

    Raises:
        InputError: It is signed and holds a sentence that its reader did not write and nobody accepted.
    """

    study: str
    language: Literal["en", "tr"]
    sections: tuple[Section, ...]
    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    signature: Signature | None = None
    addenda: tuple[Addendum, ...] = ()
    dictation: Dictation | None = None

    def __post_init__(self) -> None:
        if self.signature is None:
            if self.addenda:
                raise InputError("an addendum comes after a signature")
            return
        check_accepted(self.sections)


def check_accepted(sections: tuple[Section, ...]) -> None:
    """Check that somebody stands behind every sentence: who wrote it, or who accepted it.

    Raises:
        InputError: Nobody accepted a sentence of a model, of a template or from elsewhere.
    """
    for section in sections:
        for sentence in section.sentences:
            if not isinstance(sentence.origin, Reader) and sentence.accepted_by is None:
                raise InputError(
                    f"nobody accepted this sentence of {origin_name(sentence.origin)}: {sentence.text!r}",
                    "a sentence that a reader wrote or accepted",
                    "accept it, or leave it out",
                )


def origin_name(origin: SentenceOrigin) -> str:
    """Return who or what an origin is, in one word.

    Examples:
        >>> origin_name(Template("chest_ct", "1")), origin_name(Reader("ada"))
        ('chest_ct', 'ada')
    """
    match origin:
        case Reader():
            return origin.id
        case Imported():
            return origin.source
    return origin.name
