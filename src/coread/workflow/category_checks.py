"""Stated categories against those that the stated features allow; what is left open is tried in full.

A category is said to differ only where it disagrees with every completion of what is open. Where it isn't
sure which lesion words belong to, or what they mean, nothing is said. The words are data:
`category_words.toml`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import chain, combinations, product
from typing import Any

from coread.decision import guidelines
from coread.language import StructuredReport, Words, assert_phrase
from coread.language.consistency import Check
from coread.language.tokens import lower
from coread.workflow import wording

_TO = r"\s*(?:[-–]|to|and|ile|ila|ve)\s*"
_PERCENT = rf"(?:%\s*(\d{{1,3}})(?:{_TO}%?(\d{{1,3}}))?|(\d{{1,3}})(?:\s*%?{_TO}(\d{{1,3}}))?\s*%)"
_SINGLE = ("composition", "echogenicity", "shape", "margin")  # one value each; foci add up
# between a denial and what it denies: another clause may begin at any of these
_APART = re.compile(r"[,;:.]|\b(?:with|but|and has|shows?|present|var|mevcut|izlendi)\b")
_RANGE = re.compile(r"\s*(?:[-–/]\s*(?:tr-?|lr-?)?[0-9ab](?!\w)|(?:or|to|veya|ile|ya da)\s+(?:tr-?|lr-?)?\d)")


@dataclass(frozen=True, slots=True)
class _Stated:
    """A category that the text states."""

    category: str
    sentence: int
    words: Words


def category_checks(report: StructuredReport) -> tuple[Check, ...]:
    """Return where ACR TI-RADS, LI-RADS v2018 and CAD-RADS 2.0 categories differ from the stated features.

    Args:
        report: The structure of its text.

    Examples:
        >>> from coread.language import structure
        >>> [c.facts["computed"] for c in category_checks(structure("70% stenosis of the LAD. CAD-RADS 2."))]
        ['4A / 4B']
    """
    return tuple(
        found
        for system in ("acr_ti_rads", "li_rads_ctmr", "cad_rads")
        for stated, scope in _scopes(report, system)
        for found in _compared(report, system, stated, scope)
    )


@lru_cache(maxsize=1)
def _tables() -> Mapping[str, Any]:
    content = resources.files("coread.workflow").joinpath("category_words.toml").read_text("utf-8")
    return tomllib.loads(content)


@lru_cache(maxsize=256)
def _pattern(words: str | tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words if isinstance(words, str) else '|'.join(words)})(?!\w)")


def _has(text: str, words: Iterable[str]) -> bool:
    return _pattern(tuple(words)).search(text) is not None


def _folded(report: StructuredReport, sentence: int) -> str:
    """Return a sentence in lower case, each character in its place, with i for the dotless i."""
    words = report.text[slice(*report.sentences[sentence])]
    return lower(words, turkish=report.language == "tr").replace("ı", "i")


def _status(report: StructuredReport, sentence: int, start: int, end: int) -> tuple[str, int, int]:
    """Return what a sentence says of its words, and the place of these and of the cue that denies them.

    A denial counts only where it can't be of something else.
    """
    words = report.text[slice(*report.sentences[sentence])]
    said = assert_phrase(words, start, end, language=report.language)
    if said.status != "absent":
        follows = re.match(r"\s*(?:[:=(]|\babsent\b|\bnone\b|\byok\b)", _folded(report, sentence)[end:])
        return ("unclear" if follows and said.status == "present" else said.status), start, end
    cue = next((c for c in said.cues if c.role == "negated"), None)
    if cue is None:
        return "unclear", start, end
    low, high = (cue.end, start) if cue.end <= start else (end, cue.start)
    apart = _APART.search(_folded(report, sentence)[low:high])
    return ("unclear" if apart else "absent"), min(cue.start, start), max(cue.end, end)


def _section(report: StructuredReport, sentence: int) -> str:
    start = report.sentences[sentence][0]
    return next((s.name for s in report.sections if s.start <= start < s.end), "")


def _of_today(report: StructuredReport) -> list[int]:
    """Return the sentences that tell what is seen: an indication or a comparison tells what was known."""
    told = ("body", "findings", "impression", "addenda")
    return [number for number in range(len(report.sentences)) if _section(report, number) in told]


def _scopes(report: StructuredReport, system: str) -> Iterator[tuple[_Stated, list[int]]]:
    """Yield stated categories with the sentences that can only be about the same lesion.

    One category in a text is about all of it. Several are told apart where each stands at the end of what is
    said of its lesion.
    """
    tables = _tables()
    stated: list[_Stated] = []
    everything = _of_today(report)
    for number in everything:
        start, text = report.sentences[number][0], _folded(report, number)
        for match in re.finditer(tables[system]["stated"] + r"(?!\w)(?!\s*mm)", text):
            if _has(text, tables["hedge"]["words"]) or _RANGE.match(text[match.end() :]):
                return
            a, b = start + match.start(), start + match.end()
            words = Words(report.text[a:b], a, b, "category")
            stated.append(_Stated(match.group(1).upper(), number, words))
    if len({one.category for one in stated}) <= 1:
        yield from ((one, everything) for one in stated[:1])
        return
    scopes = []
    begin = 0
    for one in stated:
        scopes.append((one, [n for n in everything if begin <= n <= one.sentence]))
        begin = one.sentence + 1
    names = tables[system].get("lesion")
    if names is None or len({_section(report, one.sentence) for one in stated}) > 1:
        return
    named = [[n for n in scope if _has(_folded(report, n), [names])] for _, scope in scopes]
    if all(named) and not any(_has(_folded(report, n), [names]) for n in everything if n >= begin):
        yield from scopes


def _compared(report: StructuredReport, system: str, stated: _Stated, scope: list[int]) -> Iterator[Check]:
    """Yield the difference between a stated category and every completion of the features in its scope."""
    table = _tables()[system]
    read = _stenoses(report) if system == "cad_rads" else _lesion(report, system, stated.sentence, scope)
    if read is None:
        return
    asked, cues = read
    answers = [guidelines.apply(system, inputs) for inputs in asked]
    key = "level" if system == "acr_ti_rads" else "category"
    computed = sorted({str(answer.result[key]) for answer in answers})
    said = table["category"].format(stated.category)
    if not cues or any(_agrees(system, said, one) for one in computed):
        return
    # of the rows that give a category the one that assumes least
    rows = [
        min((a.row for a in answers if a.result[key] == one), key=lambda row: (len(row), row))
        for one in computed
    ]
    rows = [row.split(", TR")[0] for row in rows]
    facts = {
        "said": stated.words.text,
        "computed": " / ".join(computed),
        "features": ", ".join(cue.text for cue in cues),
        "row": " / ".join(rows),
        "row_tr": " / ".join(wording.advice(row, "tr") for row in rows),
    }
    yield Check("category_differs", facts, (stated.words, *cues))


def _agrees(system: str, said: str, computed: str) -> bool:
    """Return whether a stated category may stand for a computed one.

    Ancillary features and doubt move an observation of LI-RADS by one, though never up to LR-5; CAD-RADS 4
    may be said without its letter.
    """
    if system == "li_rads_ctmr":
        said_step, step = int(said[-1]), int(computed[-1])
        return said_step == step or (said_step < 5 and abs(said_step - step) == 1)
    return computed == said or (said == "4" and computed.startswith("4"))


def _lesion(
    report: StructuredReport, system: str, stated_in: int, scope: list[int]
) -> tuple[list[dict[str, Any]], tuple[Words, ...]] | None:
    """Return all completions of the features of the one lesion of a scope, with the words of the features."""
    table = _tables()[system]
    reading: list[int] = []
    named: list[int] = []
    repeated = 0
    for number in scope:
        text = _folded(report, number)
        if _has(text, [table["plural"]]):
            return None
        names = [
            m.span()
            for m in _pattern(table["lesion"]).finditer(text)
            if number == stated_in or _status(report, number, *m.span())[0] != "absent"
        ]
        impression = _section(report, number) == "impression"
        again = bool(reading) and (
            (impression and _section(report, reading[0]) != "impression")
            or re.search(table["same"], text) is not None
        )
        repeated += bool(names) and impression
        if len(names) > 1 or repeated > 1 or (names and reading and not again):
            return None
        if _has(text, table["stop"]) or _has(text, _tables()["hedge"]["words"]):
            if names:
                return None
        elif names or reading:
            reading.append(number)
            named += [number] * bool(names)
    stated, denied, cues = _features(report, table["features"], reading)
    if "?" in stated:
        return None
    if system == "acr_ti_rads":
        single = {name: stated[name] or set(table["features"][name]) - {"?"} for name in _SINGLE}
        if any(len(stated[name]) > 1 for name in _SINGLE):
            return None
        foci = _subsets(stated["foci"], denied["foci"], {"punctate", "macro", "peripheral"})
        choices = product(*(sorted(values) for values in single.values()), foci)
        # the level does not depend on the size
        return [
            {**dict(zip(_SINGLE, v[:-1], strict=True)), "foci": v[-1] or ["none"], "max_mm": 10}
            for v in choices
        ], cues
    # a size elsewhere may be of something else
    sizes = [m for m in report.measurements if m.sentence in named]
    if len({max(m.values_mm) for m in sizes}) != 1:
        return None
    enhances = [
        value for value, against in ((True, denied), (False, stated)) if "yes" not in against["nonrim_aphe"]
    ]
    majors = {"washout", "capsule", "threshold_growth"}
    return [
        {"nonrim_aphe": a, "size_mm": max(sizes[0].values_mm), "additional_major": more}
        for a, more in product(
            enhances, _subsets(stated["additional_major"], denied["additional_major"], majors)
        )
    ], (*cues, *sizes[0].cues[:1])


def _subsets(stated: set[str], denied: set[str], known: set[str]) -> list[list[str]]:
    left = sorted(known - stated - denied)
    more = chain.from_iterable(combinations(left, count) for count in range(len(left) + 1))
    return [sorted(stated | set(some)) for some in more]


def _features(
    report: StructuredReport, features: Mapping[str, Mapping[str, list[str]]], sentences: list[int]
) -> tuple[dict[str, set[str]], dict[str, set[str]], tuple[Words, ...]]:
    """Return stated and denied values of each feature, and their words; a key ``?`` where one is unclear."""
    stated: dict[str, set[str]] = {name: set() for name in features}
    denied: dict[str, set[str]] = {name: set() for name in features}
    cues = []
    for number in sentences:
        text = _folded(report, number)
        for name, values in features.items():
            hits = [
                (m.start(), m.end(), v) for v in values for m in _pattern(tuple(values[v])).finditer(text)
            ]
            for a, b, value in hits:
                if any(c <= a and b <= d and (a, b) != (c, d) for c, d, _ in hits):
                    continue  # part of longer words
                status, low, high = ("?", a, b) if value == "?" else _status(report, number, a, b)
                if status == "present" and value != "any":
                    stated[name].add(value)
                elif status == "absent":
                    denied[name] |= set(values) if value == "any" else {value}
                else:
                    stated["?"] = {name}
                    continue
                start = report.sentences[number][0]
                cues.append(
                    Words(report.text[start + low : start + high], start + low, start + high, "feature")
                )
    if any(stated[name] & denied[name] for name in features):
        stated["?"] = set()
    return stated, denied, tuple(sorted(cues, key=lambda words: words.start))


def _stenoses(report: StructuredReport) -> tuple[list[dict[str, Any]], tuple[Words, ...]] | None:
    """Return the worst stenosis as all values that the text allows, with the words that bound it."""
    table = _tables()["cad_rads"]
    bands = table["bands"]
    band, stenosis = "|".join(bands), table["stenosis"]
    between = rf"(?:[\s('’)-]|(?<!\w)(?:{table['between']})(?!\w))*"
    amount = re.compile(
        rf"(?<![\w.,/–-]){_PERCENT}{between}(?<!\w)(?:{stenosis})"
        rf"|(?<![\w-])(?:{stenosis}){between}{_PERCENT}"
        rf"|(?<![\w-])({band})(?:\s?(?:to|[-–]|ile)\s?({band}))?{between}(?<!\w)(?:{stenosis})"
        rf"|(?:{table['total']})?(?<![\w-])(?:{table['occlusion']})"
    )
    low, high, is_open, cues = 0, 24, False, []
    told = _of_today(report)
    for number in told:
        start, text = report.sentences[number][0], _folded(report, number)
        places = list(re.finditer(rf"(?<![\w-])(?:{stenosis})", text))
        found = list(amount.finditer(text))
        said = " ".join(m[0] for m in found)
        amounts = rf"%|(?<!\w)(?:{band})(?!\w)"
        unread = len(re.findall(amounts, text)) > len(re.findall(amounts, said))
        is_open |= unread or _has(text, table["unread"])
        if not places:
            continue
        states = {_status(report, number, *place.span())[0] for place in places}
        if unread or len(states) > 1 or _has(text, table["stop"]) or _has(text, _tables()["hedge"]["words"]):
            is_open = True
        elif states == {"absent"}:
            is_open |= bool(found)
        elif states != {"present"} or len(found) != len(places):
            is_open = True
        else:
            for match in found:
                least, most = _bounds(match, bands, table)
                low, high = max(low, least), max(high, most)
                a, b = start + match.start(), start + match.end()
                cues.append(Words(report.text[a:b], a, b, "feature"))
    if not cues:
        return None
    high = 100 if is_open else high
    marks = sorted({low, high} | {mark for mark in (0, 1, 25, 50, 70, 100) if low <= mark <= high})
    vessels: list[dict[str, Any]] = [{}, {"vessels_70_or_more": 3}]
    if any(_has(_folded(report, number), [table["left_main"]]) for number in told):
        vessels.append({"vessel": "left_main"})
    return [{"max_stenosis_pct": mark, **more} for mark in marks for more in vessels], tuple(cues)


def _bounds(
    match: re.Match[str], bands: Mapping[str, list[int]], table: Mapping[str, Any]
) -> tuple[int, int]:
    """Return the least and the largest percentage of words that give the amount of a stenosis."""
    numbers = [int(one) for one in match.groups()[:8] if one]
    if numbers:
        return min(*numbers, 100), min(max(numbers), 100)
    spans = [
        span for word in match.groups()[8:] if word for key, span in bands.items() if re.fullmatch(key, word)
    ]
    if spans:
        return min(s[0] for s in spans), max(s[1] for s in spans)
    return (100 if re.match(table["total"], match[0]) else 70), 100
