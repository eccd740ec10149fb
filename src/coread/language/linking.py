"""Which finding a size belongs to, with its prior value, series and image."""

from __future__ import annotations

from dataclasses import replace

from coread.language.matching import Matched, inside
from coread.language.measurements import Size, references
from coread.language.modifiers import Span
from coread.language.packs import GRAMMAR
from coread.language.values import TextFinding, TextMeasurement, Words

# a change of size is stated by the numbers alone where it is larger than repeat measurements differ
_CHANGE_BY_SIZE = 0.2


def link(
    matched: Matched,
    number: int,
    found: list[Size],
    spans: list[Span],
    findings: list[TextFinding],
    *,
    last: int | None,
) -> list[TextMeasurement]:
    """Return the sizes of a sentence as measurements of its findings.

    Args:
        matched: The text.
        number: Of the sentence.
        found: Its sizes.
        spans: Tokens of its findings.
        findings: All findings so far, those of this sentence last; the change that sizes state is set there.
        last: The finding that "this measures" speaks of, or None.
    """
    first = len(findings) - len(spans)
    sentence = matched.sentences[number]
    linked: list[TextMeasurement] = []
    current = [size for size in found if not size.prior] or found
    priors = [size for size in found if size.prior and size not in current]
    begin, stop = matched.span(*sentence)
    for place, size in enumerate(current):
        following = current[place + 1].start if place + 1 < len(current) else stop
        preceding = current[place - 1].end if place else begin
        prior = next((p for p in priors if size.end <= p.start < following), None)
        if prior is None:
            prior = next((p for p in priors if preceding <= p.start < size.start), None)
        of = _measured(matched, size, spans, findings, last)
        series, image = references(matched.text, size.start, following)
        if series is None and image is None:
            series, image = references(matched.text, preceding, size.start)
        if series is None and image is None and of is not None and of < first:
            source = matched.sentences[findings[of].sentence]
            series, image = references(matched.text, *matched.span(*source))
        cues = [Words(matched.text[size.start : size.end], size.start, size.end, "size")]
        if prior is not None:
            cues.append(Words(matched.text[prior.start : prior.end], prior.start, prior.end, "prior size"))
            if prior.cue is not None:
                cues.append(prior.cue)
            if of is not None:
                _change(findings, of, size.values, prior.values)
        linked.append(
            TextMeasurement(
                values_mm=size.values,
                sentence=number,
                prior_mm=None if prior is None else prior.values,
                series=series,
                image=image,
                of=None if of is None else findings[of].finding,
                finding=of,
                cues=tuple(cues),
            )
        )
    return linked


def _measured(
    matched: Matched, size: Size, spans: list[Span], findings: list[TextFinding], last: int | None
) -> int | None:
    """Return which finding a size belongs to: the one it stands right before, else the one before it."""
    words = matched.words
    first = len(findings) - len(spans)
    before = after = None
    first_token = spans[0][1] if spans else size.first
    grammar = inside(matched.groups[GRAMMAR], first_token, size.first)
    opened = {at for at, _, said in grammar if any(p[1] == "opens" for p in said)}
    for number, (a, b) in enumerate(spans):
        if a <= size.first < b:
            return first + number
        if b <= size.first:
            before = number
        elif a >= size.last and after is None:
            after = number
    if after is not None:
        gap = words[size.last : spans[after][0]]
        near = len(gap) <= 6 and not any(w in ",;()." for w in gap)
        tied = (
            before is not None
            and not opened.intersection(range(spans[before][1], size.first))
            and size.first - spans[before][1] <= 2
            and "," not in words[spans[before][1] : size.first]
        )
        absent = findings[first + after].status == "absent" and before is not None
        if near and not tied and not absent:
            return first + after
    if before is not None:
        candidates = [n for n in range(before, -1, -1) if findings[first + n].status != "absent"]
        return first + (candidates[0] if candidates else before)
    if after is not None and findings[first + after].status != "absent":
        return first + after
    return last if not spans else None


def _change(findings: list[TextFinding], of: int, now: tuple[float, ...], then: tuple[float, ...]) -> None:
    finding = findings[of]
    if finding.change is None and then and now and max(then) > 0:
        ratio = max(now) / max(then) - 1
        if abs(ratio) >= _CHANGE_BY_SIZE:
            findings[of] = replace(finding, change="increased" if ratio > 0 else "decreased")
