"""One pass of the matcher over a text: tokens, sentences and the patterns of every group."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import itemgetter

from coread.language.assertion import CueMatch, cue_match
from coread.language.morphology import UNKNOWN
from coread.language.packs import CHANGE, CUE, FINDING, GROUPS, Pack, Payload
from coread.language.tokens import sentence_bounds, tokenise
from coread.language.values import TextSection

Match = tuple[int, int, tuple[Payload, ...]]  # first token, token after the last, what it means
_first = itemgetter(0)


class Matched:
    """The tokens of a text and what the patterns found in them."""

    __slots__ = ("codes", "cues", "ends", "groups", "sentences", "starts", "text", "words")

    def __init__(self, text: str, pack: Pack, sections: Sequence[TextSection] = ()) -> None:
        self.text = text
        self.words, self.starts, self.ends = tokenise(text)
        lookup = pack.words
        codes = [lookup[word] for word in self.words]
        headed = {bisect_left(self.starts, section.start) for section in sections if section.heading}
        for at in headed:  # the colon of a heading is none of a sentence ("Impression: possible ...")
            codes[at - 1] = UNKNOWN
        self.codes = "".join(codes)
        found: list[list[Match]] = [[] for _ in range(GROUPS)]
        for last, (length, groups) in pack.automaton.iter(self.codes):
            for group, payloads in groups:
                found[group].append((last + 1 - length, last + 1, payloads))
        findings = longest(found[FINDING])
        for group in (CUE, CHANGE):  # "no small" is no cue where a "small bowel obstruction" is named
            found[group] = _not_cutting(found[group], findings)
        self.groups: list[list[Match]] = [longest(group) for group in found]
        self.sentences = sentence_bounds(text, self.words, self.starts, self.ends, headed)
        self.cues: list[CueMatch] = [cue_match(start, end, said) for start, end, said in self.groups[CUE]]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the characters of the tokens ``[start, end)``."""
        return self.starts[start], self.ends[end - 1]

    def place(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the tokens that touch the characters ``[start, end)``, or None."""
        inside = [
            i for i, (a, b) in enumerate(zip(self.starts, self.ends, strict=True)) if a < end and b > start
        ]
        return (inside[0], inside[-1] + 1) if inside else None


def longest(found: list[Match]) -> list[Match]:
    """Return matches that do not overlap, the longest first, in order of their places."""
    end = 0
    for match in found:
        if match[0] < end:
            break
        end = match[1]
    else:
        return found
    taken: list[Match] = []
    occupied = bytearray(max(match[1] for match in found))
    for match in sorted(found, key=_by_length):
        if 1 not in occupied[match[0] : match[1]]:
            occupied[match[0] : match[1]] = b"\1" * (match[1] - match[0])
            taken.append(match)
    taken.sort(key=_first)
    return taken


def _not_cutting(matches: list[Match], findings: list[Match]) -> list[Match]:
    """Return the matches that are neither part of a finding's words nor reach into the middle of them."""
    middle = {at: match for match in findings for at in range(match[0] + 1, match[1])}
    if not middle:
        return matches
    kept = []
    for match in matches:
        other = middle.get(match[1]) or middle.get(match[0])
        if other is None or (match[0] <= other[0] and other[1] <= match[1]):
            kept.append(match)
    return kept


def _by_length(match: Match) -> tuple[int, int]:
    return match[0] - match[1], match[0]


def inside(matches: list[Match], start: int, end: int) -> list[Match]:
    """Return the matches within tokens ``[start, end)``; matches come in order and do not overlap."""
    at = bisect_left(matches, start, key=_first)
    stop = bisect_left(matches, end, at, key=_first)
    if stop > at and matches[stop - 1][1] > end:
        stop -= 1
    return matches[at:stop]
