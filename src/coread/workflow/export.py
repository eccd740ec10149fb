"""Out of a study: structured report, segmentations, maps, FHIR bundle, HTML and PDF.

`export_signed` makes the files of a signed read, `export_results` those of results that nobody has read;
the latter say so in every format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from coread.core import Card, CodedConcept, Image, Measurement, Model, Origin, Report, Volume
from coread.core.reading import Decision
from coread.errors import InputError
from coread.interop.authorship import NewUid, stable_uid
from coread.interop.fhir import write_bundle
from coread.interop.report_content import ReportContent
from coread.interop.report_documents import KeyImage, describe, key_image, write_html, write_pdf, write_text
from coread.storage import Library
from coread.workflow import wording
from coread.workflow.export_objects import Objects, ResultOf, StudyContext
from coread.workflow.process import load_study
from coread.workflow.runner import Outcome

FORMATS = ("sr", "seg", "map", "fhir", "html", "pdf", "txt")
# the report as a document, inside the FHIR bundle
_FORMS = {"report.pdf": "application/pdf", "report.txt": "text/plain;charset=utf-8"}
ON_DEMAND = ("rtstruct", "stl", "glb")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignedBundle:
    """A signed read.

    Attributes:
        study: The study that was read.
        report: Signed.
        results: The results that the reader has seen.
        decisions: What the reader made of each of the models' findings.
        new_uid: Gives new objects their UIDs.
        at: When it is exported, with offset.
        silence: (model, words) of models that gave no result.
        organization: Where the reader works.
    """

    study: StudyContext
    report: Report
    results: tuple[ResultOf, ...]
    decisions: tuple[Decision, ...]
    new_uid: NewUid
    at: datetime
    silence: tuple[tuple[str, str], ...] = ()
    organization: str = "not stated"


def check_formats(formats: Sequence[str]) -> None:
    """Check names of formats.

    Raises:
        InputError: One is not known.
    """
    unknown = [name for name in formats if name not in (*FORMATS, *ON_DEMAND)]
    if unknown:
        raise InputError(
            f"no format {', '.join(unknown)}",
            f"any of {', '.join((*FORMATS, *ON_DEMAND))}",
            "leave it out or correct it",
        )


def study_context(library: Library, study: str) -> StudyContext:
    """Return a study of a library as the exports need it; only what was acquired.

    Raises:
        InputError: The library has no such study, or nothing acquired of it.
    """
    row = library.instances.study(study, scope="acquired")
    if row is None:
        raise InputError(f"study {study} has no images in the library")
    stored = [
        instance
        for series in library.instances.series(study, scope="acquired")
        for instance in library.instances.instances(series.uid, scope="acquired")
    ]
    digests = {instance.header.instance: instance.digest for instance in stored}
    return StudyContext(
        headers=tuple(s.header for s in stored if s.header.role == "image"),
        parts=tuple(load_study(library, row, None).parts.values()),
        read=lambda uid: library.objects.get(digests[uid]),
    )


def export_signed(bundle: SignedBundle, formats: Sequence[str] = FORMATS) -> Mapping[str, bytes]:
    """Return the files of a signed read by name, with ``exports.json`` that lists them.

    A DICOM object that can't be made, for what the source's header says, is left out and named in the list.

    Raises:
        InputError: The report is not signed, or a format is not known.
    """
    report = bundle.report
    if report.signature is None:
        raise InputError(
            "the report is not signed", "a signature", "export results that nobody has read instead"
        )
    models = {f.id: f for r in bundle.results for f in r.result.findings}
    content = ReportContent(
        headers=bundle.study.headers,
        findings=report.findings,
        measurements=tuple((m, _origin_of(m, bundle)) for m in report.measurements),
        decisions=tuple((models[d.finding], d) for d in bundle.decisions if d.finding in models),
        sections=report.sections,
        addenda=report.addenda,
        language=report.language,
        signature=report.signature,
        organization=bundle.organization,
        cards=_cards(bundle.results),
        provenance=tuple(r.provenance for r in bundle.results),
        silence=bundle.silence,
    )
    return content_files(Objects(bundle.study, bundle.at, bundle.new_uid), bundle.results, content, formats)


def export_results(
    library: Library, study: str, outcomes: Sequence[Outcome], *, formats: Sequence[str] = FORMATS
) -> dict[str, bytes]:
    """Return the files of results that nobody has read by name: preliminary, partial, unverified.

    Raises:
        InputError: The library has no such study, or a format is not known.
    """
    results = tuple(
        ResultOf(provenance=o.provenance, result=o.result, card=o.card)
        for o in outcomes
        if o.result is not None
    )
    notes = [
        (r.card.name if r.card else r.provenance.analyzer, note.text)
        for r in results
        for note in r.result.notes
        if note.kind in ("gate", "warning")
    ]
    failed = [(o.card.name, o.failure) for o in outcomes if o.failure is not None]
    context = study_context(library, study)
    content = ReportContent(
        headers=context.headers,
        findings=tuple(f for r in results for f in r.result.findings),
        measurements=tuple((m, r.origin) for r in results for m in r.result.measurements),
        cards=_cards(results),
        provenance=tuple(r.provenance for r in results),
        silence=(*notes, *failed),
    )
    return content_files(Objects(context, library.now(), new_uids(library)), results, content, formats)


def new_uids(library: Library) -> NewUid:
    """Return the source of new UIDs that belongs to a library."""
    return lambda: stable_uid("object", library.identifier())


def _cards(results: Sequence[ResultOf]) -> dict[str, Card]:
    cards: dict[str, Card] = {}
    for result in results:
        if result.card is not None:
            origins = (f.origin for f in result.result.findings)
            names = {o.name for o in origins if isinstance(o, Model)}
            cards.update(dict.fromkeys((*names, result.provenance.analyzer), result.card))
    return cards


def _origin_of(measurement: Measurement, bundle: SignedBundle) -> Origin:
    """Return the model that a stated number comes from, or the reader."""
    for result in bundle.results:
        for other in result.result.measurements:
            if _measured(other) == _measured(measurement):
                return result.origin
    assert bundle.report.signature is not None
    return bundle.report.signature.reader


def _measured(one: Measurement) -> tuple[object, ...]:
    return one.concept, one.quantity, one.site, one.laterality, one.method


def content_files(
    objects: Objects, results: Sequence[ResultOf], content: ReportContent, formats: Sequence[str]
) -> dict[str, bytes]:
    """Return the files of a report by name; objects come first, since the report refers to them.

    Args:
        objects: Makes the DICOM objects.
        results: Whose masks and maps become objects.
        content: What the report states.
        formats: Which.

    Raises:
        InputError: A format is not known.
    """
    check_formats(formats)
    if "seg" in formats:
        objects.segmentations(content.findings, results)
    if "map" in formats:
        objects.maps(results)
    if "rtstruct" in formats:
        objects.structures(content.findings, results)
    if "stl" in formats or "glb" in formats:
        objects.surfaces(content.findings, results, formats)
    content = replace(content, segments=objects.segments, objects=tuple(objects.references))
    author = objects.author(content.signature.reader if content.signature else None)
    if "sr" in formats:
        objects.report(content, author)
    files, listed = dict(objects.files), list(objects.listed)

    def add(kind: str, name: str, document: bytes) -> None:
        files[name] = document
        listed.append({"name": name, "kind": kind})

    if not {"html", "pdf", "txt"}.isdisjoint(formats):
        words = _words(content.language)
        view = describe(content, author, pictures=_pictures(objects.study, content), words=words)
        if "html" in formats:
            add("html", "report.html", write_html(view))
        if "pdf" in formats:
            add("pdf", "report.pdf", write_pdf(view))
        if "txt" in formats:
            add("txt", "report.txt", write_text(view))
    if "fhir" in formats:
        forms = {name: (kind, files[name]) for name, kind in _FORMS.items() if name in files}
        add("fhir", "report.fhir.json", write_bundle(content, author, forms=forms))
    document = {
        "schema": "coread-exports",
        "version": 1,
        "study": content.headers[0].study,
        "status": content.status,
        "simulated": content.simulated,
        "software": f"coread {objects.equipment.version}",
        "time": objects.at.isoformat(),
        "files": listed,
        "problems": objects.problems,
    }
    files["exports.json"] = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()
    return files


def _words(language: str) -> Callable[[CodedConcept], str]:
    name: wording.Language = "tr" if language == "tr" else "en"
    return lambda concept: wording.sentence(wording.words(concept, name), name)


def _pictures(study: StudyContext, content: ReportContent) -> tuple[KeyImage, ...]:
    made = []
    for finding in content.findings:
        pictures = (key_image(p, finding) for p in study.parts if isinstance(p, Volume | Image))
        made += [next((picture for picture in pictures if picture is not None), None)]
    return tuple(picture for picture in made if picture is not None)
