"""Checks of a report before it is signed; each says what stands against what, none changes a word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from coread.language.values import StructuredReport, TextFinding, Words

CheckCode = Literal[
    "side_differs",
    "sex_mismatch",
    "not_in_findings",
    "unit_slip",
    "present_and_absent",
    "prior_size_differs",
    "category_differs",
    "follow_up_missing",
    "communication_missing",
]
_FEMALE = frozenset({"uterus", "ovary"})
_MALE = frozenset({"prostate", "testis"})
_FEMALE_FINDINGS = frozenset(
    {"ovarian torsion", "ovarian cyst", "fibroid", "ectopic pregnancy", "placental abruption"}
)
_MALE_FINDINGS = frozenset(
    {"prostatomegaly", "testicular torsion", "epididymitis", "hydrocele", "varicocele"}
)
# a stored prior and the words on it may differ by rounding and by one reading
_PRIOR_TOLERANCE_MM = 1.5
# a tenth, give or take what the finding itself may have changed
_SLIP = (0.06, 0.16)
_CATEGORY = re.compile(
    r"\b(lung|bi|ti|li|pi|cad)[- ]?rads\s*(?:category|score|v?\d{4})?\s*[:=]?\s*"
    r"(?:TR|LR-?)?\s*([0-6][abcmx]?|N)\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Check:
    """Something that does not fit.

    Attributes:
        code: What kind.
        text: One sentence for the reader.
        words: The places in the text.
    """

    code: CheckCode
    text: str
    words: tuple[Words, ...] = ()


def check(
    report: StructuredReport,
    *,
    sex: Literal["F", "M"] | None = None,
    prior_sizes_mm: Mapping[str, float] | None = None,
    computed_categories: Mapping[str, str] | None = None,
    follow_up: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[Check, ...]:
    """Return what does not fit in a report; an empty tuple where all does.

    Args:
        report: The structure of its text.
        sex: Of the patient.
        prior_sizes_mm: Largest diameter in the stored prior, by name of the finding.
        computed_categories: Category computed from the stated features, by system (``lung_rads``).
        follow_up: (least, most) months in which a guideline asks for an examination, by finding.

    Examples:
        >>> from coread.language import structure
        >>> text = "Findings:\\nLeft pleural effusion.\\n\\nImpression:\\nRight pleural effusion."
        >>> [c.code for c in check(structure(text))]
        ['side_differs']
    """
    stated = [f for f in report.findings if f.subject == "patient" and f.section != "indication"]
    found = [
        *_between_sections(stated),
        *_present_and_absent(stated),
        *_sex(stated, sex),
        *_sizes(report),
        *_priors(report, prior_sizes_mm or {}),
        *_categories(report, computed_categories or {}),
        *_follow_up(report, stated, follow_up or {}),
    ]
    if report.critical in (1, 2) and report.communication is None:
        urgent = [
            report.findings[i] for i, category in report.critical_findings if category == report.critical
        ]
        text = f"{urgent[0].finding} is urgent (category {report.critical}); no communication is documented"
        found.append(Check("communication_missing", text, (_name(urgent[0]),)))
    return tuple(found)


def _name(finding: TextFinding) -> Words:
    return finding.cues[0]


def _between_sections(stated: list[TextFinding]) -> list[Check]:
    """Compare the impression with the findings: other side, or a finding that the findings do not name."""
    body = [f for f in stated if f.section == "findings"]
    if not body:
        return []
    checks = []
    for finding in stated:
        if finding.section != "impression" or finding.status != "present":
            continue
        same = [f for f in body if f.finding == finding.finding and f.status != "absent"]
        if not same:
            if not any(f.finding == finding.finding for f in body):
                text = f"the impression names {finding.finding}, the findings do not"
                checks.append(Check("not_in_findings", text, (_name(finding),)))
            continue
        sides = {f.laterality for f in same}
        if finding.laterality in ("left", "right") and sides <= {"left", "right"} - {finding.laterality}:
            other = same[0].laterality
            text = f"{finding.finding}: {finding.laterality} in the impression, {other} in the findings"
            checks.append(Check("side_differs", text, (_name(finding), _name(same[0]))))
    return checks


def _present_and_absent(stated: list[TextFinding]) -> list[Check]:
    checks = []
    for number, finding in enumerate(stated):
        for other in stated[number + 1 :]:
            place = (finding.finding, finding.laterality, finding.location)
            if place != (other.finding, other.laterality, other.location):
                continue
            if {finding.status, other.status} == {"present", "absent"} and "resolved" not in (
                finding.change,
                other.change,
            ):
                text = f"{finding.finding} is stated as present and as absent"
                checks.append(Check("present_and_absent", text, (_name(finding), _name(other))))
                break
    return checks


def _sex(stated: list[TextFinding], sex: str | None) -> list[Check]:
    wrong = {"M": (_FEMALE, _FEMALE_FINDINGS, "male"), "F": (_MALE, _MALE_FINDINGS, "female")}.get(sex or "")
    if wrong is None:
        return []
    places, names, word = wrong
    return [
        Check("sex_mismatch", f"{f.finding} does not fit a {word} patient", (_name(f),))
        for f in stated
        if f.finding in names or (f.location is not None and f.location.split()[0] in places)
    ]


def _sizes(report: StructuredReport) -> list[Check]:
    """Look for a factor of ten between two sizes of one finding: mm and cm mixed up."""
    by_name: dict[str, list[tuple[float, Words]]] = {}
    for size in report.measurements:
        if size.of is None or not size.cues:
            continue
        by_name.setdefault(size.of, []).append((max(size.values_mm), size.cues[0]))
        if size.prior_mm:
            by_name[size.of].append(
                (max(size.prior_mm), size.cues[1] if len(size.cues) > 1 else size.cues[0])
            )
    checks = []
    for name, values in by_name.items():
        low, high = min(values, key=lambda v: v[0]), max(values, key=lambda v: v[0])
        if high[0] > 0 and _SLIP[0] <= low[0] / high[0] <= _SLIP[1]:
            text = f"{name}: {low[0]:g} mm and {high[0]:g} mm; mm and cm may be mixed up"
            checks.append(Check("unit_slip", text, (low[1], high[1])))
    return checks


def _priors(report: StructuredReport, stored: Mapping[str, float]) -> list[Check]:
    checks = []
    for size in report.measurements:
        if size.of is not None and size.of in stored and size.prior_mm:
            said, kept = max(size.prior_mm), stored[size.of]
            if abs(said - kept) > _PRIOR_TOLERANCE_MM:
                text = (
                    f"{size.of}: the text gives {said:g} mm as the prior size, the stored prior {kept:g} mm"
                )
                checks.append(Check("prior_size_differs", text, size.cues[:2]))
    return checks


def _categories(report: StructuredReport, computed: Mapping[str, str]) -> list[Check]:
    checks = []
    for match in _CATEGORY.finditer(report.text):
        system = f"{match.group(1).lower()}_rads"
        if system not in computed:
            continue
        said, expected = match.group(2).upper(), computed[system].upper()
        if said != expected.removeprefix("LR-").removeprefix("TR"):
            words = Words(match.group(), match.start(), match.end(), "category")
            text = f"the text says {match.group()}, the stated features make {computed[system]}"
            checks.append(Check("category_differs", text, (words,)))
    return checks


def _follow_up(
    report: StructuredReport, stated: list[TextFinding], asked: Mapping[str, tuple[float, float]]
) -> list[Check]:
    given = [r for r in report.recommendations if r.what != "none"]
    return [
        Check(
            "follow_up_missing",
            f"{name}: the guideline asks for one in {low:g} to {high:g} months, none is recommended",
            tuple(_name(f) for f in stated if f.finding == name)[:1],
        )
        for name, (low, high) in asked.items()
        if not given and any(f.finding == name and f.status == "present" for f in stated)
    ]


def documents(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    """Return checks as JSON objects."""
    return [
        {
            "code": c.code,
            "text": c.text,
            "words": [{"text": w.text, "start": w.start, "end": w.end} for w in c.words],
        }
        for c in checks
    ]
