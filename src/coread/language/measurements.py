"""Sizes in a text: values in millimetres, current or prior, with series and image."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise

from coread.language.matching import Match, Matched, inside
from coread.language.values import Words

_UNIT = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|milimetre|santimetre)"
_NUMBER = r"\d+(?:[.,]\d+)?"
_AXIS = r"(?:\s*\(?(?:AP|ML|CC|TR|SI|RL|T|L|W|H|transverse|craniocaudal|anteroposterior)\)?(?![a-z]))?"
_SIZE = re.compile(
    rf"(?<![\w.,/])(?P<numbers>{_NUMBER}(?:\s*-?{_UNIT})?{_AXIS}"
    rf"(?:\s*(?:x|×|\*|by)\s*{_NUMBER}(?:\s*-?{_UNIT})?{_AXIS}){{0,2}})"
    rf"(?P<range>\s*(?:-|–)\s*{_NUMBER}\s*{_UNIT})?(?!\w)",
    re.I,
)
_UNITS = re.compile(_UNIT, re.I)
_VALUES = re.compile(_NUMBER)
_BARE = re.compile(rf"({_NUMBER}(?:\s*[x×*]\s*{_NUMBER}){{0,2}})\s*(?:to|-|–|→|->|'?d[ea]n)\s*$", re.I)
_GROWN = re.compile(
    r"\b(?:from|increased|decreased|grown|grew|enlarged|changed)\b[^.;]{0,40}$|d[ea]n\s*$", re.I
)
_ABLATIVE = re.compile(r"['’]?[dt][ae]n\b")
_SERIES = re.compile(r"\b(?:series|ser|se|seri)\s*[:#]?\s*(\d+)", re.I)
_IMAGE = re.compile(
    r"\b(?:image|images|img|im|imaj|görüntü|kesit)(?:\s*(?:no|number|numara))?\s*[:#.]?\s*(\d+)", re.I
)
_PAIR = re.compile(r"\(\s*(\d{1,2})\s*[/:]\s*(\d{1,4})\s*\)")
_BOTH = re.compile(r"\b(?:series|se|seri)\s*/\s*(?:image|im|imaj)\s*[:#]?\s*(\d+)\s*/\s*(\d+)", re.I)
_HALF_UP = 1e-9


@dataclass(slots=True)
class Size:
    """A size with where it stands and whether the prior study had it."""

    values: tuple[float, ...]
    start: int
    end: int
    first: int
    last: int
    prior: bool = False
    weak: bool = False
    cue: Words | None = None


def sizes(
    matched: Matched, sentence: tuple[int, int], measures: list[Match], skip: list[Match]
) -> list[Size]:
    """Return the sizes of a sentence in order; limits of normal and technical lengths are none.

    Args:
        matched: The text.
        sentence: Its tokens.
        measures: Words about measurements in the sentence.
        skip: Places of words that make a length an instruction ("retract by").
    """
    text = matched.text
    begin, stop = matched.span(*sentence)
    found: list[Size] = []
    for match in _SIZE.finditer(text, begin, stop):
        words = match.group()
        unit = _UNITS.findall(words)
        if not unit:
            continue
        if (
            match.group("range")
            and not _UNITS.search(match.group("numbers"))
            and "x" in match.group("numbers")
        ):
            continue
        first = bisect_left(matched.starts, match.start())
        last = bisect_left(matched.starts, match.end())
        if _no_size(matched, sentence, first, last, measures, skip):
            continue
        values = _values(words)
        size = Size(values, match.start(), match.end(), first, last)
        _time_of(matched, sentence, size, measures, found[-1].last if found else sentence[0])
        found.append(size)
        before = _BARE.search(text, max(begin, match.start() - 24), match.start())
        if before and not (len(found) > 1 and found[-2].end > before.start()):
            scale = 10.0 if unit[-1][0].lower() in "cs" else 1.0
            earlier = tuple(round(_number(v) * scale, 3) for v in _VALUES.findall(before.group(1)))
            start = bisect_left(matched.starts, before.start(1))
            if _GROWN.search(text, begin, before.start(1)):
                found.insert(-1, Size(earlier, before.start(1), before.end(1), start, start + 1, prior=True))
                size.prior = size.weak = False
            else:  # a range
                size.values = (*earlier, *size.values)
    for size, following in pairwise(found):
        if not following.prior and _ABLATIVE.match(text, size.end):
            size.prior = True
    if sum(not size.prior for size in found) > 1 or any(size.weak for size in found):
        current = [s for s in found if not s.prior and not s.weak]
        if current and len(found) > 1:
            for size in found:
                size.prior = size.prior or size.weak
    return found


def _values(words: str) -> tuple[float, ...]:
    """Return lengths in mm; one unit after the last number holds for all before it that have none."""
    parts = [(float("nan"), "")]
    parts.clear()
    place = 0
    for match in _VALUES.finditer(words):
        parts.append((_number(match.group()), ""))
        following = _UNITS.match(words, re.compile(r"[\s-]*").match(words, match.end()).end())  # type: ignore[union-attr]
        if following:
            parts[-1] = (parts[-1][0], following.group())
        place = match.end()
    if parts and not parts[-1][1]:
        tail = _UNITS.search(words, place)
        parts[-1] = (parts[-1][0], tail.group() if tail else "mm")
    unit = parts[-1][1]
    values: list[float] = []
    for value, own in reversed(parts):
        unit = own or unit
        values.append(round(value * (10.0 if unit[0].lower() in "cs" else 1.0), 3))
    return tuple(reversed(values))


def _number(word: str) -> float:
    return float(word.replace(",", "."))


def _no_size(
    matched: Matched,
    sentence: tuple[int, int],
    first: int,
    last: int,
    measures: list[Match],
    skip: list[Match],
) -> bool:
    for start, end, payloads in measures:
        kind = payloads[0][1]
        kinds = {payload[1] for payload in payloads}
        if "technical" in kinds and 0 <= start - last < 3 and not _closed(matched, last, start):
            return True
        if "thickness" in kinds and 0 <= first - end < 3 and not _closed(matched, end, first):
            return True
        if kind == "reference" and 0 <= first - end < 5 and not _closed(matched, end, first):
            return True
        if kind == "reference" and 0 <= start - last < 2 and matched.words[start - 1] == "(":
            return False
    for start, end, payloads in skip:
        if payloads[0][1] == "tube repositioning" and (0 <= first - end < 5 or 0 <= start - last < 3):
            return True
    return False


def _closed(matched: Matched, start: int, end: int) -> bool:
    return any(word in "();," for word in matched.words[start:end])


def _time_of(
    matched: Matched, sentence: tuple[int, int], size: Size, measures: list[Match], since: int
) -> None:
    """Set whether a size is of the prior study by the nearest word of time before it, or right after it."""
    for start, end, payloads in reversed(inside(measures, since, size.first)):
        kinds = {p[1] for p in payloads}
        if "current" in kinds and "prior" not in kinds:
            break
        if "prior" in kinds:
            a, b = matched.span(start, end)
            word = matched.text[a:b].lower()
            size.cue = Words(matched.text[a:b], a, b, "prior")
            if word in ("was", "measured", "from", "versus", "before", "had measured", "initially"):
                size.weak = True
            else:
                size.prior = True
            break
    if size.prior:
        return
    for start, end, payloads in inside(measures, size.last, min(size.last + 5, sentence[1])):
        following = matched.words[end : end + 2]
        if any(
            word in ",;" or word[0].isdigit() for word in (*matched.words[size.last : start], *following[:1])
        ):
            break
        kinds = {p[1] for p in payloads}
        if "prior" in kinds and "current" not in kinds:
            a, b = matched.span(start, end)
            if matched.words[start].lower() in ("from", "was", "compared", "versus"):
                break
            size.prior = True
            size.cue = Words(matched.text[a:b], a, b, "prior")
        break


def references(text: str, start: int, end: int) -> tuple[int | None, int | None]:
    """Return (series, image) that a stretch of text names."""
    both = _BOTH.search(text, start, end)
    if both:
        return int(both.group(1)), int(both.group(2))
    series = _SERIES.search(text, start, end)
    image = _IMAGE.search(text, start, end)
    if series or image:
        return (int(series.group(1)) if series else None, int(image.group(1)) if image else None)
    pair = _PAIR.search(text, start, end)
    return (int(pair.group(1)), int(pair.group(2))) if pair else (None, None)
