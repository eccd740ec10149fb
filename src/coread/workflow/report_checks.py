"""Checks of a whole report before it is signed, against the patient, the signed priors and guidelines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any, Literal

from coread.core import Report
from coread.core.reading import CheckDismissed
from coread.decision import guidelines
from coread.language import StructuredReport, TextFinding, structure
from coread.language.consistency import AskedFollowUp, Check, StoredSize, check, stated_categories
from coread.workflow import report_text, wording
from coread.workflow.category_checks import category_checks

_UNKNOWN: Mapping[str, tuple[str, ...]] = {
    "type": ("solid", "part_solid", "ground_glass"),
    "count": ("single", "multiple"),
    "risk": ("low", "high"),
    "nodule": ("solid", "part_solid", "ground_glass"),
}
_LUNG_RADS = ("1", "2", "3", "4A", "4B", "4X")
_LUNG_RADS_CHANGES = {
    "new": ("new",),
    "increased": ("growing", "slowly_growing"),
    "stable": ("stable",),
    "decreased": ("decreased",),
    "resolved": ("resolved",),
}


@dataclass(frozen=True, slots=True)
class CheckedReport:
    """The checks of a report, and what the reader made of them.

    Attributes:
        text: The report's words; the places of the checks belong to it.
        checks: What does not fit.
        dismissed: The reader's answer, by key of the check.
    """

    text: str
    checks: tuple[Check, ...]
    dismissed: Mapping[str, CheckDismissed]

    @property
    def open(self) -> tuple[Check, ...]:
        """Checks that wait for a correction of the words or an answer."""
        return tuple(c for c in self.checks if c.key not in self.dismissed)


def check_report(
    report: Report,
    *,
    modalities: Collection[str],
    age: float | None = None,
    sex: Literal["F", "M"] | None = None,
    priors: Sequence[Report] = (),
) -> tuple[str, tuple[Check, ...]]:
    """Return the words of a report and what does not fit in them.

    Args:
        report: A draft or a signed one.
        modalities: Of its study.
        age: Of the patient, years.
        sex: Of the patient.
        priors: Signed reports of earlier studies, the latest first.
    """
    text = report_words(report)
    found = structure(text, report.language)
    checks = check(
        found,
        sex=sex,
        prior_sizes=_stored_sizes(priors),
        categories=_categories(found, first=not priors),
        follow_up=_follow_up(found, age) if "CT" in modalities else {},
    )
    return text, (*checks, *category_checks(found))


def report_words(report: Report) -> str:
    """Return a report as plain text: every section with its title, a sentence a line."""
    return "\n\n".join(
        "\n".join(
            (f"{wording.title(s.name, report.language)}:", *(sentence.text for sentence in s.sentences))
        )
        for s in report.sections
        if s.sentences
    )


def _stored_sizes(priors: Sequence[Report]) -> tuple[StoredSize, ...]:
    """Return the sizes of each finding in the latest prior that measured it."""
    sizes: dict[str, tuple[StoredSize, ...]] = {}
    for prior in priors:
        found: dict[str, list[StoredSize]] = {}
        for size in _sizes_in(report_words(prior), prior.language):
            found.setdefault(size.finding, []).append(size)
        for name, those in found.items():
            sizes.setdefault(name, tuple(those))
    return tuple(size for those in sizes.values() for size in those)


@lru_cache(maxsize=512)
def _sizes_in(text: str, language: str) -> tuple[StoredSize, ...]:
    report = structure(text, language)
    found = []
    for size in report.measurements:
        if size.of is not None:
            of = None if size.finding is None else report.findings[size.finding]
            side, place = (None, None) if of is None else (of.laterality, of.location)
            found.append(StoredSize(size.of, max(size.values_mm), side, place))
    return tuple(found)


def _filled(name: str, inputs: Mapping[str, Any]) -> Iterator[guidelines.GuidelineAnswer]:
    """Yield what a guideline says for every value of the inputs that it misses; nothing is guessed."""
    asked = [inputs]
    while asked:
        given = asked.pop()
        answer = guidelines.apply(name, given)
        open_inputs = [one for one in answer.missing if one in _UNKNOWN]
        if not answer.missing:
            yield answer
        elif len(open_inputs) == len(answer.missing):
            values = product(*(_UNKNOWN[one] for one in open_inputs))
            asked += [{**given, **dict(zip(open_inputs, chosen, strict=True))} for chosen in values]
        else:
            yield answer  # a size is missing: there is no answer


def _nodules(report: StructuredReport) -> Iterator[tuple[TextFinding, dict[str, Any]]]:
    for suggestion in report_text.suggestions(report, None):
        finding = report.findings[suggestion.finding]
        if suggestion.name == "fleischner" and finding.section != "indication":
            yield finding, dict(suggestion.inputs)


def _follow_up(report: StructuredReport, age: float | None) -> dict[str, AskedFollowUp]:
    """Return what Fleischner 2017 asks for whatever the text leaves open; screening follows Lung-RADS."""
    if any(system == "lung_rads" for system, _, _ in stated_categories(report.text)):
        return {}
    spans = []
    for finding, inputs in _nodules(report):
        if finding.status != "present" or finding.change in ("stable", "decreased", "resolved"):
            continue
        answers = list(_filled("fleischner", inputs if age is None else {**inputs, "age": age}))
        months = [answer.result.get("first_months") for answer in answers]
        if all(months) and all(answer.result["action"] != "optional_ct" for answer in answers):
            spans.append((min(m[0] for m in months if m), max(m[1] for m in months if m)))
    if not spans:
        return {}
    soonest = min(spans)
    return {"nodule": AskedFollowUp("Fleischner 2017", *soonest)}


def _categories(report: StructuredReport, *, first: bool) -> dict[str, set[str]]:
    """Return the categories that the stated features allow, for the systems that the text names."""
    if not any(system == "lung_rads" for system, _, _ in stated_categories(report.text)):
        return {}
    allowed: list[set[str]] = []
    for finding, inputs in _nodules(report):
        size = inputs.get("mean_diameter_mm")
        if size is None:
            return {}
        kind = inputs.get("type")
        given: dict[str, Any] = {"mean_mm": size, **({} if kind is None else {"nodule": kind})}
        if kind in (None, "part_solid"):
            return {}  # the solid part is needed, and the text may give it or not
        found: set[str] = set()
        for more in _lung_rads_exams(finding, first=first):
            found |= {str(a.result.get("category")) for a in _filled("lung_rads", {**given, **more})}
        allowed.append(found - {"None"})
    if not allowed or not all(allowed):
        return {}
    lowest = max(min(map(_LUNG_RADS.index, found)) for found in allowed)
    together = {c for found in allowed for c in found if _LUNG_RADS.index(c) >= lowest}
    # suspicious features make a 4X of 3 and 4, and no text is read for all of them
    return {"lung_rads": together | ({"4X"} if together & {"3", "4A", "4B"} else set())}


def _lung_rads_exams(finding: TextFinding, *, first: bool) -> Iterator[dict[str, Any]]:
    """Yield what may be known of the examination: a first one, or any later one that the text allows."""
    changes = _LUNG_RADS_CHANGES.get(finding.change or "", ())
    if first and not changes:
        yield {"exam": "baseline"}
        return
    known = changes or tuple(c for many in _LUNG_RADS_CHANGES.values() for c in many)
    for change in known:
        for prior in ("2", "3", "4A", "4B"):
            yield {"exam": "followup", "change": change, "prior_category": prior}
    if not changes:
        yield {"exam": "baseline"}
