"""Scopes: which words around a phrase negate it, doubt it, put it into the past or on another person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

NEGATED, UNCERTAIN, HISTORICAL, OTHER = 1, 2, 4, 8
_FLAGS = {"negated": NEGATED, "uncertain": UNCERTAIN, "historical": HISTORICAL, "other": OTHER}
# a negation so near before a doubt denies the doubt: "no finding suspicious for"
_DENIED_DOUBT = 5


class CueMatch(NamedTuple):
    """A cue in tokens ``[start, end)`` with what it says on each side."""

    start: int
    end: int
    barrier: bool
    ignored: bool
    affirmed: bool
    before: tuple[tuple[int, int], ...]
    after: tuple[tuple[int, int], ...]


def cue_match(start: int, end: int, payloads: Sequence[tuple[object, str, str, int]]) -> CueMatch:
    """Gather the payloads of one place."""
    before: list[tuple[int, int]] = []
    after: list[tuple[int, int]] = []
    barrier = ignored = affirmed = False
    for _, kind, side, reach in payloads:
        if kind == "barrier":
            barrier = True
        elif kind == "ignored":
            ignored = True
        elif kind == "affirmed":
            affirmed = True
        else:
            if side != "after":
                before.append((_FLAGS[kind], reach or 10_000))
            if side != "before":
                after.append((_FLAGS[kind], reach or 10_000))
    return CueMatch(start, end, barrier, ignored, affirmed, tuple(before), tuple(after))


def scope(cues: Sequence[CueMatch], start: int, end: int) -> tuple[int, list[tuple[CueMatch, int]]]:
    """Return the flags of the phrase ``[start, end)`` and the cues that set them.

    Args:
        cues: Of one sentence, in order, not overlapping one another.
        start: First token of the phrase.
        end: Token after its last.

    The nearest cue of each side decides negation and doubt; history and another person add up. A cue
    reaches its phrase unless a barrier stands between them.
    """
    flags = 0
    deciding: list[tuple[CueMatch, int]] = []
    split = len(cues)
    for number, cue in enumerate(cues):
        if cue.start >= start:
            split = number
            break
    decided = False
    doubt: CueMatch | None = None
    for number in range(split - 1, -1, -1):
        cue = cues[number]
        if cue.barrier and cue.end <= start:
            break
        if cue.ignored:
            continue
        for flag, reach in cue.before:
            if start - cue.end >= reach:
                continue
            if flag in (NEGATED, UNCERTAIN):
                if decided:
                    if flag == NEGATED and doubt is not None and doubt.start - cue.end < _DENIED_DOUBT:
                        flags = flags & ~UNCERTAIN | NEGATED
                        deciding.append((cue, flag))
                        doubt = None
                    continue
                decided = True
                doubt = cue if flag == UNCERTAIN else None
            flags |= flag
            deciding.append((cue, flag))
    denied = bool(flags & NEGATED)
    decided = denied
    doubt = None
    for number in range(split, len(cues)):
        cue = cues[number]
        if cue.end <= end:
            continue
        if doubt is not None and cue.start - doubt.end >= _DENIED_DOUBT:
            break
        if (cue.barrier and not cue.after) or cue.affirmed:
            break
        if cue.ignored:
            continue
        if cue.before and not cue.after and doubt is None and cue.before[0][0] in (NEGATED, UNCERTAIN):
            break  # another statement begins
        for flag, reach in cue.after:
            if cue.start - end >= reach:
                continue
            if flag in (NEGATED, UNCERTAIN):
                if doubt is not None and flag == NEGATED:
                    flags = flags & ~UNCERTAIN | NEGATED
                    deciding.append((cue, flag))
                    doubt = None
                    decided = True
                    continue
                if decided:
                    continue
                decided = True
                doubt = cue if flag == UNCERTAIN else None
                if flag == NEGATED:
                    flags &= ~UNCERTAIN
            flags |= flag
            deciding.append((cue, flag))
        if cue.barrier or (decided and doubt is None and not denied):
            break
    if flags & OTHER:
        flags |= HISTORICAL
    return flags, deciding
