"""Side, place, severity and change: which finding of a sentence each of these words belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from coread.language.matching import Match, Matched

Span = tuple[int, int]


def owner(
    matched: Matched,
    findings: Sequence[Span],
    word: Match,
    *,
    links: Sequence[int],
    breaks: Sequence[int],
) -> int | None:
    """Return which of the findings a modifying word belongs to, or None.

    A word after a finding and behind a link ("in the left kidney", "is stable") belongs to that finding; any
    other word belongs to the next finding, or to the one before where there is no next. A break (a semicolon,
    a word such as "but") is never crossed.

    Args:
        matched: The text.
        findings: Token spans in order, of one sentence.
        word: The modifying word.
        links: Tokens of linking words.
        breaks: Tokens of breaks.
    """
    start, end = word[0], word[1]
    before = after = None
    for number, (a, b) in enumerate(findings):
        if a <= start and end <= b:
            return number
        if b <= start:
            before = number
        elif a >= end or a > start:
            after = number
            break
    if before is not None and any(findings[before][1] <= at < start for at in breaks):
        before = None
    if after is not None and any(end <= at < findings[after][0] for at in breaks):
        after = None
    if before is None or after is None:
        return before if after is None else after
    if end == findings[after][0] and matched.words[start - 1] not in (",", "and", "ve"):
        return after
    gap = matched.words[findings[before][1] : start]
    linked = [at for at in links if findings[before][1] <= at < start]
    if linked and not any(w in ",(" for w in matched.words[linked[-1] : start]):
        joined = [w for w in matched.words[linked[-1] : start] if w in ("and", "ve")]
        return after if joined else before
    if not gap and matched.words[end : findings[after][0]][:1] == [","]:
        return before
    return after


def chain(findings: Sequence[Span], number: int, joins: set[int]) -> list[int]:
    """Return the findings that stand in one list with a finding, before it: "fracture or dislocation of"."""
    listed = []
    while number > 0:
        a, b = findings[number - 1][1], findings[number][0]
        if not (a < b and b - a <= 4 and any(at in joins for at in range(a, b))):
            break
        number -= 1
        listed.append(number)
    return listed


def following(findings: Sequence[Span], number: int, joins: set[int], stops: set[int]) -> list[int]:
    """Return the findings that stand in one list with a finding, behind it: "in the left lung X and Y"."""
    listed = []
    while number + 1 < len(findings):
        a, b = findings[number][1], findings[number + 1][0]
        if not (a < b and b - a <= 4 and any(at in joins for at in range(a, b))):
            break
        if not stops.isdisjoint(range(a, b)):  # a verb closes the statement before it
            break
        number += 1
        listed.append(number)
    return listed
