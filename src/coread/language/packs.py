"""Rule packs: the words of one language, read from a file and compiled into one matcher."""

from __future__ import annotations

import json
import re
import threading
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

from coread.errors import InputError
from coread.language.morphology import UNKNOWN, Morphology, WordCodes
from coread.language.tokens import lower, normalise, tokenise

# groups of patterns; matches of one group don't overlap, the longest of each place wins
(
    FINDING,
    CUE,
    SITE,
    SIDE,
    SEVERITY,
    CHANGE,
    SUBJECT,
    STATE,
    ACTION,
    EXAM,
    REGION,
    TIME,
    MEASURE,
    TOLD,
    QUALIFIER,
    GRAMMAR,
) = range(16)
GROUPS = 16
_MENDED = frozenset({FINDING, CUE, SITE, SIDE, CHANGE, SUBJECT, STATE, EXAM})  # groups whose words are mended
_FIRST_CODE = 0x100
_ALTERNATIVES = re.compile(r"\(([^()]*)\)")
_STATES = ("abnormal", "normal", "borderline")
_NO_LETTERS = re.compile(r"[\W\d_]+")

Payload = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Concepts:
    """What a finding is in every language: codes, urgency, kinds."""

    codes: Mapping[str, tuple[str, str]]
    critical: Mapping[str, int]
    critical_if: Mapping[str, Mapping[str, int]]
    critical_never: Mapping[str, tuple[str, ...]]
    asking: frozenset[str]
    devices: frozenset[str]
    procedures: frozenset[str]
    chronic: frozenset[str]
    spinal: frozenset[str]
    signs: Mapping[str, tuple[str, ...]]
    in_place: Mapping[str, Mapping[str, str]]
    models: tuple[tuple[str, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """A compiled rule pack.

    Attributes:
        language: Code of the language.
        version: Of the rules.
        words: Word to one character.
        automaton: Aho-Corasick matcher over these characters.
        sections: Heading as `plain` gives it to the name of the section.
        detect: Words that tell the language, as `plain` gives them.
        turkish: Whether lower case follows the dotted and dotless i.
        rules: Of the states of organs: finding by rule number.
        numbers: Number words and their values.
        concepts: Shared by all packs.
        terms: Plain name of a finding to its first term, for writing.
        places: The same for places.
        sides: The same for sides.
        locative: Endings of a place that a whole list lies in ("in the left lung, X and Y").
        own: (group, plain name) of the words of place, side and change that belong to the name of a finding:
            a "mediastinal shift" has no place beside its name.
    """

    language: str
    version: str
    words: WordCodes
    automaton: Any
    sections: Mapping[str, str]
    detect: frozenset[str]
    turkish: bool
    rules: tuple[str, ...]
    numbers: Mapping[str, int]
    concepts: Concepts
    terms: Mapping[str, str]
    places: Mapping[str, str]
    sides: Mapping[str, str]
    locative: tuple[str, ...]
    own: Mapping[str, frozenset[tuple[int, str]]]

    def plain(self, words: str) -> str:
        """Return words in lower case without the marks that people leave out."""
        return lower(words, turkish=self.turkish).translate(self.words.morphology.fold)


_lock = threading.Lock()
_packs: dict[str, Pack] = {}
_concepts: list[Concepts] = []


def languages() -> tuple[str, ...]:
    """Return the languages that have a rule pack, English first."""
    names = [
        entry.name.removesuffix(".toml")
        for entry in resources.files("coread.language").joinpath("packs").iterdir()
        if entry.name.endswith(".toml") and entry.name != "concepts.toml"
    ]
    return tuple(sorted(names, key=lambda name: (name != "en", name)))


def pack(language: str) -> Pack:
    """Return the compiled pack of a language; it is compiled once.

    Raises:
        InputError: There is no pack of this language.
    """
    found = _packs.get(language)
    if found is not None:
        return found
    with _lock:
        if language not in _packs:
            if language not in languages():
                raise InputError(
                    f"no rule pack for the language {language!r}",
                    f"expected one of {', '.join(languages())}, or auto",
                    "name another language, or add a rule pack (see the page on report text)",
                )
            text = resources.files("coread.language").joinpath("packs", f"{language}.toml").read_text("utf-8")
            _packs[language] = compile_pack(tomllib.loads(text))
        return _packs[language]


def load_pack(path: Path) -> Pack:
    """Read a rule pack of your own and make it known under its language.

    Raises:
        InputError: It is no TOML or lacks a table.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is no rule pack: {error}", "expected a TOML file") from error
    compiled = compile_pack(table)
    with _lock:
        _packs[compiled.language] = compiled
    return compiled


def concepts() -> Concepts:
    """Return the codes and urgency of findings, read once."""
    if not _concepts:
        _concepts.append(_read_concepts())
    return _concepts[0]


def _read_concepts() -> Concepts:
    from coread.core import vocabulary

    folder = resources.files("coread.language").joinpath("packs")
    table = tomllib.loads(folder.joinpath("concepts.toml").read_text("utf-8"))
    document = json.loads(folder.joinpath("finding_models.json").read_text("utf-8"))
    models = tuple((i, name, tuple(synonyms)) for i, name, synonyms in document["models"])
    codes: dict[str, tuple[str, str]] = {}
    for identifier, name, _ in models:
        codes.setdefault(name, ("OIFM", identifier))
    for identifier, _, synonyms in models:
        for synonym in synonyms:
            codes.setdefault(synonym.lower(), ("OIFM", identifier))
    core = {concept.meaning.lower(): concept for concept in vocabulary.findings()}
    for name, meaning in {**{m: m for m in core}, **table["core"]}.items():
        codes[name] = (core[meaning].scheme, core[meaning].value)
    return Concepts(
        codes=codes,
        critical=table["critical"],
        critical_if=table["critical_if"],
        critical_never={name: tuple(words) for name, words in table["critical_never"].items()},
        asking=frozenset(table["critical_ask"]["cues"]),
        devices=frozenset(table["device"]["names"]),
        procedures=frozenset(table["procedure"]["names"]),
        chronic=frozenset(table["chronic"]["names"]),
        spinal=frozenset(table["spinal"]["names"]),
        signs={name: tuple(of) for name, of in table["sign_of"].items()},
        in_place=table["in_place"],
        models=models,
    )


def expand(term: str) -> list[str]:
    """Return the phrases that a term with alternatives stands for.

    Examples:
        >>> expand("(pleural|) effusion")
        ['pleural effusion', 'effusion']
    """
    match = _ALTERNATIVES.search(term)
    if match is None:
        return [" ".join(term.split())]
    return [
        phrase
        for choice in match.group(1).split("|")
        for phrase in expand(f"{term[: match.start()]}{choice}{term[match.end() :]}")
    ]


def compile_pack(table: Mapping[str, Any]) -> Pack:
    """Compile the table of a rule pack.

    Raises:
        InputError: A table is missing or not of its kind.
    """
    import ahocorasick

    try:
        terms = list(_terms(table))
        forms = table.get("morphology", {})
        morphology = Morphology(
            suffixes=tuple(sorted(((a, b) for a, b in forms.get("suffixes", ())), key=lambda p: -len(p[0]))),
            soften=tuple((a, b) for a, b in forms.get("soften", ())),
            verbs=tuple((re.compile(v["pattern"]), v["word"]) for v in forms.get("verbs", ())),
            minimum=int(forms.get("minimum", 4)),
            repeat=int(forms.get("repeat", 1)),
            turkish=bool(forms.get("turkish", False)),
            vowels=str(forms.get("vowels", "")),
            buffers=str(forms.get("buffers", "")),
            fold=str.maketrans(dict(forms.get("fold", ()))),
            spellings=tuple((a, b) for a, b in forms.get("spellings", ())),
            keep=frozenset(str(forms.get("keep", "")).split()),
            mend=int(forms.get("mend", 6)),
            mend_finding=int(forms.get("mend_finding", forms.get("mend", 6))),
            unsure=str(forms.get("unsure", "")),
            kept=re.compile(forms["kept"]) if "kept" in forms else None,
            forms=tuple(form for term in forms.get("forms", ()) for form in expand(term)),
        )
        shared = concepts()
        own = {
            word
            for term, payload in terms
            if payload[0] in _MENDED and payload[1] not in ("barrier", "ignored", "affirmed")
            for word in _NO_LETTERS.split(lower(term, turkish=morphology.turkish))
            if len(word) >= (morphology.mend_finding if payload[0] == FINDING else morphology.mend)
        }
        if table["language"] == "en":
            terms.extend(_model_terms(shared, table))
        patterns: dict[tuple[str, ...], set[Payload]] = {}
        for term, payload in terms:
            for phrase in expand(term):
                low = lower(normalise(phrase), turkish=morphology.turkish)
                plain = low.replace(" ", "").isalpha()
                tokens = tuple(low.split() if plain else tokenise(low)[0])
                if tokens:
                    patterns.setdefault(tokens, set()).add(payload)
        raw = {word for tokens in patterns for word in tokens} | {target for _, target in morphology.verbs}
        known = dict.fromkeys(raw)
        code: dict[str, str] = {}
        canonical: dict[str, str] = {}
        for word in sorted(raw):
            canonical[word] = morphology.reduce(word, known) or morphology.spelt(word, known) or word
        for word in sorted(raw):  # a form of a form ends at one stem
            stem = canonical[word]
            for _ in range(3):
                stem = canonical.get(stem, stem)
            canonical[word] = stem
        for number, stem in enumerate(sorted(set(canonical.values()))):
            code[stem] = chr(_FIRST_CODE + number)
        base = {word: code[stem] for word, stem in canonical.items()}
        for ending in forms.get("possessive", ()):  # "lenf nodu" is also said in the plural, "lenf nodları"
            for word in sorted(set(canonical.values())):
                stem = word.removesuffix(ending)
                if stem != word and len(stem) > 2 and morphology.fits(stem, ending):
                    base.setdefault(stem, code[word])
        coded: dict[str, set[Payload]] = {}
        for tokens, payloads in patterns.items():
            coded.setdefault("".join(base[word] for word in tokens), set()).update(payloads)
        automaton = ahocorasick.Automaton()
        for key, payloads in coded.items():
            groups: dict[int, list[Payload]] = {}
            for payload in sorted(payloads, key=repr):
                groups.setdefault(payload[0], []).append(payload)
            automaton.add_word(key, (len(key), tuple((g, tuple(said)) for g, said in groups.items())))
        automaton.make_automaton()
        names = {name: expand(said[0])[0] for name, said in table["findings"].items() if said}

        def modifiers(term: str) -> frozenset[tuple[int, str]]:
            words = tokenise(lower(term, turkish=morphology.turkish))[0]
            found = automaton.iter("".join(base.get(word, UNKNOWN) for word in words))
            said = [(group, payloads) for _, (_, groups) in found for group, payloads in groups]
            return frozenset(
                (g, payload[1]) for g, payloads in said if g in (SITE, SIDE, CHANGE) for payload in payloads
            )

        return Pack(
            language=table["language"],
            version=str(table.get("version", "1")),
            words=WordCodes(base, morphology, own),
            automaton=automaton,
            sections={
                h.translate(morphology.fold): name for name, heads in table["sections"].items() for h in heads
            },
            detect=frozenset(word.translate(morphology.fold) for word in table.get("detect", ())),
            turkish=morphology.turkish,
            rules=tuple(rule["finding"] for rule in table.get("states", ())),
            numbers={word: i + 1 for i, word in enumerate(table["time"].get("numbers", ()))},
            concepts=shared,
            terms=names,
            places={
                name: expand(said[0])[-1]
                for sites in (table["sites"]["part"], table["sites"]["organ"])
                for name, said in sites.items()
            },
            sides={name: said[0] for name, said in table["lateralities"].items()},
            locative=tuple(forms.get("locative", ())),
            own={name: modifiers(term) for name, term in names.items()},
        )
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise InputError(
            f"the rule pack is not complete: {error!r}",
            "expected the tables that the page on report text lists",
        ) from error


def _terms(table: Mapping[str, Any]) -> Iterable[tuple[str, Payload]]:
    for cue in table["cues"]:
        payload = (CUE, cue["kind"], cue.get("side", "both"), int(cue.get("reach", 0)))
        for term in cue["terms"]:
            yield term, payload
    for kind, sites in table["sites"].items():
        yield from _named(sites, SITE, kind)
    yield from _named(table["lateralities"], SIDE)
    yield from _named(table["severities"], SEVERITY)
    yield from _named(table["changes"], CHANGE)
    yield from _named(table["qualifiers"], QUALIFIER)
    yield from _named(table["actions"], ACTION)
    yield from _named(table["exams"], EXAM)
    yield from _named(table["exam_regions"], REGION)
    yield from _named(table["time"], TIME)
    yield from _named(table["measures"], MEASURE)
    yield from _named(table["grammar"], GRAMMAR)
    yield from _named(table["findings"], FINDING)
    for term in table.get("ignored", {}).get("terms", ()):
        yield term, (FINDING, "")
    for term in table["communicated"]["terms"]:
        yield term, (TOLD, "told")
    for number, rule in enumerate(table.get("states", ())):
        for term in rule["of"]:
            yield term, (SUBJECT, number)
        for key in _STATES:
            for term in rule.get(key, ()):
                yield term, (STATE, number, key)
    for mark in (",", ";", ".", ":", "(", ")"):
        yield mark, (GRAMMAR, "mark")


def _named(named: Mapping[str, Iterable[str]], group: int, *more: str) -> Iterable[tuple[str, Payload]]:
    for name, terms in named.items():
        for term in terms:
            yield term, (group, name, *more)


def _model_terms(shared: Concepts, table: Mapping[str, Any]) -> Iterable[tuple[str, Payload]]:
    """Yield names and synonyms of the finding models that the pack does not name itself."""
    own = {phrase for terms in table["findings"].values() for term in terms for phrase in expand(term)}
    for rule in table.get("states", ()):
        for organ, state in product(rule["of"], (s for key in _STATES for s in rule.get(key, ()))):
            own |= {phrase for term in (f"{state} {organ}", f"{organ} {state}") for phrase in expand(term)}
    unused = set(table.get("unused", {}).get("models", ()))
    for _, name, synonyms in shared.models:
        for word in (name, *synonyms):
            low = word.lower()
            short = len(low) < 5 and " " not in low
            if low in own or low in unused or short or not re.fullmatch(r"[a-z][a-z /'-]+", low):
                continue
            if low.endswith(("abnormality", "abnormalities")):
                continue  # says no more than that something is wrong
            parts = low.replace("-", " ").split()
            stems = [*parts[:-1], parts[-1].removesuffix("s")]
            if any(" ".join(form[i:]) in own for form in (parts, stems) for i in range(1, len(parts))):
                continue  # a finding of the pack with words before it that it reads anyway
            yield low.replace("(", "").replace("|", ""), (FINDING, name)
