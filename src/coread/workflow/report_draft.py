"""The draft of a report: sentences from what the reader found and accepted, each with its origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from coread.core import (
    Dictation,
    Finding,
    Imported,
    Measurement,
    Model,
    Reader,
    Report,
    Section,
    Sentence,
    vocabulary,
)
from coread.core.reading import Reading
from coread.core.report import SECTION_NAMES
from coread.storage import StudyRow
from coread.workflow import wording
from coread.workflow.report_sentences import Said
from coread.workflow.wording import Language

_SHOWN_PRIORS = 3


def generate(
    reading: Reading,
    reader: Reader,
    study: StudyRow,
    priors: Sequence[StudyRow],
    *,
    models: Iterable[Finding] = (),
    agreed: Iterable[tuple[str, str]] = (),
    contradicted: Iterable[tuple[str, str]] = (),
    language: Language,
) -> Report:
    """Return the draft that follows from a reading.

    It states the reader's own findings (of the draft until a read is committed) and, of the models' findings,
    the accepted ones in the models' name and the modified ones in the reader's. What was rejected or waits
    for a decision is not in it.

    Args:
        reading: The reader's reading.
        reader: Who writes.
        study: The study.
        priors: The patient's earlier studies, the latest first.
        models: The models' findings that were revealed.
        agreed: (reader, model) identifiers that state the same; such a pair makes one sentence.
        contradicted: (reader, model) identifiers of a denial and of what contradicts it; a denial that the
            reader gave up by accepting or modifying the model's finding is not stated any more.
        language: ``en`` or ``tr``.
    """
    given_up = {mine for mine, theirs in contradicted if _overturned(reading, theirs)}
    own = [f for f in (*reading.committed_findings, *reading.draft) if f.id not in given_up]
    shown = {finding.id: finding for finding in models}
    partner = dict(agreed)
    findings: list[Finding] = list(own)
    sentences: list[Sentence] = []
    merged: set[str] = set()
    for finding in own:
        stated: tuple[str, ...] = (finding.id,)
        theirs = partner.get(finding.id)
        if theirs is not None and _choice(reading, theirs) == "accept":
            merged.add(theirs)
            stated = (finding.id, theirs)
        sentences.append(Sentence(finding_text(finding, language), reader, stated))
    for identifier, decision in reading.decisions.items():
        theirs_found = shown.get(identifier)
        if decision.choice == "modify" and decision.modified is not None:
            findings.append(decision.modified)
            sentences.append(Sentence(finding_text(decision.modified, language), reader, (identifier,)))
        elif decision.choice == "accept" and theirs_found is not None:
            findings.append(theirs_found)
            sentences.extend(
                _accepted(theirs_found, reader, decision.at, language, measured_only=identifier in merged)
            )
    if not sentences:
        sentences.append(Sentence(wording.template("nothing", language), reader))
    sections = [
        Section("exam", (_from_headers(_exam(study, language), reader),)),
        Section("technique", (_from_headers(_technique(study, language), reader),)),
        Section("comparison", (_from_headers(_comparison(priors, language), reader),)),
        Section("findings", tuple(sentences)),
    ]
    impression = [
        Sentence(finding_text(f, language, short=True), f.origin, (f.id,), *_accept(f, reader, reading))
        for f in findings
        if f.status in ("present", "uncertain") and f.id not in merged
    ]
    if impression:
        sections.append(Section("impression", tuple(impression)))
    return Report(reading.study, language, tuple(sections), findings=tuple(findings))


def merge(generated: Report, kept: Report, reader: Reader) -> Report:
    """Return the reader's kept words, brought up to date with what a reading states by now.

    A sentence about findings that are no longer stated is left out, and what is newly stated is added; a
    model's sentence keeps its origin as long as its words are the model's, otherwise it is the reader's.
    """
    stated = {finding.id for finding in generated.findings}
    origin = {s.text: s for section in generated.sections for s in section.sentences}
    sections: dict[str, list[Sentence]] = {section.name: [] for section in kept.sections}
    told: dict[str, set[str]] = {}
    for section in kept.sections:
        for sentence in section.sentences:
            if sentence.findings and not set(sentence.findings) & stated:
                continue
            known = origin.get(sentence.text)
            kept_findings = tuple(f for f in sentence.findings if f in stated)
            made = known or replace(sentence, origin=reader, accepted_by=None, findings=kept_findings)
            sections[section.name].append(made)
            told.setdefault(section.name, set()).update(made.findings)
    for section in generated.sections:
        if section.name not in sections:
            if section.name in ("exam", "findings", "impression"):
                sections[section.name] = list(section.sentences)
            continue
        known_findings = told.get(section.name, set())
        sections[section.name].extend(
            s for s in section.sentences if s.findings and not set(s.findings) & known_findings
        )
    numbers = [Sentence(number_text(m, kept.language), reader) for m in kept.measurements]
    if numbers:
        already = {s.text for s in sections.setdefault("findings", [])}
        sections["findings"].extend(s for s in numbers if s.text not in already)
    return replace(
        generated,
        language=kept.language,
        sections=tuple(Section(name, tuple(found)) for name, found in sections.items()),  # type: ignore[arg-type]
        measurements=kept.measurements,
    )


def accepted_at(draft: Report, at: datetime) -> Report:
    """Return a draft in which every accepted sentence says when: the signature accepts what was open."""
    sections = tuple(
        replace(
            section,
            sentences=tuple(
                replace(s, accepted_at=at) if s.accepted_by is not None and s.accepted_at is None else s
                for s in section.sentences
            ),
        )
        for section in draft.sections
    )
    return replace(draft, sections=sections)


def with_text(draft: Report, said: Said, dictation: Dictation) -> Report:
    """Return a draft with the reader's own text in it.

    Where the text states what the reader had also marked on the images, the reader's sentence stands instead
    of the made one, and the numbers of the text go to the marked finding. Its words on technique and
    comparison take the place of the made ones. Nothing of a model's is left out or changed.
    """
    marked = {f.id: f for f in draft.findings if isinstance(f.origin, Reader)}
    pairs = _pairs(tuple(marked.values()), said.findings)
    mine = {theirs: own for own, theirs in pairs.items()}
    findings = tuple(_measured(f, said, pairs) for f in draft.findings)
    findings += tuple(f for f in said.findings if f.id not in mine)
    own_words = {
        section.name: [
            replace(s, findings=tuple(mine.get(f, f) for f in s.findings)) for s in section.sentences
        ]
        for section in said.sections
    }
    made = {section.name: list(section.sentences) for section in draft.sections}
    nothing = {wording.template("nothing", language) for language in ("en", "tr")}
    sections = []
    for name in SECTION_NAMES:
        words = own_words.get(name, [])
        stated = {finding for s in words for finding in s.findings} & set(pairs)
        kept = []
        for sentence in made.get(name, []):
            if name in ("technique", "comparison") and words and not sentence.findings:
                continue
            if name == "findings" and sentence.text in nothing and said.sections:
                continue
            own = set(sentence.findings) & stated
            if own and set(sentence.findings) & set(marked) <= stated and _by_person(sentence):
                words = [
                    replace(s, findings=tuple(dict.fromkeys((*s.findings, *sentence.findings))))
                    if own & set(s.findings)
                    else s
                    for s in words
                ]
                continue
            kept.append(sentence)
        if kept or words or name in made:
            sections.append(Section(name, (*kept, *words)))
    return replace(
        draft,
        language=said.language,
        sections=tuple(sections),
        findings=findings,
        measurements=(*draft.measurements, *said.measurements),
        dictation=dictation,
    )


def _pairs(marked: Sequence[Finding], told: Sequence[Finding]) -> dict[str, str]:
    """Return the finding of the text for each marked one that it alone can be, and the other way round."""
    fits = [(own.id, text.id) for own in marked for text in told if _same(own, text)]
    owns, texts = [own for own, _ in fits], [text for _, text in fits]
    return {own: text for own, text in fits if owns.count(own) == 1 and texts.count(text) == 1}


def _same(own: Finding, text: Finding) -> bool:
    related = vocabulary.is_a(own.concept, text.concept) or vocabulary.is_a(text.concept, own.concept)
    positive = ("present", "uncertain")
    status = own.status == text.status or (own.status in positive and text.status in positive)
    pairs = ((own.laterality, text.laterality), (own.place, text.place))
    agree = all(a is None or b is None or a == b for a, b in pairs)
    return related and status and agree and text.subject == "patient"


def _measured(finding: Finding, said: Said, pairs: Mapping[str, str]) -> Finding:
    """Return a marked finding with the numbers of the text, where it has none of its own."""
    if finding.measurements or finding.id not in pairs:
        return finding
    told = next(f for f in said.findings if f.id == pairs[finding.id])
    return replace(finding, measurements=told.measurements)


def finding_text(finding: Finding, language: Language, *, short: bool = False) -> str:
    """Return a finding as one sentence; the short form leaves out numbers and comment.

    Examples:
        >>> from coread.core import vocabulary
        >>> left = vocabulary.LEFT
        >>> effusion = Finding("1", vocabulary.PLEURAL_EFFUSION, "absent", Reader("r"), laterality=left)
        >>> finding_text(effusion, "en"), finding_text(effusion, "tr")
        ('No pleural effusion, left.', 'Plevral efüzyon, sol saptanmadı.')
    """
    details = [wording.words(c, language) for c in (finding.laterality, finding.place) if c is not None]
    if finding.change is not None:
        details.append(wording.template(finding.change, language))
    if not short and isinstance(finding.origin, Reader):
        details.extend(_number(m, language) for m in finding.measurements)
    pattern = wording.template("present" if finding.status == "no_opinion" else finding.status, language)
    text = pattern.format(
        finding=wording.words(finding.concept, language), details="".join(f", {d}" for d in details)
    )
    text = wording.sentence(text, language)
    return f"{text} {finding.comment.strip()}" if finding.comment.strip() and not short else text


def number_text(measurement: Measurement, language: Language) -> str:
    """Return a number that belongs to no finding as one sentence."""
    where = [wording.words(c, language) for c in (measurement.site, measurement.laterality) if c is not None]
    concept = ", ".join([wording.words(measurement.concept, language), *where])
    text = wording.template("number", language).format(concept=concept, number=_value(measurement, language))
    return wording.sentence(text, language)


def _accepted(
    finding: Finding, reader: Reader, at: datetime, language: Language, *, measured_only: bool
) -> list[Sentence]:
    texts = [] if measured_only else [finding_text(finding, language)]
    if finding.measurements:
        text = wording.template("measured", language).format(
            finding=wording.words(finding.concept, language),
            numbers="; ".join(_number(m, language) for m in finding.measurements),
        )
        texts.append(wording.sentence(text, language))
    return [Sentence(t, finding.origin, (finding.id,), accepted_by=reader, accepted_at=at) for t in texts]


def _number(measurement: Measurement, language: Language) -> str:
    return f"{wording.words(measurement.concept, language)} {_value(measurement, language)}"


def _value(measurement: Measurement, language: Language) -> str:
    unit = "" if measurement.quantity.unit == "1" else f" {_unit(measurement.quantity.unit)}"
    text = f"{wording.number(measurement.quantity.value, language)}{unit}"
    if measurement.interval is not None:
        within = wording.template("within", language).format(
            low=wording.number(measurement.interval.low, language),
            high=wording.number(measurement.interval.high, language),
        )
        text = f"{text} ({within})"
    return text


def _unit(ucum: str) -> str:
    return {"[hnsf'U]": "HU", "mm2": "mm²", "cm2": "cm²", "mm3": "mm³", "cm3": "cm³"}.get(ucum, ucum)


def _from_headers(text: str, reader: Reader) -> Sentence:
    """Return words made of what the images' headers say; who signs accepts them."""
    return Sentence(text, Imported("DICOM"), accepted_by=reader)


def _exam(study: StudyRow, language: Language) -> str:
    what = study.description or ", ".join(study.modalities)
    when = "" if study.time is None else f", {wording.day(study.time, language)}"
    return wording.template("exam", language).format(what=f"{what}{when}")


def _technique(study: StudyRow, language: Language) -> str:
    description = f": {study.description}" if study.description else ""
    modalities = ", ".join(study.modalities)
    text = wording.template("technique", language).format(modalities=modalities, description=description)
    return f"{text} {wording.template('simulated', language)}" if study.simulated else text


def _comparison(priors: Sequence[StudyRow], language: Language) -> str:
    if not priors:
        return wording.template("not_compared", language)
    studies = ", ".join(
        f"{'/'.join(prior.modalities)} {wording.day(prior.time, language)}"
        for prior in priors[:_SHOWN_PRIORS]
        if prior.time is not None
    )
    return wording.template("compared", language).format(studies=studies)


def _choice(reading: Reading, identifier: str) -> str | None:
    decision = reading.decisions.get(identifier)
    return None if decision is None else decision.choice


def _overturned(reading: Reading, identifier: str) -> bool:
    """Return whether the reader's decision says that what they had denied is, or may be, there."""
    decision = reading.decisions.get(identifier)
    if decision is None or decision.choice == "reject":
        return False
    return decision.modified is None or decision.modified.status in ("present", "uncertain")


def _accept(finding: Finding, reader: Reader, reading: Reading) -> tuple[Reader | None, datetime | None]:
    if not isinstance(finding.origin, Model):
        return None, None
    return reader, reading.decisions[finding.id].at


def _by_person(sentence: Sentence) -> bool:
    return isinstance(sentence.origin, Reader)
