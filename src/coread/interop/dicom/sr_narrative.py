"""DICOM Structured Reports: the text of a report as a Basic Diagnostic Imaging Report (TID 2000).

One container a section, under the headings that DICOM lists (CID 7001), in it one text a sentence (TID 2002)
with its observer, the template or file it comes from, its edits, and who accepted it.

References:
    DICOM PS3.16, TID 2000, 2002, 1001, 1204; CID 7000, 7001, 7002.
"""

from __future__ import annotations

from collections.abc import Mapping

from highdicom import sr
from pydicom.dataset import Dataset

from coread.core import CodedConcept
from coread.core.report import SectionName
from coread.errors import InputError
from coread.interop import codes
from coread.interop.authorship import Author
from coread.interop.dicom import sr_content as content
from coread.interop.dicom.sr_document import document, language, observers
from coread.interop.dicom.writing import Source, code
from coread.interop.report_content import ReportContent

# CID 7001 where it differs from what the sections of a measurement report are called
_HEADINGS: Mapping[SectionName, CodedConcept] = {**codes.SECTIONS, "findings": codes.FINDINGS_HEADING}


def write_narrative(
    report: ReportContent, source: Source, author: Author, *, series_number: int = 9202
) -> Dataset:
    """Return the text of a report as a Comprehensive SR of TID 2000.

    Args:
        report: What it states.
        source: An image of the study, for patient and study.
        author: Who, when, with what.
        series_number: Of the new series.

    Raises:
        InputError: The report has no text.
    """
    sections = [section for section in report.sections if section.sentences]
    if not sections:
        raise InputError("a report without text", "a section with a sentence", "write one first")
    root = sr.ContainerContentItem(name=code(codes.RADIOLOGY_REPORT_TITLE), template_id="2000")
    items = [
        *sr.LanguageOfContentItemAndDescendants(language(report)),
        *observers(report, author),
    ]
    items += [
        content.section(section, _HEADINGS[section.name], codes.ELEMENTS.get(section.name))
        for section in sections
    ]
    for addendum in report.addenda:
        part = content.container(codes.ADDENDUM_HEADING)
        content.add_observer(part, addendum.signature.reader)
        content.add_text(part, codes.ADDENDUM, addendum.text)
        items.append(part)
    limits = content.container(codes.LIMITS)
    content.add_text(limits, codes.LIMITS, codes.RESEARCH_USE.meaning)
    if source.simulated:
        content.add_text(limits, codes.SIMULATED, "SIMULATED: the images are simulated; no patient.")
    items.append(limits)
    root.ContentSequence = sr.ContentSequence(items, is_root=False)
    kind = "Report text" if report.signature is not None else "Report text, not signed"
    return document(sr.ComprehensiveSR, root, report, source, author, kind, series_number=series_number)
