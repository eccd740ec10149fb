"""Report text from elsewhere as files: structured reports, FHIR and documents of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coread.core import Dictation, Reader
from coread.interop.report_content import ReportContent
from coread.storage import Library
from coread.workflow.export import content_files, new_uids, study_context
from coread.workflow.export_objects import Objects
from coread.workflow.report_sentences import said

FORMATS = ("sr", "fhir", "html", "pdf", "txt")


def export_text(
    library: Library,
    study: str,
    dictation: Dictation,
    *,
    source: str,
    formats: Sequence[str] = FORMATS,
) -> Mapping[str, bytes]:
    """Return report text as files by name: preliminary, imported, signed by nobody here.

    Args:
        library: Where the study is.
        study: Study instance UID.
        dictation: The text.
        source: Where it comes from, as every sentence says.
        formats: Some of `FORMATS`.

    Raises:
        InputError: The library has no such study.
    """
    found = said(dictation, Reader("not stated"), library.now(), source=source)
    context = study_context(library, study)
    content = ReportContent(
        headers=context.headers,
        findings=found.findings,
        measurements=tuple((m, Reader("not stated")) for m in found.measurements),
        sections=found.sections,
        language=found.language,
    )
    return content_files(Objects(context, library.now(), new_uids(library)), (), content, formats)
