"""DICOM Structured Reports: findings, measurements and decisions as TID 1500 Measurement Reports.

One measurement group a finding, with its tracking identifier and UID, its observer (a person, or the device
that is the model), the model's algorithm identification (TID 4019), site, laterality, status, probability,
measurements and the reader's decision. Findings of models that the reader rejected are kept apart from
the measurement groups, so that nobody takes one for a result.

References:
    DICOM PS3.16, TID 1500, 1410, 1411, 1501, 4019; IHE Radiology, AI Results (AIR).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import sr
from pydicom.dataset import Dataset

from coread.core import (
    Finding,
    Measurement,
    Model,
    Origin,
)
from coread.core.reading import Decision
from coread.interop import codes
from coread.interop.authorship import Author, stable_uid
from coread.interop.dicom import sr_content as content
from coread.interop.dicom import sr_places as places
from coread.interop.dicom.sr_document import document, language, observers
from coread.interop.dicom.sr_places import Context
from coread.interop.dicom.writing import Source, code
from coread.interop.report_content import ReportContent

Group = (
    sr.MeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)


_DESCRIPTIONS = {
    "report": "Report",
    "text": "Report text, not signed",
    "results": "Results of models, not read by a person",
}


def write_report(
    report: ReportContent, source: Source, author: Author, *, series_number: int = 9201
) -> Dataset:
    """Return a Comprehensive 3D SR of TID 1500.

    A signed report is COMPLETE, VERIFIED and FINAL; results that nobody has read are PARTIAL, UNVERIFIED
    and PRELIMINARY.

    Args:
        report: What it states.
        source: An image of the study, for patient and study.
        author: Who, when, with what.
        series_number: Of the new series.

    Raises:
        InputError: A region lies on an instance that is not of the study.
    """
    study = str(source.dataset.StudyInstanceUID)
    context = Context(study=study, headers=report.headers, segments=report.segments)
    made = sr.MeasurementReport(
        observation_context=observers(report, author),
        procedure_reported=_procedures(report),
        imaging_measurements=_groups(report, context),
        language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(language(report)),
    )
    root = made[0]
    for container in _more(report, context, source):
        root.ContentSequence.append(container)
    return document(
        sr.Comprehensive3DSR,
        root,
        report,
        source,
        author,
        _DESCRIPTIONS[report.kind],
        series_number=series_number,
    )


def _procedures(report: ReportContent) -> list[sr.CodedConcept]:
    found = dict.fromkeys(codes.procedure(h.modality) for h in report.headers)
    return [code(procedure) for procedure in found]


def _groups(report: ReportContent, context: Context) -> list[Group]:
    groups: list[Group] = []
    for finding in report.findings:
        groups.extend(_finding_groups(finding, context, report.decision_on(finding)))
    for number, (measurement, origin) in enumerate(report.measurements, 1):
        groups.append(_measurement_group(number, measurement, origin, context))
    if not groups:
        groups.append(_nothing(report))
    return groups


def _nothing(report: ReportContent) -> Group:
    """Return the group of a study without findings: TID 1500 asks for one, and it says so."""
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=stable_uid("no finding", report.headers[0].study), identifier="no finding"
        ),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(code(codes.FINDING), code(codes.NO_FINDING)),
        ],
    )
    if report.signature is not None:
        content.add_observer(group[0], report.signature.reader)
    return group


def _finding_groups(
    finding: Finding, context: Context, decision: tuple[Finding, Decision] | None
) -> list[Group]:
    evaluations = [
        sr.QualitativeEvaluation(code(name), code(value)) for name, value in content.evaluations(finding)
    ]
    sites = None
    if finding.place is not None:
        side = None if finding.laterality is None else code(finding.laterality)
        sites = [sr.FindingSite(code(finding.place), laterality=side)]
    elif finding.laterality is not None:
        evaluations.append(sr.QualitativeEvaluation(code(codes.LATERALITY), code(finding.laterality)))
    numbers = [content.measurement(m, context) for m in finding.measurements]
    if finding.probability is not None:
        numbers.insert(0, content.probability(finding.probability))
    kind, where = places.place_of(finding.region, context, finding.id)
    group: Group = _GROUPS[kind](
        tracking_identifier=content.tracking(context.study, finding.id),
        finding_type=code(finding.concept),
        algorithm_id=content.algorithm(finding.origin),
        finding_sites=sites,
        measurements=numbers or None,
        qualitative_evaluations=evaluations,
        **where,
    )
    item = group[0]
    content.add_observer(item, finding.origin)
    if finding.comment:
        content.add_text(item, codes.COMMENT, finding.comment)
    if decision is not None:
        content.add_decision(item, *decision, study=context.study)
    groups: list[Group] = [group]
    outline = places.outline_of(finding, context)
    if outline is not None:
        # the same thing once more as one outline: viewers that show no segment show this
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=content.tracking(context.study, finding.id),
                referenced_region=outline,
                finding_type=code(finding.concept),
                algorithm_id=content.algorithm(finding.origin),
                finding_sites=sites,
            )
        )
        content.add_observer(groups[-1][0], finding.origin)
    return groups


def _measurement_group(number: int, measurement: Measurement, origin: Origin, context: Context) -> Group:
    name = origin.name if isinstance(origin, Model) else "reader"
    identifier = f"{name}/{measurement.concept.value}/{number}"
    sites = None
    if measurement.site is not None:
        side = None if measurement.laterality is None else code(measurement.laterality)
        sites = [sr.FindingSite(code(measurement.site), laterality=side)]
    kind, where = places.place_of(measurement.region, context, identifier)
    group: Group = _GROUPS[kind](
        tracking_identifier=content.tracking(context.study, identifier),
        algorithm_id=content.algorithm(origin),
        finding_sites=sites,
        measurements=[content.measurement(measurement, context)],
        **where,
    )
    content.add_observer(group[0], origin)
    return group


_GROUPS: dict[places.GroupKind, Any] = {
    "none": sr.MeasurementsAndQualitativeEvaluations,
    "planar": sr.PlanarROIMeasurementsAndQualitativeEvaluations,
    "volumetric": sr.VolumetricROIMeasurementsAndQualitativeEvaluations,
}


def _more(report: ReportContent, context: Context, source: Source) -> Sequence[Dataset]:
    """Return what follows the measurements: limits of use, rejected findings, text, addenda."""
    limits = content.container(codes.LIMITS)
    content.add_text(limits, codes.LIMITS, codes.RESEARCH_USE.meaning)
    if source.simulated:
        content.add_text(limits, codes.SIMULATED, "SIMULATED: the images are simulated; no patient.")
    containers = [limits]
    if report.rejected:
        apart = content.container(codes.NOT_ACCEPTED)
        for finding, decision in report.rejected:
            apart.ContentSequence.append(content.rejected(finding, decision, context))
        containers.append(apart)
    containers.extend(content.section(section) for section in report.sections if section.sentences)
    for addendum in report.addenda:
        part = content.container(codes.ADDENDUM)
        content.add_observer(part, addendum.signature.reader)
        content.add_text(part, codes.ADDENDUM, addendum.text)
        containers.append(part)
    return containers
