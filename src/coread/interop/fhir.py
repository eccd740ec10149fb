"""FHIR R4 bundle of a report: patient, study, report, observations, devices, people, provenance.

Status of report and observations is ``preliminary`` while nobody has read the study, ``final`` once signed;
a report with an addendum is ``appended``. Findings of models that the reader rejected are observations
``entered-in-error``, with the reason, and are not among the results of the report.

References:
    HL7 FHIR R4B; IHE Interactive Multimedia Report (category ``RAD``); US Core (category ``LP29684-5``);
    HL7 "DICOM SR to FHIR Resource Mapping IG" for codes and identifiers.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import ValidationError

from coread.core import CodedConcept, Finding, InstanceHeader, Measurement, Model, Origin, Provenance, Reader
from coread.core.reading import Decision
from coread.errors import DataError
from coread.interop import codes
from coread.interop.authorship import Author, stable_uuid
from coread.interop.report_content import ReportContent

Resource = dict[str, Any]
_SYSTEMS: Mapping[str, str] = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "RADLEX": "http://radlex.org",
    "UCUM": "http://unitsofmeasure.org",
}
_MOST_ENTITIES = 200
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_CATEGORY = {"coding": [{"system": f"{_TERMINOLOGY}/observation-category", "code": "imaging"}]}
_REPORT_CATEGORIES = [
    {"coding": [{"system": f"{_TERMINOLOGY}/v2-0074", "code": "RAD", "display": "Radiology"}]},
    {"coding": [{"system": "http://loinc.org", "code": "LP29684-5", "display": "Radiology"}]},
]
_TEST_DATA = [
    {"system": f"{_TERMINOLOGY}/v3-ActReason", "code": "HTEST", "display": "test health data"},
    {"system": "urn:coread:codes", "code": "simulated", "display": "SIMULATED"},
]
_SEXES = {"F": "female", "M": "male", "O": "other"}


def write_bundle(
    report: ReportContent,
    author: Author,
    *,
    forms: Mapping[str, tuple[str, bytes]] | None = None,
) -> bytes:
    """Return the bundle of a report as JSON in UTF-8.

    Resources keep their identifiers when a study is exported again.

    Args:
        report: What it states.
        author: When, with what.
        forms: The report as documents: name to media type and content.

    Raises:
        DataError: The bundle is not valid FHIR R4B.
    """
    document = _Bundle(report, author).document(forms or {})
    check_bundle(document)
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def check_bundle(document: Mapping[str, Any]) -> None:
    """Check the structure of a bundle and of every resource in it against FHIR R4B.

    Raises:
        DataError: It does not fit; the message names the fields, not their content.
    """
    from fhir.resources.R4B.bundle import Bundle

    try:
        Bundle.model_validate(dict(document))
    except (ValidationError, ValueError, TypeError) as error:
        places = ""
        if isinstance(error, ValidationError):
            places = ", ".join(sorted({".".join(map(str, e["loc"])) or e["type"] for e in error.errors()}))
        raise DataError(
            f"the bundle is not FHIR R4B: {places or type(error).__name__}", "valid resources"
        ) from error


def coding(concept: CodedConcept) -> dict[str, str]:
    """Return a concept as a FHIR Coding.

    Examples:
        >>> coding(CodedConcept("7771000", "SCT", "Left"))["system"]
        'http://snomed.info/sct'
    """
    system = _SYSTEMS.get(concept.scheme, f"urn:coread:codes:{concept.scheme.lower()}")
    return {"system": system, "code": concept.value, "display": concept.meaning}


def _concept(concept: CodedConcept) -> dict[str, Any]:
    return {"coding": [coding(concept)], "text": concept.meaning}


def _quantity(value: float, unit: str) -> dict[str, Any]:
    code = {"HU": "[hnsf'U]"}.get(unit, unit)
    return {"value": value, "unit": unit, "system": _SYSTEMS["UCUM"], "code": code}


def _oid(uid: str) -> dict[str, str]:
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}


def _instant(at: datetime) -> str:
    return at.isoformat()


def _without_empty(value: Any) -> Any:
    """Return a resource without what is empty: FHIR has no empty texts, lists and objects."""
    if isinstance(value, dict):
        kept = {name: _without_empty(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [item for item in map(_without_empty, value) if item not in (None, "", [], {})]
    return value.strip() if isinstance(value, str) else value


class _Bundle:
    """Collects the resources of one report."""

    def __init__(self, report: ReportContent, author: Author) -> None:
        self.report, self.author = report, author
        self.study = report.headers[0].study
        self.entries: dict[str, Resource] = {}

    def document(self, forms: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
        report, first = self.report, self.report.headers[0]
        self.patient = self._add("Patient", "patient", _patient(first))
        self.imaging = self._add("ImagingStudy", "study", self._imaging_study())
        self.devices = {model: self._device(model) for model in report.models}
        self.software = self._add(
            "Device",
            "software",
            _device(self.author.equipment.model, self.author.equipment.version, "Reporting software"),
        )
        results, made_by = [], dict[Model, list[str]]()
        for finding in report.findings:
            reference = self._finding(finding, report.decision_on(finding))
            results.append(reference)
            self._made(made_by, finding.origin, reference)
        for number, (measurement, origin) in enumerate(report.measurements, 1):
            reference = self._measurement(measurement, origin, f"number/{number}")
            results.append(reference)
            self._made(made_by, origin, reference)
        for finding, decision in report.rejected:
            reference = self._finding(finding, (finding, decision), rejected=True)
            self._made(made_by, finding.origin, reference)
        report_at = self._add("DiagnosticReport", "report", self._report(results, forms))
        for model, references in made_by.items():
            self._add("Provenance", f"provenance/{model.name}", self._made_by_model(model, references))
        self._add("Provenance", "provenance/report", self._made_by_reader(report_at))
        return {
            "resourceType": "Bundle",
            "id": str(stable_uuid("fhir", self.study, "bundle")),
            **self._meta(),
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{self.study}"},
            "type": "collection",
            "timestamp": _instant(self.author.at),
            "entry": [{"fullUrl": url, "resource": resource} for url, resource in self.entries.items()],
        }

    @staticmethod
    def _made(made_by: dict[Model, list[str]], origin: Origin, reference: str) -> None:
        if isinstance(origin, Model):
            made_by.setdefault(origin, []).append(reference)

    def _add(self, kind: str, key: str, fields: Resource) -> str:
        identifier = str(stable_uuid("fhir", self.study, kind, key))
        url = f"urn:uuid:{identifier}"
        self.entries[url] = {
            "resourceType": kind,
            "id": identifier,
            **self._meta(),
            **_without_empty(fields),
        }
        return url

    def _meta(self) -> Resource:
        return {"meta": {"tag": list(_TEST_DATA)}} if self.report.simulated else {}

    def _imaging_study(self) -> Resource:
        series: dict[str, list[InstanceHeader]] = {}
        for header in self.report.headers:
            series.setdefault(header.series, []).append(header)
        first = self.report.headers[0]
        modalities = dict.fromkeys(header.modality for header in self.report.headers)
        identifiers: list[Resource] = [_oid(first.study)]
        if first.accession:
            kind = {"coding": [{"system": f"{_TERMINOLOGY}/v2-0203", "code": "ACSN"}]}
            identifiers.append({"type": kind, "value": first.accession})
        return {
            "identifier": identifiers,
            "status": "available",
            "modality": [_modality(name) for name in modalities],
            "subject": {"reference": self.patient},
            "started": _when(first.study_time),
            "description": first.study_description,
            "numberOfSeries": len(series),
            "numberOfInstances": len(self.report.headers),
            "series": [_series(uid, headers) for uid, headers in series.items()],
        }

    def _device(self, model: Model) -> str:
        card = self.report.cards.get(model.name)
        notes = [codes.RESEARCH_USE.meaning, f"mode {model.mode}"]
        if card is not None:
            notes += [f"evidence level {card.evidence_level} of 6 (van Leeuwen 2021)", card.intended_use]
            notes.append(f"Not for: {card.not_for}")
        fields = _device(model.name, model.version, "Artificial intelligence model")
        if model.weights_digest:
            fields["identifier"].append(
                {"system": "urn:coread:weights:sha256", "value": model.weights_digest}
            )
        fields["note"] = [{"text": text} for text in notes]
        return self._add("Device", f"model/{model.name}/{model.version}", fields)

    def _reader(self, reader: Reader) -> str:
        fields = {"identifier": [{"system": "urn:coread:reader", "value": reader.id}]}
        return self._add("Practitioner", f"reader/{reader.id}", fields)

    def _origin(self, origin: Origin) -> Resource:
        if isinstance(origin, Model):
            return {"device": {"reference": self.devices[origin]}}
        return {"performer": [{"reference": self._reader(origin)}]}

    def _status(self) -> str:
        return "preliminary" if self.report.signature is None else "final"

    def _finding(
        self, finding: Finding, decided: tuple[Finding, Decision] | None, *, rejected: bool = False
    ) -> str:
        members = [
            self._measurement(m, finding.origin, f"finding/{finding.id}/{n}", withdrawn=rejected)
            for n, m in enumerate(finding.measurements, 1)
        ]
        components = list(_components(finding))
        if decided is not None:
            components += _decision_components(*decided)
        return self._add(
            "Observation",
            f"finding/{finding.id}",
            {
                "identifier": [{"system": "urn:coread:finding", "value": finding.id}],
                "status": "entered-in-error" if rejected else self._status(),
                "category": [_CATEGORY],
                "code": _concept(finding.concept),
                "subject": {"reference": self.patient},
                "effectiveDateTime": _when(self.report.headers[0].study_time),
                "issued": _instant(self.author.at) if self.author.at.utcoffset() is not None else None,
                **self._origin(finding.origin),
                "valueCodeableConcept": _concept(codes.PRESENCES[finding.status]),
                "bodySite": None if finding.place is None else _concept(finding.place),
                "note": [{"text": finding.comment}] if finding.comment else [],
                "derivedFrom": [{"reference": self.imaging}],
                "hasMember": [{"reference": member} for member in members],
                "component": components,
            },
        )

    def _measurement(
        self, measurement: Measurement, origin: Origin, key: str, *, withdrawn: bool = False
    ) -> str:
        components: list[Resource] = []
        unit = measurement.quantity.unit
        if measurement.interval is not None:
            interval = measurement.interval
            words = f"{interval.level * 100:g} %; {interval.method}"
            low, high = _quantity(interval.low, unit), _quantity(interval.high, unit)
            components.append(
                {
                    "code": {"coding": [coding(codes.INTERVAL)], "text": words},
                    "valueRange": {"low": low, "high": high},
                }
            )
        if measurement.laterality is not None:
            components.append(_coded(codes.LATERALITY, measurement.laterality))
        return self._add(
            "Observation",
            key,
            {
                "status": "entered-in-error" if withdrawn else self._status(),
                "category": [_CATEGORY],
                "code": _concept(measurement.concept),
                "subject": {"reference": self.patient},
                "effectiveDateTime": _when(self.report.headers[0].study_time),
                **self._origin(origin),
                "valueQuantity": _quantity(measurement.quantity.value, unit),
                "bodySite": None if measurement.site is None else _concept(measurement.site),
                "method": {"text": measurement.method} if measurement.method else None,
                "note": [{"text": flag} for flag in measurement.flags],
                "derivedFrom": [{"reference": self.imaging}],
                "component": components,
            },
        )

    def _report(self, results: list[str], forms: Mapping[str, tuple[str, bytes]]) -> Resource:
        report = self.report
        signature = report.signature
        reader = None if signature is None else [{"reference": self._reader(signature.reader)}]
        procedures = dict.fromkeys(codes.procedure(header.modality) for header in report.headers)
        impression = [
            sentence.text
            for section in report.sections
            if section.name == "impression"
            for sentence in section.sentences
        ]
        addenda = [addendum.text for addendum in report.addenda]
        return {
            "identifier": [{"system": "urn:coread:report", "value": self.study}],
            "status": report.status,
            "category": _REPORT_CATEGORIES,
            "code": {
                "coding": [coding(codes.RADIOLOGY_REPORT), *(coding(p) for p in procedures)],
                "text": codes.RADIOLOGY_REPORT.meaning,
            },
            "language": report.language,
            "subject": {"reference": self.patient},
            "effectiveDateTime": _when(report.headers[0].study_time),
            "issued": _instant(self.author.at) if signature is None else _instant(signature.at),
            "performer": reader,
            "resultsInterpreter": reader,
            "imagingStudy": [{"reference": self.imaging}],
            "result": [{"reference": reference} for reference in results],
            "conclusion": " ".join([*impression, *addenda]) or None,
            "presentedForm": [
                {
                    "contentType": media,
                    "language": report.language,
                    "title": name,
                    "data": base64.b64encode(content).decode(),
                }
                for name, (media, content) in forms.items()
            ],
        }

    def _made_by_model(self, model: Model, references: list[str]) -> Resource:
        stamp = next((p for p in self.report.provenance if p.analyzer == model.name), None)
        kind = {"coding": [{"system": f"{_TERMINOLOGY}/provenance-participant-type", "code": "assembler"}]}
        entities: list[Resource] = [{"role": "source", "what": {"reference": self.imaging}}]
        fields: Resource = {"recorded": _instant(self.author.at)}
        if stamp is not None:
            fields["occurredPeriod"] = {"start": _instant(stamp.start), "end": _instant(stamp.end)}
            fields["policy"] = [f"urn:coread:software:{stamp.software.replace(' ', ':')}"]
            entities += _input_entities(stamp)
        return {
            "target": [{"reference": reference} for reference in references],
            **fields,
            "agent": [{"type": kind, "who": {"reference": self.devices[model]}}],
            "entity": entities,
        }

    def _made_by_reader(self, report_at: str) -> Resource:
        system = f"{_TERMINOLOGY}/provenance-participant-type"
        agents: list[Resource] = [
            {
                "type": {"coding": [{"system": system, "code": "assembler"}]},
                "who": {"reference": self.software},
            }
        ]
        if self.report.signature is not None:
            reader = self._reader(self.report.signature.reader)
            for role in ("author", "legal"):
                kind = {"coding": [{"system": system, "code": role}]}
                agents.append({"type": kind, "who": {"reference": reader}})
        return {
            "target": [{"reference": report_at}],
            "recorded": _instant(self.author.at),
            "agent": agents,
            "entity": [{"role": "source", "what": {"reference": self.imaging}}],
        }


def _patient(header: InstanceHeader) -> Resource:
    family, given, *_ = [*header.patient_name.split("^"), "", ""]
    name = {"family": family, "given": given.split()}
    return {
        "identifier": [{"value": header.patient_id}] if header.patient_id else [],
        "name": [{key: value for key, value in name.items() if value}] if header.patient_name else [],
        "gender": None if header.sex is None else _SEXES[header.sex],
        "birthDate": None if header.birth_date is None else header.birth_date.isoformat(),
    }


def _device(name: str, version: str, kind: str) -> Resource:
    return {
        "identifier": [{"system": "urn:coread:model", "value": f"{name}/{version}"}],
        "status": "active",
        "manufacturer": "CoRead",
        "deviceName": [{"name": name, "type": "model-name"}],
        "version": [{"value": version}],
        "type": {"text": kind},
    }


def _modality(name: str) -> dict[str, str]:
    return {"system": _SYSTEMS["DCM"], "code": name}


def _series(uid: str, headers: list[InstanceHeader]) -> Resource:
    first = headers[0]
    fields: Resource = {
        "uid": uid,
        "number": first.series_number,
        "modality": _modality(first.modality),
        "description": first.series_description or None,
        "numberOfInstances": len(headers),
        "instance": [
            {
                "uid": header.instance,
                "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{header.sop_class}"},
                **({} if header.instance_number is None else {"number": header.instance_number}),
            }
            for header in headers
        ],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _when(at: datetime | None) -> str | None:
    """Return a FHIR dateTime; a time without its zone is not one, so only the day remains."""
    if at is None:
        return None
    return _instant(at) if at.utcoffset() is not None else date.isoformat(at.date())


def _coded(name: CodedConcept, value: CodedConcept) -> Resource:
    return {"code": _concept(name), "valueCodeableConcept": _concept(value)}


def _components(finding: Finding) -> list[Resource]:
    found = []
    if finding.laterality is not None:
        found.append(_coded(codes.LATERALITY, finding.laterality))
    if finding.change is not None:
        found.append(_coded(codes.CHANGE, codes.CHANGES[finding.change]))
    if finding.subject == "other":
        found.append(_coded(codes.SUBJECT, codes.OTHER_SUBJECT))
    probability = finding.probability
    if probability is not None:
        share = _quantity(probability.value, "1")
        found.append({"code": _concept(codes.CERTAINTY), "valueQuantity": share})
        found.append(
            {"code": _concept(codes.THRESHOLD), "valueQuantity": _quantity(probability.threshold, "1")}
        )
        found.append({"code": _concept(codes.CALIBRATED), "valueBoolean": probability.calibrated})
        if probability.interval is not None:
            interval = probability.interval
            words = f"{interval.level * 100:g} %; {interval.method}"
            span = {"low": _quantity(interval.low, "1"), "high": _quantity(interval.high, "1")}
            found.append({"code": {"coding": [coding(codes.INTERVAL)], "text": words}, "valueRange": span})
    return found


def _decision_components(before: Finding, decision: Decision) -> list[Resource]:
    found = [_coded(codes.DECISION, codes.DECISIONS[decision.choice])]
    if decision.reason is not None:
        found.append(_coded(codes.REASON, codes.REASONS[decision.reason]))
    if decision.comment:
        found.append({"code": _concept(codes.COMMENT), "valueString": decision.comment})
    if decision.choice == "modify":
        found.append(_coded(codes.MODIFIED_FROM, before.concept))
    return found


def _input_entities(stamp: Provenance) -> list[Resource]:
    return [
        {"role": "source", "what": {"identifier": _oid(uid), "display": f"sha256:{digest}"}}
        for uid, digest in list(stamp.inputs.items())[:_MOST_ENTITIES]
    ]
