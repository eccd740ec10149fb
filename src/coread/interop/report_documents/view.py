"""What a report document shows, in words of one language: the same for HTML and PDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from coread.core import (
    CodedConcept,
    Finding,
    Imported,
    Interval,
    Measurement,
    Model,
    Origin,
    Provenance,
    Reader,
    Section,
    Sentence,
    Template,
)
from coread.core.reading import Decision
from coread.interop.authorship import Author
from coread.interop.report_content import ReportContent
from coread.interop.report_documents.pictures import KeyImage
from coread.interop.report_documents.words import known, say

Words = Callable[[CodedConcept], str]
Row = tuple[str, ...]
_MOST_INPUTS = 6


@dataclass(frozen=True, slots=True)
class SentenceView:
    """A sentence, whose it is, and whether a model wrote it."""

    text: str
    origin: str
    by_model: bool


@dataclass(frozen=True, slots=True)
class SectionView:
    """A titled part of the text."""

    title: str
    sentences: tuple[SentenceView, ...]


@dataclass(frozen=True, slots=True)
class TableView:
    """A table with its title and column names; empty tables are left out."""

    title: str
    columns: Row
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class PictureView:
    """A key image with its caption."""

    image: KeyImage
    caption: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """Everything that a report document shows.

    Attributes:
        language: ``en`` or ``tr``.
        title: Heading.
        labels: What nobody may overlook: research use, simulated, preliminary.
        facts: Name and value, of patient and study.
        sections: Report text.
        tables: Findings, measurements, decisions, silent models, provenance.
        pictures_title: Heading of the key images.
        pictures: Key images.
        signature: Who signed when; None for what nobody has read.
        addenda: Heading and text of each.
        page: Words for a page number, with a gap.
    """

    language: str
    title: str
    labels: tuple[str, ...]
    facts: tuple[Row, ...]
    sections: tuple[SectionView, ...]
    tables: tuple[TableView, ...]
    pictures_title: str
    pictures: tuple[PictureView, ...]
    signature: str | None
    addenda: tuple[Row, ...]
    page: str


def describe(
    report: ReportContent,
    author: Author,
    *,
    pictures: Sequence[KeyImage] = (),
    words: Words = lambda concept: concept.meaning,
) -> ReportView:
    """Return what a report document shows.

    Args:
        report: What is stated.
        author: When, with what.
        pictures: Key images of its findings.
        words: Gives a concept in the report's language.
    """
    return _Describer(report, author, words).view(pictures)


class _Describer:
    def __init__(self, report: ReportContent, author: Author, words: Words) -> None:
        self.report, self.author, self.words = report, author, words
        self.language = "tr" if report.language == "tr" else "en"

    def view(self, pictures: Sequence[KeyImage]) -> ReportView:
        report = self.report
        signature = report.signature
        signed = None
        if signature is not None:
            signed = self.say("signed", name=signature.reader.id, time=self.time(signature.at))
        labels = [self.say("research_use")]
        if report.simulated:
            labels.append(self.say("simulated"))
        if signature is None:
            labels.append(self.say("unsigned" if report.kind == "text" else "unread"))
        tables = (
            self._findings(),
            self._measurements(),
            self._decisions(),
            self._silence(),
            self._provenance(),
        )
        return ReportView(
            language=self.language,
            title=self.say("results" if report.kind == "results" else "report"),
            labels=tuple(labels),
            facts=self._facts(),
            sections=tuple(self._section(s) for s in report.sections if s.sentences),
            tables=tuple(table for table in tables if table.rows),
            pictures_title=self.say("key_images"),
            pictures=self._pictures(pictures),
            signature=signed,
            addenda=tuple(
                (
                    self.say("addendum", name=a.signature.reader.id, time=self.time(a.signature.at)),
                    a.text,
                )
                for a in report.addenda
            ),
            page=self.say("page", number="{number}"),
        )

    def say(self, name: str, /, **gaps: object) -> str:
        return say(name, self.language, **gaps)

    def number(self, value: float, digits: int = 4) -> str:
        return str(format_decimal(float(f"{value:.{digits}g}"), format="0.######", locale=self.language))

    def day(self, value: date | None) -> str:
        return "" if value is None else str(format_date(value, format="long", locale=self.language))

    def time(self, value: datetime) -> str:
        zone = "" if value.utcoffset() is None else f" {value.strftime('%Z')}"
        return f"{format_datetime(value, format='d MMMM yyyy HH:mm', locale=self.language)}{zone}"

    def concept(self, concept: CodedConcept) -> str:
        return self.words(concept)

    def _facts(self) -> tuple[Row, ...]:
        first = self.report.headers[0]
        facts = (
            ("patient", first.patient_name.replace("^", " ").strip()),
            ("patient_id", first.patient_id),
            ("birth_date", self.day(first.birth_date)),
            ("sex", self.say(first.sex) if first.sex else ""),
            ("study", first.study_description),
            ("study_time", self.time(first.study_time) if first.study_time else ""),
            ("accession", first.accession),
            ("modality", ", ".join(dict.fromkeys(h.modality for h in self.report.headers))),
        )
        return tuple((self.say(name), value) for name, value in facts if value)

    def _section(self, section: Section) -> SectionView:
        return SectionView(
            self.say(section.name), tuple(self._sentence(sentence) for sentence in section.sentences)
        )

    def _sentence(self, sentence: Sentence) -> SentenceView:
        match sentence.origin:
            case Template(name, version):
                origin = self.say("template", name=name, version=version)
            case Imported(source):
                origin = self.say("imported", name=source)
            case Reader() | Model() as author:
                origin = self._origin(author)
        for edit in sentence.edits:
            origin = f"{origin}, {self.say('edited_by', name=edit.by.id)}"
        if sentence.accepted_by is not None:
            origin = f"{origin}, {self.say('accepted_by', name=sentence.accepted_by.id)}"
        return SentenceView(sentence.text, origin, isinstance(sentence.origin, Model))

    def _origin(self, origin: Origin) -> str:
        return f"{origin.name} {origin.version}" if isinstance(origin, Model) else origin.id

    def _place(self, *parts: CodedConcept | None) -> str:
        return ", ".join(self.concept(part) for part in parts if part is not None)

    def _findings(self) -> TableView:
        columns = (
            "finding",
            "status",
            "place",
            "probability",
            "interval",
            "threshold",
            "origin",
            "evidence",
        )
        rows = tuple(self._finding(finding) for finding in self.report.findings)
        return TableView(self.say("findings_table"), tuple(self.say(c) for c in columns), rows)

    def _finding(self, finding: Finding) -> Row:
        status = self.say(finding.status)
        if finding.change is not None:
            status = f"{status}, {self.say(finding.change)}"
        if finding.subject == "other":
            status = f"{status} ({self.say('other_person')})"
        probability = finding.probability
        share = interval = threshold = ""
        if probability is not None:
            calibrated = self.say("calibrated" if probability.calibrated else "not_calibrated")
            share = f"{self.number(probability.value, 3)} ({calibrated})"
            interval = self._interval(probability.interval)
            threshold = self.number(probability.threshold, 3)
        name = self.concept(finding.concept)
        if finding.comment:
            name = f"{name}: {finding.comment}"
        return (
            name,
            status,
            self._place(finding.place, finding.laterality),
            share,
            interval,
            threshold,
            self._origin(finding.origin),
            self._evidence(finding.origin),
        )

    def _interval(self, interval: Interval | None) -> str:
        if interval is None:
            return ""
        level = self.number(interval.level * 100)
        return f"{self.number(interval.low)} – {self.number(interval.high)} ({level} %, {interval.method})"

    def _evidence(self, origin: Origin) -> str:
        card = self.report.cards.get(origin.name) if isinstance(origin, Model) else None
        return "" if card is None else self.say("of_6", level=card.evidence_level)

    def _measurements(self) -> TableView:
        pairs: list[tuple[Measurement, Origin, str]] = [
            (m, f.origin, self.concept(f.concept)) for f in self.report.findings for m in f.measurements
        ]
        pairs += [(m, origin, "") for m, origin in self.report.measurements]
        columns = ("measurement", "value", "interval", "place", "limits", "origin")
        rows = []
        for measurement, origin, of in pairs:
            name = self.concept(measurement.concept)
            method = f" [{measurement.method}]" if measurement.method else ""
            place = self._place(measurement.site, measurement.laterality)
            unit = "" if measurement.quantity.unit == "1" else f" {measurement.quantity.unit}"
            rows.append(
                (
                    f"{of}: {name}{method}" if of else f"{name}{method}",
                    f"{self.number(measurement.quantity.value)}{unit}",
                    self._interval(measurement.interval),
                    place,
                    "; ".join(measurement.flags),
                    self._origin(origin),
                )
            )
        return TableView(self.say("measurements"), tuple(self.say(c) for c in columns), tuple(rows))

    def _decisions(self) -> TableView:
        columns = tuple(self.say(c) for c in ("finding", "probability", "model", "decision", "reason"))
        rows = tuple(self._decision(f, d) for f, d in self.report.decisions)
        return TableView(self.say("decisions"), columns, rows)

    def _decision(self, finding: Finding, decision: Decision) -> Row:
        choice = self.say(decision.choice)
        if decision.modified is not None:
            choice = f"{choice}: {self.concept(decision.modified.concept)}"
        reason = ""
        if decision.reason is not None:
            reason = self.say(decision.reason) if known(decision.reason) else decision.reason
        share = "" if finding.probability is None else self.number(finding.probability.value, 3)
        words = "; ".join(text for text in (reason, decision.comment) if text)
        return self.concept(finding.concept), share, self._origin(finding.origin), choice, words

    def _silence(self) -> TableView:
        columns = (self.say("model"), self.say("reason"))
        return TableView(self.say("silence"), columns, self.report.silence)

    def _provenance(self) -> TableView:
        columns = ("model", "version", "time", "weights", "inputs", "intended_use", "not_for")
        rows = tuple(self._stamp(stamp) for stamp in self.report.provenance)
        return TableView(self.say("provenance"), tuple(self.say(c) for c in columns), rows)

    def _stamp(self, stamp: Provenance) -> Row:
        inputs = [f"{uid} (sha256 {digest[:12]}…)" for uid, digest in stamp.inputs.items()]
        if len(inputs) > _MOST_INPUTS:
            inputs = [*inputs[:_MOST_INPUTS], f"+ {len(stamp.inputs) - _MOST_INPUTS}"]
        card = self.report.cards.get(stamp.analyzer)
        return (
            stamp.analyzer,
            f"{stamp.version}, {stamp.software}",
            self.time(stamp.end),
            stamp.weights_digest or "",
            "; ".join(inputs),
            card.intended_use if card else "",
            card.not_for if card else "",
        )

    def _pictures(self, pictures: Sequence[KeyImage]) -> tuple[PictureView, ...]:
        findings = {finding.id: finding for finding in self.report.findings}
        shown = []
        for picture in pictures:
            finding = findings.get(picture.finding)
            if finding is None:
                continue
            caption = f"{self.concept(finding.concept)}, {self._origin(finding.origin)}"
            if picture.slice_number is not None:
                caption = f"{caption}, {self.say('slice', number=picture.slice_number)}"
            if self.report.simulated:
                caption = f"{caption}. {self.say('simulated')}"
            shown.append(PictureView(picture, caption))
        return tuple(shown)
