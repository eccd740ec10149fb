"""Findings of a text as findings of the core, with codes, sizes and cues."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coread.core import CodedConcept, Cue, Finding, Measurement, Quantity, Reader, vocabulary
from coread.core.finding import Change
from coread.language.values import StructuredReport, TextFinding, TextMeasurement

# name in texts: concept of the core vocabulary whose name differs or that is wider
_CORE: Mapping[str, CodedConcept] = {
    "nodule": vocabulary.LUNG_NODULE,
    "mass": vocabulary.LUNG_MASS,
}
_CHEST = frozenset(
    {
        "upper lobe",
        "middle lobe",
        "lower lobe",
        "lingula",
        "apex",
        "lung base",
        "hilum",
        "upper zone",
        "middle zone",
        "lower zone",
        "retrocardiac",
    }
)
_SIDES: Mapping[str, CodedConcept] = {
    "left": vocabulary.LEFT,
    "right": vocabulary.RIGHT,
    "bilateral": vocabulary.BILATERAL,
}
_PLACES: Mapping[str, CodedConcept] = {
    "upper lobe": vocabulary.UPPER_LOBE,
    "middle lobe": vocabulary.MIDDLE_LOBE,
    "lower lobe": vocabulary.LOWER_LOBE,
    "breast": vocabulary.BREAST,
}
_CHANGES: Mapping[str, Change] = {
    "new": "new",
    "increased": "larger",
    "decreased": "smaller",
    "stable": "unchanged",
    "resolved": "resolved",
}


def concept(finding: TextFinding) -> CodedConcept:
    """Return the concept of a finding of a text.

    The core vocabulary where it has one, else the finding model of the same name (scheme ``OIFM``), else
    `vocabulary.OTHER_FINDING`. A nodule or mass is one of the lung only where the place says so.
    """
    if finding.finding in _CORE and finding.location in _CHEST:
        return _CORE[finding.finding]
    if finding.code is None:
        return vocabulary.OTHER_FINDING
    scheme, value = finding.code
    if scheme == "OIFM":
        return CodedConcept(value, scheme, finding.finding.capitalize())
    return vocabulary.finding(value, scheme)


def core_findings(
    report: StructuredReport, reader: Reader, *, identifier: Callable[[int], str] | None = None
) -> tuple[Finding, ...]:
    """Return the findings of a report as findings of the core.

    What stands in the section of the indication is left out: it asks, it does not state.

    Args:
        report: The structure of a text.
        reader: Who wrote it.
        identifier: Makes an identifier from the running number; ``text-0``, ``text-1``, ... by default.

    Examples:
        >>> from coread.language import structure
        >>> report = structure("12 mm nodule in the right upper lobe, previously 8 mm.")
        >>> (finding,) = core_findings(report, Reader("r1"))
        >>> finding.concept.meaning, str(finding.laterality), finding.change
        ('Lung nodule', 'Right', 'larger')
    """
    name = identifier or (lambda number: f"text-{number}")
    sizes: dict[int, list[TextMeasurement]] = {}
    for size in report.measurements:
        if size.finding is not None:
            sizes.setdefault(size.finding, []).append(size)
    return tuple(
        _finding(finding, sizes.get(number, ()), reader, name(number))
        for number, finding in enumerate(report.findings)
        if finding.section != "indication"
    )


def _finding(
    finding: TextFinding, sizes: list[TextMeasurement] | tuple[()], reader: Reader, identifier: str
) -> Finding:
    side = _SIDES.get(finding.laterality or "")
    place = _PLACES.get(finding.location or "")
    measurements = tuple(
        Measurement(
            vocabulary.DIAMETER,
            Quantity(value, "mm"),
            laterality=side,
            site=place,
            flags=("read from the report",),
        )
        for size in sizes
        for value in sorted(size.values_mm, reverse=True)
    )
    words = [finding.finding] if finding.code is None else []
    words += [word for word in (finding.severity, finding.location if place is None else None) if word]
    return Finding(
        identifier,
        concept(finding),
        finding.status,
        reader,
        subject=finding.subject,
        change=_CHANGES.get(finding.change or ""),
        place=place,
        laterality=side,
        measurements=measurements,
        comment=", ".join(words),
        cues=tuple(Cue(cue.text, cue.start, cue.end, cue.role) for cue in finding.cues),
    )
