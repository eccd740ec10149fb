"""Content items of structured reports: observers, numbers, decisions, text."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from coread.core import (
    CodedConcept,
    Finding,
    Imported,
    Measurement,
    Model,
    Origin,
    Probability,
    Reader,
    Section,
    Sentence,
    Template,
)
from coread.core.reading import Decision
from coread.interop import codes
from coread.interop.dicom.parametric_map import unit_concept
from coread.interop.dicom.seg import tracking_uid
from coread.interop.dicom.sr_places import Context
from coread.interop.dicom.writing import MANUFACTURER, code, device_uid, person_name

_OBSERVES = sr.RelationshipTypeValues.HAS_OBS_CONTEXT
_CONTAINS = sr.RelationshipTypeValues.CONTAINS
_PROPERTY = sr.RelationshipTypeValues.HAS_PROPERTIES
_MODIFIES = sr.RelationshipTypeValues.HAS_CONCEPT_MOD
# more source images than these are named by the evidence of the document alone
_MOST_SOURCES = 8
_FAMILY = dicom_codes.cid7162.ArtificialIntelligence


def person(reader: Reader) -> sr.PersonObserverIdentifyingAttributes:
    """Return the identification of a person (TID 1003)."""
    return sr.PersonObserverIdentifyingAttributes(name=person_name(reader.id), login_name=reader.id)


def algorithm(origin: Origin) -> sr.AlgorithmIdentification | None:
    """Return the algorithm identification of a model (TID 4019), None for a person."""
    if not isinstance(origin, Model):
        return None
    parameters = [f"mode={origin.mode}"]
    if origin.weights_digest:
        parameters.append(f"weights_sha256={origin.weights_digest}")
    return sr.AlgorithmIdentification(
        name=origin.name, version=origin.version, parameters=parameters, family=_FAMILY
    )


def tracking(study: str, identifier: str) -> sr.TrackingIdentifier:
    """Return tracking identifier and UID of a finding; the same in SEG and SR."""
    return sr.TrackingIdentifier(uid=tracking_uid(study, identifier), identifier=identifier)


def container(name: CodedConcept) -> Dataset:
    """Return an empty container that is contained in its parent."""
    item = sr.ContainerContentItem(name=code(name), relationship_type=_CONTAINS)
    item.ContentSequence = sr.ContentSequence()
    return item


def add_text(item: Dataset, name: CodedConcept, words: str) -> None:
    """Add words to a container."""
    _add(item, sr.TextContentItem(name=code(name), value=words, relationship_type=_CONTAINS))


def _add(item: Dataset, child: Dataset) -> None:
    if "ContentSequence" not in item:
        item.ContentSequence = sr.ContentSequence()
    item.ContentSequence.append(child)


def _insert(item: Dataset, children: list[Dataset]) -> None:
    if "ContentSequence" not in item:
        item.ContentSequence = sr.ContentSequence()
    for place, child in enumerate(children):
        item.ContentSequence.insert(place, child)


def add_observer(item: Dataset, origin: Origin) -> None:
    """Say in a container or a text who observed it: a person, or the device that is a model."""
    kind = dicom_codes.DCM.Device if isinstance(origin, Model) else dicom_codes.DCM.Person
    children: list[Dataset] = [
        sr.CodeContentItem(name=dicom_codes.DCM.ObserverType, value=kind, relationship_type=_OBSERVES)
    ]
    if isinstance(origin, Model):
        children.extend(
            sr.DeviceObserverIdentifyingAttributes(
                uid=device_uid(origin),
                name=origin.name,
                manufacturer_name=MANUFACTURER,
                model_name=f"{origin.name} {origin.version}",
            )
        )
    else:
        children.extend(person(origin))
    _insert(item, children)


def evaluations(finding: Finding) -> Iterator[tuple[CodedConcept, CodedConcept]]:
    """Yield the qualitative evaluations of a finding: status, change, subject."""
    yield codes.PRESENCE, codes.PRESENCES[finding.status]
    if finding.change is not None:
        yield codes.CHANGE, codes.CHANGES[finding.change]
    if finding.subject == "other":
        yield codes.SUBJECT, codes.OTHER_SUBJECT


def probability(value: Probability) -> sr.Measurement:
    """Return a model's probability as certainty of finding in percent, with interval and operating point."""
    percent = unit_concept("%")
    number = sr.Measurement(name=code(codes.CERTAINTY), value=_percent(value.value), unit=code(percent))
    item = number[0]
    if value.interval is not None:
        low, high = _percent(value.interval.low), _percent(value.interval.high)
        _add_interval(item, _percent(value.value), low, high, percent)
        _add_interval_words(item, value.interval.level, value.interval.method)
    _add(item, _number(codes.THRESHOLD, _percent(value.threshold), percent))
    _add(
        item,
        sr.CodeContentItem(
            name=code(codes.CALIBRATED),
            value=code(codes.YES if value.calibrated else codes.NO),
            relationship_type=_PROPERTY,
        ),
    )
    return number


def _percent(share: float) -> float:
    return float(Decimal(repr(float(share))) * 100)


def measurement(value: Measurement, context: Context) -> sr.Measurement:
    """Return a measurement with its unit in UCUM, interval, method, limits and source images."""
    unit = unit_concept(value.quantity.unit)
    sources = [s for s in value.source_instances if context.knows(s)]
    images = [
        sr.SourceImageForMeasurement(context.header(s).sop_class, s)
        for s in (sources if len(sources) <= _MOST_SOURCES else [])
    ]
    sites = None
    if value.site is not None:
        side = None if value.laterality is None else code(value.laterality)
        sites = [sr.FindingSite(code(value.site), laterality=side)]
    number = sr.Measurement(
        name=code(value.concept),
        value=value.quantity.value,
        unit=code(unit),
        finding_sites=sites,
        referenced_images=images or None,
    )
    item = number[0]
    if value.method:
        _add(
            item,
            sr.TextContentItem(
                name=code(codes.MEASUREMENT_METHOD), value=value.method, relationship_type=_MODIFIES
            ),
        )
    if value.interval is not None:
        _add_interval(item, value.quantity.value, value.interval.low, value.interval.high, unit)
        _add_interval_words(item, value.interval.level, value.interval.method)
    for flag in value.flags:
        _add(
            item,
            sr.TextContentItem(name=code(codes.LIMITATION), value=flag, relationship_type=_PROPERTY),
        )
    return number


def _number(name: CodedConcept, value: float, unit: CodedConcept) -> sr.NumContentItem:
    return sr.NumContentItem(name=code(name), value=value, unit=code(unit), relationship_type=_PROPERTY)


def _add_interval(item: Dataset, value: float, low: float, high: float, unit: CodedConcept) -> None:
    _add(item, _number(codes.UPPER_UNCERTAINTY, high - value, unit))
    _add(item, _number(codes.LOWER_UNCERTAINTY, value - low, unit))


def _add_interval_words(item: Dataset, level: float, method: str) -> None:
    words = f"{level * 100:g} %; {method}"
    _add(item, sr.TextContentItem(name=code(codes.INTERVAL), value=words, relationship_type=_PROPERTY))


def add_decision(item: Dataset, finding: Finding, decision: Decision, *, study: str) -> None:
    """Say what the reader decided on a model's finding, with reason and comment."""
    _add(
        item,
        sr.CodeContentItem(
            name=code(codes.DECISION),
            value=code(codes.DECISIONS[decision.choice]),
            relationship_type=_CONTAINS,
        ),
    )
    if decision.reason is not None:
        reason = codes.REASONS[decision.reason]
        _add(
            item, sr.CodeContentItem(name=code(codes.REASON), value=code(reason), relationship_type=_CONTAINS)
        )
    if decision.comment:
        add_text(item, codes.COMMENT, decision.comment)
    if decision.choice == "modify":
        before = sr.TextContentItem(
            name=code(codes.MODIFIED_FROM),
            value=f"{finding.concept.meaning} ({finding.status}), {finding.id}",
            relationship_type=_CONTAINS,
        )
        add_observer(before, finding.origin)
        _add(item, before)
        _add(
            item,
            sr.UIDRefContentItem(
                name=code(codes.MODIFIED_FROM),
                value=tracking_uid(study, finding.id),
                relationship_type=_CONTAINS,
            ),
        )


def rejected(finding: Finding, decision: Decision, context: Context) -> Dataset:
    """Return a model's finding that the reader rejected, as a container apart from the measurements."""
    item = container(codes.MODEL_FINDING)
    add_observer(item, finding.origin)
    for part in (*tracking(context.study, finding.id), *(algorithm(finding.origin) or ())):
        _add(item, part)
    _add(
        item,
        sr.CodeContentItem(
            name=code(codes.FINDING), value=code(finding.concept), relationship_type=_CONTAINS
        ),
    )
    for name, value in evaluations(finding):
        _add(item, sr.CodeContentItem(name=code(name), value=code(value), relationship_type=_CONTAINS))
    if finding.probability is not None:
        for number in probability(finding.probability):
            _add(item, number)
    add_decision(item, finding, decision, study=context.study)
    return item


def section(
    part: Section, heading: CodedConcept | None = None, element: CodedConcept | None = None
) -> Dataset:
    """Return a section of report text; each sentence says whose it is.

    Args:
        part: The section.
        heading: Its title; that of a measurement report unless given.
        element: What a sentence of it is; a sentence unless given.
    """
    item = container(heading or codes.SECTIONS[part.name])
    for sentence in part.sentences:
        _add(item, _sentence(sentence, element or codes.SENTENCE))
    return item


def _sentence(sentence: Sentence, name: CodedConcept) -> Dataset:
    """Return a sentence with its observer; of a template's or an imported one it is who accepted it."""
    text = sr.TextContentItem(name=code(name), value=sentence.text, relationship_type=_CONTAINS)
    match sentence.origin:
        case Reader() | Model() as author:
            add_observer(text, author)
        case Template(form, version):
            _note(text, codes.TEMPLATE, f"{form} {version}")
        case Imported(source):
            _note(text, codes.IMPORTED, source)
    if not isinstance(sentence.origin, Reader | Model) and sentence.accepted_by is not None:
        add_observer(text, sentence.accepted_by)
    for edit in sentence.edits:
        _note(text, codes.EDITED_FROM, edit.before)
    if sentence.accepted_by is not None:
        name_of = sr.PnameContentItem(
            name=code(codes.ACCEPTED_BY),
            value=person_name(sentence.accepted_by.id),
            relationship_type=_OBSERVES,
        )
        _add(text, name_of)
    return text


def _note(item: Dataset, name: CodedConcept, words: str) -> None:
    _add(item, sr.TextContentItem(name=code(name), value=words, relationship_type=_PROPERTY))
