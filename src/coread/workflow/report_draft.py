"""The draft of a report: sentences from what the reader found and accepted, each with its origin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from coread.core import Finding, Measurement, Model, Reader, Report, Section, Sentence
from coread.core.reading import Reading
from coread.storage import StudyRow
from coread.workflow import wording
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
            sentences.extend(_accepted(theirs_found, reader, language, measured_only=identifier in merged))
    if not sentences:
        sentences.append(Sentence(wording.template("nothing", language), reader))
    sections = [
        Section("technique", (Sentence(_technique(study, language), reader),)),
        Section("comparison", (Sentence(_comparison(priors, language), reader),)),
        Section("findings", tuple(sentences)),
    ]
    impression = [
        Sentence(finding_text(f, language, short=True), f.origin, (f.id,), _acceptor(f, reader))
        for f in findings
        if f.status in ("present", "uncertain") and f.id not in merged
    ]
    if impression:
        sections.append(Section("impression", tuple(impression)))
    return Report(reading.study, language, tuple(sections), findings=tuple(findings))


def merge(generated: Report, kept: Report) -> Report:
    """Return the reader's kept words, brought up to date with what a reading states by now.

    A sentence about findings that are no longer stated is left out, and what is newly stated is added; a
    model's sentence keeps its origin as long as its words are the model's, otherwise it is the reader's.
    """
    stated = {finding.id for finding in generated.findings}
    origin = {s.text: s for section in generated.sections for s in section.sentences}
    sections: dict[str, list[Sentence]] = {section.name: [] for section in kept.sections}
    told: dict[str, set[str]] = {}
    reader = next(s.origin for section in generated.sections for s in section.sentences if _by_person(s))
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
            if section.name in ("findings", "impression"):
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


def _accepted(finding: Finding, reader: Reader, language: Language, *, measured_only: bool) -> list[Sentence]:
    sentences = []
    if not measured_only:
        text = finding_text(finding, language)
        sentences.append(Sentence(text, finding.origin, (finding.id,), accepted_by=reader))
    if finding.measurements:
        text = wording.template("measured", language).format(
            finding=wording.words(finding.concept, language),
            numbers="; ".join(_number(m, language) for m in finding.measurements),
        )
        text = wording.sentence(text, language)
        sentences.append(Sentence(text, finding.origin, (finding.id,), accepted_by=reader))
    return sentences


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


def _acceptor(finding: Finding, reader: Reader) -> Reader | None:
    return reader if isinstance(finding.origin, Model) else None


def _by_person(sentence: Sentence) -> bool:
    return isinstance(sentence.origin, Reader)
