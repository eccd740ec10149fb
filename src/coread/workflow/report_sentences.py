"""A reader's own text as sentences of a report, each with its origin, and as findings with their words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import cast

from coread.core import (
    CodedConcept,
    Cue,
    Dictation,
    Finding,
    Imported,
    Measurement,
    Quantity,
    Reader,
    Section,
    Sentence,
    Template,
    vocabulary,
)
from coread.core.finding import Change
from coread.core.report import SECTION_NAMES, Edit, SectionName
from coread.errors import InputError
from coread.interop import codes
from coread.language import StructuredReport, TextFinding, TextMeasurement, structure
from coread.language import templates as forms
from coread.workflow import wording
from coread.workflow.wording import Language

# an edited sentence of a template shares at least this part of its letters
_LIKE = 0.6
_NO_STATEMENT = frozenset({"indication", "technique", "comparison"})
_CHANGES: Mapping[str, Change] = MappingProxyType(
    {
        "new": "new",
        "increased": "larger",
        "decreased": "smaller",
        "stable": "unchanged",
        "resolved": "resolved",
    }
)
_SIDES = MappingProxyType(
    {"left": vocabulary.LEFT, "right": vocabulary.RIGHT, "bilateral": vocabulary.BILATERAL}
)
_LUNG_PLACES = MappingProxyType(
    {
        "lung": vocabulary.LUNG,
        "upper lobe": vocabulary.UPPER_LOBE,
        "middle lobe": vocabulary.MIDDLE_LOBE,
        "lower lobe": vocabulary.LOWER_LOBE,
    }
)
_PLACES = MappingProxyType(
    {"brain": vocabulary.BRAIN, "breast": vocabulary.BREAST, "bone": vocabulary.BONE, **_LUNG_PLACES}
)
_IN_LUNG = MappingProxyType({"nodule": vocabulary.LUNG_NODULE, "mass": vocabulary.LUNG_MASS})


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a reader's own text says.

    Attributes:
        language: Of the text.
        sections: Its sentences, in reading order.
        findings: What they state of the patient, each once.
        measurements: Sizes that belong to no finding.
    """

    language: Language
    sections: tuple[Section, ...]
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]


def said(dictation: Dictation, reader: Reader, at: datetime, *, source: str | None = None) -> Said:
    """Return what a text says, as a part of a report.

    A sentence that is one of a template's has the template as origin, a changed one of them too, with what
    the reader changed. Other sentences are the reader's own, or imported where the text has a source.

    Args:
        dictation: The text and the templates that were put into it.
        reader: Who writes.
        at: When it was saved.
        source: Where the text comes from, where nobody wrote or dictated it here.

    Examples:
        >>> from datetime import UTC
        >>> text = Dictation("Findings: 6 mm nodule in the right upper lobe.")
        >>> found = said(text, Reader("ada"), datetime(2026, 1, 1, tzinfo=UTC))
        >>> found.sections[0].sentences[0].text, found.findings[0].concept.meaning
        ('6 mm nodule in the right upper lobe.', 'Lung nodule')
    """
    report = structure(dictation.text, dictation.language)
    language: Language = "tr" if report.language == "tr" else "en"
    found = _Findings(report, reader)
    spans = list(_spans(report))
    texts = [report.text[start:end] for _, start, end, _ in spans]
    origins = _origins(texts, dictation.templates, language)
    sections: dict[SectionName, list[Sentence]] = {}
    for (name, start, end, number), text, (template, before) in zip(spans, texts, origins, strict=True):
        sentence = Sentence(text, reader, found.of(number), span=(start, end))
        if source is not None:
            sentence = replace(sentence, origin=Imported(source))
        elif template is not None:
            edits = () if before is None else (Edit(reader, at, before),)
            sentence = replace(sentence, origin=template, accepted_by=reader, accepted_at=at, edits=edits)
        sections.setdefault(name, []).append(sentence)
    ordered = tuple(Section(name, tuple(sections[name])) for name in SECTION_NAMES if name in sections)
    return Said(language, ordered, tuple(found.findings.values()), tuple(found.loose))


def template_text(name: str, language: Language) -> str:
    """Return a template as text to put into a report: technique, normal statements, headings.

    Raises:
        InputError: There is no such template.
    """
    form = forms.template(name)
    parts = (
        ("technique", (form.technique[language],)),
        ("findings", form.normal[language]),
        ("impression", ()),
    )
    return "\n\n".join(
        "\n".join((f"{wording.title(section, language)}:", *lines)) for section, lines in parts
    )


def known_templates(came: Sequence[Template]) -> tuple[Template, ...]:
    """Return templates that a text says it has, once each.

    Raises:
        InputError: There is no such template, or not in this version.
    """
    for one in came:
        if forms.template(one.name).version != one.version:
            raise InputError(
                f"template {one.name} in version {one.version}",
                f"version {forms.template(one.name).version}",
                "put it in again",
            )
    return tuple(dict.fromkeys(came))


def _spans(report: StructuredReport) -> Iterator[tuple[SectionName, int, int, int]]:
    """Yield section, place and number of each sentence, without headings."""
    for number, (start, end) in enumerate(report.sentences):
        section = next((s for s in reversed(report.sections) if s.start <= end), None)
        if section is None:
            continue
        words = report.text[max(start, section.start) : end]
        last = max(start, section.start) + len(words.rstrip())
        first = last - len(words.strip())
        if first < last:
            known = section.name in SECTION_NAMES
            yield cast(SectionName, section.name if known else "findings"), first, last, number


def _origins(
    texts: Sequence[str], templates: Sequence[Template], language: Language
) -> list[tuple[Template | None, str | None]]:
    """Return the template of each sentence, and the template's words where they were changed."""
    given = {
        line: template
        for template in reversed(templates)
        for line in (
            forms.template(template.name).technique[language],
            *forms.template(template.name).normal[language],
        )
    }
    found: list[tuple[Template | None, str | None]] = [(given.get(text), None) for text in texts]
    left = [line for line in given if line not in texts]
    for n, text in enumerate(texts):
        if found[n][0] is None:
            for nearest in get_close_matches(text, left, n=1, cutoff=_LIKE):
                found[n] = given[nearest], nearest
                left.remove(nearest)
    return found


class _Findings:
    """The findings of a text as core findings; what the impression repeats is the same finding."""

    def __init__(self, report: StructuredReport, reader: Reader) -> None:
        self.report, self.reader = report, reader
        self.findings: dict[str, Finding] = {}
        self.loose: list[Measurement] = []
        self._of: dict[int, list[str]] = {}
        same: list[tuple[TextFinding, str]] = []
        identifiers: dict[int, str] = {}
        for number, found in enumerate(report.findings):
            if found.section in _NO_STATEMENT:
                continue
            known = next((i for other, i in same if _repeats(found, other)), None)
            identifier = known or f"text-{len(self.findings) + 1}"
            if known is None:
                self.findings[identifier] = self._finding(found, identifier)
                same.append((found, identifier))
            identifiers[number] = identifier
            self._of.setdefault(found.sentence, []).append(identifier)
        for size in report.measurements:
            self._measure(size, None if size.finding is None else identifiers.get(size.finding))

    def of(self, sentence: int) -> tuple[str, ...]:
        """Return the identifiers of what a sentence states."""
        return tuple(dict.fromkeys(self._of.get(sentence, ())))

    def _finding(self, found: TextFinding, identifier: str) -> Finding:
        concept = _concept(found)
        return Finding(
            id=identifier,
            concept=concept,
            status=found.status,
            origin=self.reader,
            subject=found.subject,
            change=None if found.change is None else _CHANGES[found.change],
            place=_PLACES.get(found.location or ""),
            laterality=_SIDES.get(found.laterality or ""),
            comment=found.finding if concept == vocabulary.OTHER_FINDING else "",
            cues=tuple(Cue(c.text, c.start, c.end, c.role) for c in found.cues),
        )

    def _measure(self, size: TextMeasurement, identifier: str | None) -> None:
        made = tuple(_measurements(size))
        if identifier is None:
            self.loose.extend(made)
            return
        before = self.findings[identifier]
        known = {(m.concept, m.quantity) for m in before.measurements}
        new = tuple(m for m in made if (m.concept, m.quantity) not in known)
        self.findings[identifier] = replace(before, measurements=(*before.measurements, *new))


def _repeats(found: TextFinding, other: TextFinding) -> bool:
    """Return whether the impression says again what the findings say."""
    if (found.finding, found.subject) != (other.finding, other.subject) or found.section == other.section:
        return False
    pairs = ((found.laterality, other.laterality), (found.location, other.location))
    return found.status == other.status and all(a is None or b is None or a == b for a, b in pairs)


def _concept(found: TextFinding) -> CodedConcept:
    if found.finding in _IN_LUNG and found.location in _LUNG_PLACES:
        return _IN_LUNG[found.finding]
    if found.code is None:
        return vocabulary.OTHER_FINDING
    scheme, value = found.code
    try:
        return vocabulary.finding(value, scheme)
    except InputError:
        return CodedConcept(value, scheme, found.finding[:1].upper() + found.finding[1:])


def _measurements(size: TextMeasurement) -> Iterator[Measurement]:
    """Yield the diameters of a size, each as long or short axis where there are two or more."""
    order = sorted(size.values_mm, reverse=True)
    flags = [] if size.of is None or size.finding is not None else [f"of {size.of}"]
    if size.prior_mm:
        flags.append(f"before: {' x '.join(f'{v:g}' for v in size.prior_mm)} mm")
    for value in size.values_mm:
        concept = vocabulary.DIAMETER
        if len(order) > 1 and value in (order[0], order[1]):
            concept = codes.LONG_AXIS if value == order[0] else codes.SHORT_AXIS
        yield Measurement(concept, Quantity(value, "mm"), method="report text", flags=tuple(flags))
