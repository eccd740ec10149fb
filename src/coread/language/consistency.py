"""Checks of a report before it is signed; each says what stands against what, none changes a word."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from coread.language.packs import pack
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
# denied of one organ they may be present in another, and the text may name the organ a line before
_OF_ANY_ORGAN = frozenset(
    {"mass", "lesion", "cyst", "calcification", "fluid collection", "stone", "hemorrhage", "fracture"}
)
# a denial with such words leaves room for others of the kind
_NARROWED = re.compile(
    r"\b(other|others|further|additional|another|new|suspicious|significant|large|larger|acute|discrete|definite"
    r"|enlarg\w+|measur\w+|başka|ek|ilave|yeni|şüpheli|anlamlı|büyük|akut|belirgin)\b|[>≥]",
    re.IGNORECASE,
)
_CATEGORY = re.compile(
    r"\b(lung|bi|ti|li|pi|cad)[- ]?rads\s*(?:category|score|v?\d{4})?\s*[:=]?\s*"
    r"(?:TR|LR-?)?\s*([0-6][abcmx]?|N)\b",
    re.I,
)


# what stands against what, English and Turkish; the gaps are the facts of a check
_SAYS: Mapping[CheckCode, tuple[str, str]] = MappingProxyType(
    {
        "side_differs": (
            "{finding}: {here} in the impression, {there} in the findings",
            "{finding}: sonuçta {here}, bulgularda {there}",
        ),
        "sex_mismatch": (
            "{finding} does not fit a {sex} patient",
            "{finding}, cinsiyeti {sex} olan hastaya uymuyor",
        ),
        "not_in_findings": (
            "the impression names {finding}, the findings do not",
            "sonuçta {finding} var, bulgularda yok",
        ),
        "unit_slip": (
            "{finding}: {low} mm and {high} mm; mm and cm may be mixed up",
            "{finding}: {low} mm ve {high} mm; mm ve cm karışmış olabilir",
        ),
        "present_and_absent": (
            "{finding} is stated as present and as absent",
            "{finding} hem var hem yok deniyor",
        ),
        "prior_size_differs": (
            "{finding}: the text gives {said} mm as the prior size, the stored prior {kept} mm",
            "{finding}: metin önceki boyut için {said} mm diyor, kayıttaki önceki rapor {kept} mm",
        ),
        "category_differs": (
            "the text says {said}, the stated features make {computed}",
            "metin {said} diyor, yazılan özellikler {computed} veriyor",
        ),
        "follow_up_missing": (
            "{finding}: {guideline} asks for an examination in {low} to {high} months, none is recommended",
            "{finding}: {guideline} {low}–{high} ay içinde inceleme istiyor, önerilmemiş",
        ),
        "communication_missing": (
            "{finding} is urgent (category {category}); no communication is documented",
            "{finding} acil (kategori {category}); bildirim belgelenmemiş",
        ),
    }
)
# what was read, and the row of the guideline that fired, where a check names them
_BECAUSE = (" ({features}: {row})", " ({features}: {row_tr})")
_SEXES = {"male": "erkek", "female": "kadın"}


@dataclass(frozen=True, slots=True)
class Check:
    """Something that does not fit.

    Attributes:
        code: What kind.
        facts: What stands against what, by name, in plain English.
        words: The places in the text.
    """

    code: CheckCode
    facts: Mapping[str, str]
    words: tuple[Words, ...] = ()

    @property
    def text(self) -> str:
        """One sentence for the reader, in English."""
        return self.said("en")

    @property
    def key(self) -> str:
        """What tells this check from others: its kind, its facts and the words it stands on."""
        parts = [
            self.code,
            *(f"{k}={v}" for k, v in sorted(self.facts.items())),
            *(w.text for w in self.words),
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]

    def said(self, language: str) -> str:
        """Return the sentence in English or, with the names of findings and sides, in Turkish."""
        says, english = _SAYS[self.code], language != "tr"
        sentence = says[0 if english else 1] + (
            _BECAUSE[0 if english else 1] if "features" in self.facts else ""
        )
        if english:
            return sentence.format(**self.facts)
        rules = pack("tr")
        words: dict[str, Mapping[str, str]] = {
            "finding": rules.terms,
            "here": rules.sides,
            "there": rules.sides,
            "sex": _SEXES,
        }
        facts = {name: words.get(name, {}).get(value, value) for name, value in self.facts.items()}
        return sentence.format(**facts)


@dataclass(frozen=True, slots=True)
class StoredSize:
    """A size that a stored prior report gives: the largest diameter of a finding."""

    finding: str
    largest_mm: float
    laterality: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class AskedFollowUp:
    """The months in which a guideline asks for an examination."""

    guideline: str
    least_months: float
    most_months: float


def check(
    report: StructuredReport,
    *,
    sex: Literal["F", "M"] | None = None,
    prior_sizes: Sequence[StoredSize] = (),
    categories: Mapping[str, Collection[str]] | None = None,
    follow_up: Mapping[str, AskedFollowUp] | None = None,
) -> tuple[Check, ...]:
    """Return what does not fit in a report; an empty tuple where all does.

    Args:
        report: The structure of its text.
        sex: Of the patient.
        prior_sizes: What the stored prior report measured.
        categories: Categories that the stated features allow, by system (``lung_rads``).
        follow_up: What a guideline asks for, by name of the finding.

    Examples:
        >>> from coread.language import structure
        >>> text = "Findings:\\nLeft pleural effusion.\\n\\nImpression:\\nRight pleural effusion."
        >>> [c.code for c in check(structure(text))]
        ['side_differs']
    """
    stated = [f for f in report.findings if f.subject == "patient" and f.section != "indication"]
    found = [
        *_between_sections(stated),
        *_present_and_absent(report, stated),
        *_sex(stated, sex),
        *_sizes(report),
        *_priors(report, prior_sizes),
        *_categories(report, categories or {}),
        *_follow_up(report, stated, follow_up or {}),
    ]
    if report.critical in (1, 2) and report.communication is None:
        urgent = [
            report.findings[i] for i, category in report.critical_findings if category == report.critical
        ]
        facts = {"finding": urgent[0].finding, "category": str(report.critical)}
        found.append(Check("communication_missing", facts, (_name(urgent[0]),)))
    return tuple(found)


def stated_categories(text: str) -> tuple[tuple[str, str, Words], ...]:
    """Return the assessment categories that a text states: system, category, words.

    Examples:
        >>> [(system, category) for system, category, _ in stated_categories("Lung-RADS 4A.")]
        [('lung_rads', '4A')]
    """
    return tuple(
        (
            f"{match.group(1).lower()}_rads",
            match.group(2).upper(),
            Words(match.group(), match.start(), match.end(), "category"),
        )
        for match in _CATEGORY.finditer(text)
    )


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
                checks.append(Check("not_in_findings", {"finding": finding.finding}, (_name(finding),)))
            continue
        sides = {f.laterality for f in same}
        if finding.laterality in ("left", "right") and sides <= {"left", "right"} - {finding.laterality}:
            facts = {
                "finding": finding.finding,
                "here": finding.laterality,
                "there": str(same[0].laterality),
            }
            checks.append(Check("side_differs", facts, (_name(finding), _name(same[0]))))
    return checks


def _present_and_absent(report: StructuredReport, stated: list[TextFinding]) -> list[Check]:
    """Find what is present and denied in one place, or denied altogether."""
    checks = []
    told: set[tuple[int, int]] = set()  # what the impression says again is one check
    for number, finding in enumerate(stated):
        for other in stated[number + 1 :]:
            if other.finding != finding.finding or "resolved" in (finding.change, other.change):
                continue
            if {finding.status, other.status} != {"present", "absent"}:
                continue
            present, absent = (finding, other) if finding.status == "present" else (other, finding)
            same = (present.laterality, present.location) == (absent.laterality, absent.location)
            if (same or _denies(report, absent, present)) and (absent.start, absent.end) not in told:
                told.add((absent.start, absent.end))
                facts = {"finding": finding.finding}
                checks.append(Check("present_and_absent", facts, (_name(finding), _name(other))))
                break
    return checks


def _denies(report: StructuredReport, absent: TextFinding, present: TextFinding) -> bool:
    """Return whether a denial without a place, and without words that narrow it, speaks of what is there."""
    if absent.finding in _OF_ANY_ORGAN or absent.change or absent.severity or absent.qualifiers:
        return False
    pairs = ((absent.laterality, present.laterality), (absent.location, present.location))
    if any(denied is not None and denied != place for denied, place in pairs):
        return False
    return _NARROWED.search(report.text[slice(*report.sentences[absent.sentence])]) is None


def _sex(stated: list[TextFinding], sex: str | None) -> list[Check]:
    wrong = {"M": (_FEMALE, _FEMALE_FINDINGS, "male"), "F": (_MALE, _MALE_FINDINGS, "female")}.get(sex or "")
    if wrong is None:
        return []
    places, names, word = wrong
    return [
        Check("sex_mismatch", {"finding": f.finding, "sex": word}, (_name(f),))
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
            facts = {"finding": name, "low": f"{low[0]:g}", "high": f"{high[0]:g}"}
            checks.append(Check("unit_slip", facts, (low[1], high[1])))
    return checks


def _priors(report: StructuredReport, stored: Sequence[StoredSize]) -> list[Check]:
    """Compare prior sizes in the text with what the stored prior gives for the same place."""
    checks = []
    for size in report.measurements:
        if size.of is None or not size.prior_mm:
            continue
        finding = None if size.finding is None else report.findings[size.finding]
        kept = [s.largest_mm for s in stored if s.finding == size.of and _same_place(s, finding)]
        said = max(size.prior_mm)
        if kept and all(abs(said - one) > _PRIOR_TOLERANCE_MM for one in kept):
            nearest = min(kept, key=lambda one: abs(said - one))
            facts = {"finding": size.of, "said": f"{said:g}", "kept": f"{nearest:g}"}
            checks.append(Check("prior_size_differs", facts, size.cues[:2]))
    return checks


def _same_place(stored: StoredSize, finding: TextFinding | None) -> bool:
    """Return whether two sizes may be of one thing: neither side nor place contradicts."""
    if finding is None:
        return True
    pairs = ((stored.laterality, finding.laterality), (stored.location, finding.location))
    return all(a is None or b is None or a == b for a, b in pairs)


def _categories(report: StructuredReport, allowed: Mapping[str, Collection[str]]) -> list[Check]:
    checks = []
    for system, said, words in stated_categories(report.text):
        possible = allowed.get(system, ())
        plain = {c.upper().removeprefix("LR-").removeprefix("TR") for c in possible}
        if plain and said not in plain:
            facts = {"said": words.text, "computed": " / ".join(sorted(possible))}
            checks.append(Check("category_differs", facts, (words,)))
    return checks


def _follow_up(
    report: StructuredReport, stated: list[TextFinding], asked: Mapping[str, AskedFollowUp]
) -> list[Check]:
    given = [r for r in report.recommendations if r.what != "none"]
    return [
        Check(
            "follow_up_missing",
            {
                "finding": name,
                "guideline": one.guideline,
                "low": f"{one.least_months:g}",
                "high": f"{one.most_months:g}",
            },
            tuple(_name(f) for f in stated if f.finding == name)[:1],
        )
        for name, one in asked.items()
        if not given and any(f.finding == name and f.status == "present" for f in stated)
    ]


def documents(checks: tuple[Check, ...], language: str = "en") -> list[dict[str, Any]]:
    """Return checks as JSON objects, said in a language."""
    return [
        {
            "key": c.key,
            "code": c.code,
            "text": c.said(language),
            "words": [{"text": w.text, "start": w.start, "end": w.end} for w in c.words],
        }
        for c in checks
    ]
