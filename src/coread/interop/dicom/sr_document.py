"""What every structured report has: language, observers, evidence, and how final it is."""

from __future__ import annotations

from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom_codes
from pydicom.valuerep import DT

from coread.interop.authorship import Author, stable_uid
from coread.interop.dicom import sr_content as content
from coread.interop.dicom.writing import (
    MANUFACTURER,
    Source,
    contributing_equipment,
    finish,
    person_name,
    plain_header,
)
from coread.interop.report_content import ReportContent


def document(
    kind: type[sr.ComprehensiveSR] | type[sr.Comprehensive3DSR],
    root: Dataset,
    report: ReportContent,
    source: Source,
    author: Author,
    description: str,
    *,
    series_number: int,
) -> Dataset:
    """Return a structured report of a class around its content.

    A signed report is COMPLETE, VERIFIED and FINAL; another is PARTIAL, UNVERIFIED and PRELIMINARY.

    Args:
        kind: Class of the document.
        root: Root of the content tree.
        report: What it states.
        source: An image of the study, for patient and study.
        author: Who, when, with what.
        description: Of the new series.
        series_number: Of the new series.
    """
    signature = report.signature
    dataset: Dataset = kind(
        evidence=_evidence(report, source),
        content=root,
        series_instance_uid=author.new_uid(),
        series_number=series_number,
        sop_instance_uid=author.new_uid(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=signature is not None,
        is_final=signature is not None,
        is_verified=signature is not None,
        verifying_observer_name=person_name(signature.reader.id) if signature else None,
        verifying_organization=report.organization if signature else None,
        contributing_equipment=contributing_equipment(report.models),
        specific_character_set="ISO_IR 192",
        series_description=description,
        manufacturer_model_name=author.equipment.model,
        software_versions=author.equipment.version,
        device_serial_number=author.equipment.serial,
    )
    if signature is not None:
        signed_at = DT(signature.at.strftime("%Y%m%d%H%M%S%z"))
        dataset.VerifyingObserverSequence[0].VerificationDateTime = signed_at
    finish(dataset, source, author, description)
    return dataset


def language(report: ReportContent) -> sr.CodedConcept:
    """Return the language of a report (RFC 5646)."""
    name = {"en": "English", "tr": "Turkish"}.get(report.language, report.language)
    return sr.CodedConcept(report.language, "RFC5646", name)


def observers(report: ReportContent, author: Author) -> sr.ObservationContext:
    """Return who observes: the software, and the person who signed."""
    device = sr.ObserverContext(
        observer_type=dicom_codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=stable_uid("equipment", author.equipment.model, author.equipment.version),
            name=author.equipment.model,
            manufacturer_name=MANUFACTURER,
            model_name=f"{author.equipment.model} {author.equipment.version}",
            serial_number=author.equipment.serial,
        ),
    )
    person = None
    if report.signature is not None:
        person = sr.ObserverContext(
            observer_type=dicom_codes.DCM.Person,
            observer_identifying_attributes=content.person(report.signature.reader),
        )
    return sr.ObservationContext(observer_person_context=person, observer_device_context=device)


def _evidence(report: ReportContent, source: Source) -> list[Dataset]:
    known: dict[str, Dataset] = {}
    first = plain_header(source.dataset)
    for header in report.headers:
        item = Dataset()
        item.update(first)
        item.SOPClassUID, item.SOPInstanceUID = header.sop_class, header.instance
        item.StudyInstanceUID, item.SeriesInstanceUID = header.study, header.series
        known.setdefault(header.instance, item)
    for made in report.objects:
        item = Dataset()
        item.SOPClassUID, item.SOPInstanceUID = made.sop_class, made.sop_instance
        item.StudyInstanceUID, item.SeriesInstanceUID = source.dataset.StudyInstanceUID, made.series
        known.setdefault(made.sop_instance, item)
    return list(known.values())
