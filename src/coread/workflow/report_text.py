"""A reader's own text, understood: structure, checks, and what the text already answers of guidelines.

Only the words, and the patient's age and sex, come in. Nothing of a model, of a stored object or of another
read can be in the answer, so that it may be asked for before the first read is committed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from coread.decision import guidelines
from coread.language import StructuredReport, TextFinding, structure
from coread.language.consistency import Check, check

_LOBES = ("upper lobe", "middle lobe", "lower lobe", "lingula", "lung")
_SUBSOLID = re.compile(r"\b(part|sub|semi|yarı|kısmen)[- ]?solid", re.I)
_GROUND_GLASS = re.compile(r"\b(ground[- ]glass|buzlu cam)", re.I)
_SOLID = re.compile(r"(?<!non-)(?<!non )\bsolid\b", re.I)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A guideline that fits a finding of the text, with the inputs that the text gives.

    Attributes:
        finding: Index in the report's findings.
        name: Of the guideline.
        inputs: What text, age and sex say; nothing is guessed.
        missing: Inputs that it still needs.
    """

    finding: int
    name: str
    inputs: Mapping[str, Any]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Area:
    """An area of the differential that the text is about, with what it says of the area's findings."""

    name: str
    findings: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextReading:
    """What was understood of a text.

    Attributes:
        report: Its structure, each statement with its words.
        checks: What does not fit.
        guidelines: Those that fit a finding of it.
        areas: Areas of the differential that it is about.
    """

    report: StructuredReport
    checks: tuple[Check, ...]
    guidelines: tuple[Suggestion, ...]
    areas: tuple[Area, ...]


def read_text(
    text: str,
    *,
    language: str = "auto",
    age: float | None = None,
    sex: Literal["F", "M"] | None = None,
) -> TextReading:
    """Return what is understood of a reader's text.

    Args:
        text: As dictated or pasted.
        language: ``auto``, or that of a rule pack.
        age: Of the patient, years.
        sex: Of the patient.

    Raises:
        InputError: There is no rule pack of this language.

    Examples:
        >>> found = read_text("6 mm solid nodule in the right upper lobe.", age=60)
        >>> found.guidelines[0].name, found.guidelines[0].missing
        ('fleischner', ('count',))
        >>> [(area.name, dict(area.findings)) for area in found.areas]
        [('lung_nodule', {'upper_lobe': True, 'smaller_than_8_mm': True, 'larger_than_20_mm': False})]
    """
    report = structure(text, language)
    return TextReading(report, check(report, sex=sex), suggestions(report, age), _areas(report))


def _seen(report: StructuredReport) -> list[tuple[int, TextFinding]]:
    return [
        (number, finding)
        for number, finding in enumerate(report.findings)
        if finding.subject == "patient" and finding.status in ("present", "uncertain")
    ]


def _sizes(report: StructuredReport, number: int) -> tuple[float, ...]:
    """Return the first size that measures a finding, in millimetres; empty where none does."""
    return next((m.values_mm for m in report.measurements if m.finding == number), ())


def _in_lung(finding: TextFinding) -> bool:
    return finding.finding == "nodule" and (
        finding.location is None or any(lobe in finding.location for lobe in _LOBES)
    )


def suggestions(report: StructuredReport, age: float | None) -> tuple[Suggestion, ...]:
    """Return the guidelines that fit findings of a text, each with the inputs that the text gives."""
    found = []
    for number, finding in _seen(report):
        name, inputs = _inputs(report, number, finding)
        if name is None:
            continue
        known = next(g for g in guidelines.systems() if g.name == name)
        if age is not None and "age" in known.inputs:
            inputs["age"] = age
        found.append(Suggestion(number, name, inputs, guidelines.apply(name, inputs).missing))
    return tuple(found)


def _inputs(report: StructuredReport, number: int, finding: TextFinding) -> tuple[str | None, dict[str, Any]]:
    """Return the guideline for a finding and its inputs; Fleischner takes the mean of two axes."""
    sizes = _sizes(report, number)
    largest = max(sizes, default=None)
    if _in_lung(finding):
        kind = _nodule_type(report, finding)
        inputs: dict[str, Any] = {} if kind is None else {"type": kind}
        if sizes:
            axes = sorted(sizes, reverse=True)[:2]
            inputs["mean_diameter_mm"] = sum(axes) / len(axes)
        return "fleischner", inputs
    if finding.finding == "thyroid nodule":
        return "acr_ti_rads", {} if largest is None else {"max_mm": largest}
    if finding.location == "liver" and finding.finding in ("lesion", "mass"):
        return "li_rads_ctmr", {} if largest is None else {"size_mm": largest}
    return None, {}


def _nodule_type(report: StructuredReport, finding: TextFinding) -> str | None:
    """Return the type that the sentence gives, None where it names none or several nodules."""
    if sum(f.sentence == finding.sentence and f.finding == "nodule" for f in report.findings) > 1:
        return None
    words = report.text[slice(*report.sentences[finding.sentence])]
    if _SUBSOLID.search(words):
        # what is called subsolid may be either kind
        return None if re.search(r"\bsub[- ]?solid", words, re.I) else "part_solid"
    kinds = [
        kind for kind, form in (("ground_glass", _GROUND_GLASS), ("solid", _SOLID)) if form.search(words)
    ]
    return kinds[0] if len(kinds) == 1 else None


# names of the text's findings that are findings of an area as they stand
_CHEST = {
    "cardiomegaly": "cardiomegaly",
    "pleural effusion": "pleural_effusion",
    "cavitary lesion": "cavity",
    "hilar enlargement": "hilar_mass",
    "atelectasis": "volume_loss",
}
_CHEST_OPACITY = frozenset(
    {"consolidation", "opacity", "ground-glass opacity", "pneumonia", "pulmonary edema", "infiltrate"}
)


def _areas(report: StructuredReport) -> tuple[Area, ...]:
    """Return the areas that the text is about; several nodules are left to the reader."""
    seen = _seen(report)
    found = []
    nodules = [(number, finding) for number, finding in seen if _in_lung(finding)]
    if nodules:
        found.append(Area("lung_nodule", _nodule(report, *nodules[0]) if len(nodules) == 1 else {}))
    if any(finding.finding in _CHEST_OPACITY for _, finding in seen):
        found.append(Area("chest_opacity", _stated(report, _CHEST)))
    if any(finding.finding == "white matter lesion" for _, finding in seen):
        found.append(Area("white_matter"))
    if any(finding.location == "breast" and finding.finding in ("mass", "lesion") for _, finding in seen):
        found.append(Area("breast_lesion"))
    if any(finding.finding in ("bone lesion", "meniscal tear", "acl tear") for _, finding in seen):
        found.append(Area("knee_bone"))
    return tuple(found)


def _nodule(report: StructuredReport, number: int, finding: TextFinding) -> dict[str, bool]:
    said: dict[str, bool] = {}
    if finding.location is not None and "lobe" in finding.location:
        said["upper_lobe"] = "upper lobe" in finding.location
    sizes = _sizes(report, number)
    if sizes:
        said["smaller_than_8_mm"] = max(sizes) < 8
        said["larger_than_20_mm"] = max(sizes) > 20
    return said


def _stated(report: StructuredReport, names: Mapping[str, str]) -> dict[str, bool]:
    """Return what the text says of an area's findings; what it calls uncertain is left out."""
    return {
        names[finding.finding]: finding.status == "present"
        for finding in report.findings
        if finding.subject == "patient"
        and finding.finding in names
        and finding.status in ("present", "absent")
    }
