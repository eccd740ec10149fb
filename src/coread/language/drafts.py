"""Findings of a sentence while their words are gathered, and what is said of their side, place and change."""

from __future__ import annotations

from dataclasses import dataclass, field

from coread.language.assertion import CueMatch
from coread.language.matching import Match, Matched, inside
from coread.language.modifiers import Span, chain, following, owner
from coread.language.packs import CHANGE, GRAMMAR, QUALIFIER, SEVERITY, SIDE, SITE, Pack
from coread.language.values import Assertion, Words


@dataclass(slots=True)
class Draft:
    """A finding while its words are gathered."""

    name: str
    start: int
    end: int
    said: Assertion
    cues: list[Words] = field(default_factory=list)
    side: str | None = None
    part: str | None = None
    organ: str | None = None
    severity: str | None = None
    change: str | None = None
    qualifiers: list[str] = field(default_factory=list)
    state: Span | None = None


def attach(matched: Matched, rules: Pack, sentence: Span, drafts: list[Draft], cues: list[CueMatch]) -> None:
    """Give side, place, severity, change and qualifiers of a sentence to the findings that they belong to."""
    spans = [(draft.start, draft.end) for draft in drafts]
    links: list[int] | None = None
    breaks: list[int] = []
    joins: set[int] = set()
    equates: set[int] = set()
    places = inside(matched.groups[SITE], *sentence)
    for group in (SIDE, SITE, SEVERITY, CHANGE, QUALIFIER):
        words = places if group == SITE else inside(matched.groups[group], *sentence)
        if not words:
            continue
        if links is None:
            links = []
            for a, _, payloads in inside(matched.groups[GRAMMAR], *sentence):
                for payload in payloads:
                    if payload[1] == "equates":
                        equates.add(a)
                    elif payload[1] == "links":
                        links.append(a)
                    elif payload[1] == "joins":
                        joins.add(a)
            breaks = [c.start for c in cues if c.barrier]
            breaks += [i for i in range(sentence[0], sentence[1]) if matched.words[i] == ";"]
        for word in words:
            if (
                group == SITE
                and word[2][0][2] == "organ"
                and any(a <= word[0] and word[1] <= b for a, b in spans)
            ):
                continue
            if group == SIDE and any(
                a <= word[0] and word[1] <= b and (a, b) != word[:2] for a, b, _ in places
            ):
                continue
            turn = word[0] - 2 if group == CHANGE and spans[-1][1] <= word[0] else sentence[1]
            blocks = [at for at in breaks if at < turn and not (at in equates and word[1] <= spans[0][0])]
            number = owner(matched, spans, word, links=links, breaks=blocks)
            if number is None:
                continue
            a, b = spans[number]
            if a <= word[0] and word[1] <= b and _named(rules, drafts[number], group, word):
                continue
            _add(matched, rules, drafts[number], group, word)
            if group in (SIDE, SITE) and word[1] <= a and _in_place(matched, rules, word):
                for other in following(spans, number, joins, {c.start for c in cues}):
                    if (drafts[other].side if group == SIDE else drafts[other].organ) is None:
                        _add(matched, rules, drafts[other], group, word)
            if group in (SIDE, SITE, CHANGE) and word[0] >= drafts[number].end:
                for other in chain(spans, number, joins):
                    if (
                        group == SITE
                        or (drafts[other].side if group == SIDE else drafts[other].change) is None
                    ):
                        _add(matched, rules, drafts[other], group, word)


def _named(rules: Pack, draft: Draft, group: int, word: Match) -> bool:
    """Return whether a word within a finding is part of its name, or of the state that makes it."""
    if group == CHANGE and draft.state is not None and word[1] <= draft.state[1]:
        return True
    return (group, word[2][0][1]) in rules.own.get(draft.name, ())


def _in_place(matched: Matched, rules: Pack, word: Match) -> bool:
    """Return whether a place or side says where a list that follows lies: "in the left lung, X and Y"."""
    endings = rules.locative
    last = matched.words[word[1] - 1 : word[1] + 1]
    return bool(endings) and any(w.lower().endswith(endings) for w in last)


def _add(matched: Matched, rules: Pack, draft: Draft, group: int, word: Match) -> None:
    value = word[2][0][1]
    if group == SIDE:
        if draft.side == "bilateral" and word[0] >= draft.end:
            return
        if {draft.side, value} == {"left", "right"}:
            if word[0] >= draft.end and draft.side is not None:
                return
            value = "bilateral" if word[0] >= draft.end else value
        elif value in ("medial", "lateral") and draft.side is not None:
            return
        draft.side = value
    elif group == SITE:
        if draft.name in rules.concepts.devices:
            return
        if word[2][0][2] == "part":
            if draft.part is None or word[0] < draft.start:
                draft.part = value
        elif draft.organ is None:
            draft.organ = value
    elif group == SEVERITY:
        if word[0] < draft.start and draft.start - word[1] > 4:
            return
        draft.severity = draft.severity or value
    elif group == CHANGE:
        if value == "unsaid":
            return
        if draft.change is None or value in ("increased", "decreased", "stable"):
            draft.change = value
    else:
        near = draft.start - word[1] <= 6 and word[0] - draft.end <= 8
        if near:
            draft.qualifiers.append(value)
        return
    a, b = matched.span(word[0], word[1])
    role = {SIDE: "laterality", SITE: "location", SEVERITY: "severity", CHANGE: "change"}[group]
    draft.cues.append(Words(matched.text[a:b], a, b, role))
