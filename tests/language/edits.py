"""Template reports as people would have typed them: seeded edits whose truth is known.

The words stand in ``edits.toml``; they were written from radiology usage, not from the rule packs, so that a
pack that knows only its own terms fails. Most edits leave the truth as it is; another side or size is drawn
with it.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from coread.language import TextFinding, structure
from coread.language.templates import sentence, template, templates

Language = Literal["en", "tr"]
Fact = tuple[str, str, str | None]  # finding, status, side
Facts = Counter[tuple[str, Fact]]  # with the section

WORDS: dict[str, Any] = tomllib.loads((Path(__file__).parent / "edits.toml").read_text("utf-8"))
KINDS = (
    "order",
    "rephrase",
    "synonym",
    "side",
    "size",
    "spelling",
    "abbreviation",
    "typo",
    "merge",
    "heading",
    "diacritics",
    "filler",
    "capitals",
)
_ASCII = str.maketrans("çğıöşüÇĞİÖŞÜ", "cgiosuCGIOSU")


@dataclass(frozen=True)
class Report:
    """An edited report with what it states."""

    text: str
    facts: Facts


@dataclass(frozen=True)
class _Line:
    """A sentence to be written: of a finding of ours, or a fixed line."""

    facts: tuple[Fact, ...] = ()
    finding: TextFinding | None = None
    size_mm: tuple[float, ...] = ()
    fixed: str = ""


def edited(name: str, language: Language, seed: int, kinds: frozenset[str] | None = None) -> Report:
    """Return a template report after realistic edits, and what it states.

    Args:
        name: Of a template.
        language: ``en`` or ``tr``.
        seed: The same seed gives the same report.
        kinds: Of edits, from `KINDS`; None for all. Each has a chance of its own.
    """
    rng = random.Random(f"{name} {language} {seed}")

    def use(kind: str, chance: float) -> bool:
        drawn = rng.random() < chance
        return drawn and (kinds is None or kind in kinds)

    lines = _lines(name, language, rng)
    if use("order", 0.7):
        rng.shuffle(lines)
    final = [e for e in lines if e.finding is not None and e.finding.status in ("present", "uncertain")]
    form, other = template(name), WORDS["other"][language]
    titles = other["titles"]
    without_marks = language == "tr" and use("diacritics", 0.25)
    facts: Facts = Counter()
    parts = [form.title[language]]
    for title, section, body in (
        (titles[0], "technique", [_Line(fixed=form.technique[language])]),
        (titles[1], "comparison", [_Line(fixed=titles[4])]),
        (titles[2], "findings", lines),
        (titles[3], "impression", final),
    ):
        if not body:
            continue
        said = [(line, _said(line, language, rng, use)) for line in body]
        if section == "findings" and use("merge", 0.5):
            said = _merged(said, language, rng)
        texts = [_slipped(text, language, rng, use) if line.facts else text for line, text in said]
        facts.update((section, fact) for line, _ in said for fact in line.facts)
        if section == "findings" and use("filler", 0.5):
            texts.insert(rng.randint(0, len(texts)), rng.choice(other["fillers"]))
        heading = rng.choice(WORDS["headings"][language][title]) if use("heading", 0.4) else title
        parts.append(f"{heading}:\n" + rng.choice(["\n", " "]).join(texts))
    whole = "\n\n".join(parts)
    return Report(whole.translate(_ASCII) if without_marks else whole, facts)


def score(
    language: Language,
    seeds: Iterable[int],
    kinds: frozenset[str] | None = None,
    each: Callable[[Report, Facts], None] | None = None,
) -> float:
    """Return the micro F1 of finding with status and side over edited reports of every template."""
    both = said = true = 0
    for seed in seeds:
        for name in templates():
            report = edited(name, language, seed, kinds)
            read = structure(report.text, language).findings
            got: Facts = Counter((f.section, (f.finding, f.status, f.laterality)) for f in read)
            both += (got & report.facts).total()
            said += got.total()
            true += report.facts.total()
            if each is not None:
                each(report, got)
    return 2 * both / max(said + true, 1)


def _lines(name: str, language: Language, rng: random.Random) -> list[_Line]:
    """Return the lines of a template report with one to four findings of it."""
    stated = WORDS["stated"][name]
    chosen = rng.sample(stated, k=min(rng.randint(1, 4), len(stated)))
    lines = []
    for finding in chosen:
        status = rng.choice(["present", "present", "uncertain", "absent", "historical"])
        side = rng.choice(["left", "right", "bilateral", None]) if finding in WORDS["paired"] else None
        place = None
        if finding in WORDS["lung"] and name in WORDS["chest"] and side in ("left", "right"):
            place = rng.choice(["upper lobe", "lower lobe", None])
        sized = finding in WORDS["sized"] and status in ("present", "uncertain")
        size = (float(rng.randint(3, 40)),) if sized else ()
        lines.append(_Line(((finding, status, side),), _finding(finding, status, side, place), size))
    for text in template(name).normal[language]:
        found = tuple((f.finding, f.status, f.laterality) for f in structure(text, language).findings)
        if not {f[0] for f in found} & set(chosen):
            lines.append(_Line(found, fixed=text))
    return lines


def _finding(name: str, status: str, side: str | None, place: str | None) -> TextFinding:
    return TextFinding(
        finding=name,
        status=status,  # type: ignore[arg-type]
        laterality=side,
        location=place,
        start=0,
        end=0,
        sentence=0,
        section="body",
    )


def _said(line: _Line, language: Language, rng: random.Random, use: Callable[[str, float], bool]) -> str:
    """Return a line in words, rephrased by chance."""
    if not line.facts:
        return line.fixed
    chosen = {kind for kind in ("rephrase", "synonym", "side", "size") if use(kind, 0.6)}
    if line.finding is None:
        name, status, _ = line.facts[0]
        if "rephrase" not in chosen or name not in WORDS["words"][language] or len(line.facts) > 1:
            return line.fixed
        line = replace(line, finding=_finding(name, status, None, None))
    assert line.finding is not None
    if not chosen:
        return sentence(line.finding, language, size_mm=line.size_mm)
    plain, dative, accusative = _named(line.finding, line.size_mm, language, rng, chosen)
    status = line.finding.status
    form = WORDS["plain"][language][status]
    if "rephrase" in chosen:
        form = rng.choice(WORDS["said"][language][status])
    text = form.format(
        x=plain,
        X=_capital(plain, language),
        Dat=_capital(dative, language),
        Acc=_capital(accusative, language),
    )
    if language == "en" and use("spelling", 0.4):
        for american, british in WORDS["spellings"]:
            text = text.replace(american, british)
    if use("abbreviation", 0.2):
        for long, short in WORDS["other"][language]["abbreviations"]:
            text = re.sub(rf"\b{long}\b", short, text, count=1)
    return f"{text}."


def _named(
    finding: TextFinding, size_mm: tuple[float, ...], language: Language, rng: random.Random, chosen: set[str]
) -> tuple[str, str, str]:
    """Return the finding with size, side and place: plain, in dative, in accusative."""
    words = WORDS["words"][language][finding.finding]
    word = rng.choice(words) if "synonym" in chosen else words[0]
    size = ""
    if size_mm:
        (value,) = size_mm
        size = f"{value:g} mm "
        if "size" in chosen:
            cm = f"{value / 10:g}".replace(".", "," if language == "tr" else ".")
            size = rng.choice([f"{value:g} mm ", f"{value:g}mm ", f"{cm} cm "])
    names = WORDS["names"][language]
    pattern = "{x}"
    side, place = finding.laterality, finding.location
    if side and place:
        places = WORDS["other"][language]["places"]
        pattern = rng.choice(places) if "rephrase" in chosen else places[0]
        pattern = pattern.replace("{side}", names[side]).replace("{place}", names[place])
    elif side:
        sides = WORDS["sides"][language][side]
        pattern = rng.choice(sides) if "side" in chosen else sides[0]
    forms = (word, word, word)
    if language == "tr":
        forms = (word, _case(word, dative=True), _case(word, dative=False))
    plain, dative, accusative = (pattern.format(x=f"{size}{form}") for form in forms)
    return plain, dative, accusative


def _case(word: str, *, dative: bool) -> str:
    """Return a Turkish noun in dative or accusative."""
    vowel = next(c for c in reversed(word.lower()) if c in "aeıioöuü")
    ending = {"a": "ı", "ı": "ı", "o": "u", "u": "u", "e": "i", "i": "i", "ö": "ü", "ü": "ü"}[vowel]
    if dative:
        ending = "a" if vowel in "aıou" else "e"
    if word.isupper():
        return f"{word}'{ending}"
    if word[-1] in "aeıioöuü":  # "kırık hattı" is a possessive, "emboli" is none
        possessive = " " in word and word[-1] in "ıiuü" and not word.endswith(("emboli", "herni", "mayi"))
        return word + ("n" if possessive else "y") + ending
    if word[-1] == "k" and len(word.split()[-1]) > 4:
        return f"{word[:-1]}ğ{ending}"
    return word + ending


def _capital(text: str, language: str) -> str:
    return ("İ" if language == "tr" and text[:1] == "i" else text[:1].upper()) + text[1:]


def _merged(said: list[tuple[_Line, str]], language: Language, rng: random.Random) -> list[tuple[_Line, str]]:
    """Return lines in which neighbours that deny something became one sentence."""
    words, other = WORDS["words"][language], WORDS["other"][language]
    merged: list[tuple[_Line, str]] = []
    for line, text in said:
        before = merged[-1][0] if merged else _Line()
        facts = before.facts + line.facts
        plain = all(status == "absent" and side is None and name in words for name, status, side in facts)
        if before.facts and line.facts and plain and rng.random() < 0.5:
            listed = [rng.choice(words[name]) for name, _, _ in facts]
            one = ", ".join(listed[:-1]) + rng.choice(other["joins"]) + listed[-1]
            merged[-1] = (
                replace(before, facts=facts),
                _capital(rng.choice(other["denied"]).format(one), language),
            )
        else:
            merged.append((line, text))
    return merged


def _slipped(text: str, language: Language, rng: random.Random, use: Callable[[str, float], bool]) -> str:
    """Return a sentence with one slip of the hand in a longer word, or in capitals, by chance."""
    places = list(re.finditer(r"[^\W\d_]{6,}", text))
    if use("typo", 0.15) and places:
        match = rng.choice(places)
        word = match.group()
        at = rng.randrange(1, len(word) - 1)
        letter = rng.choice("aeinrtlsou")
        word = rng.choice(
            [
                word[:at] + word[at + 1 :],
                word[:at] + letter + word[at:],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + letter + word[at + 1 :],
            ]
        )
        text = text[: match.start()] + word + text[match.end() :]
    if use("capitals", 0.05):
        text = text.replace("i", "İ").upper() if language == "tr" else text.upper()
    return text
