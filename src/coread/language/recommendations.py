"""What a sentence asks for next, and when."""

from __future__ import annotations

from coread.language.matching import Match, Matched, inside
from coread.language.morphology import NUMBER
from coread.language.packs import ACTION, EXAM, GRAMMAR, REGION, TIME, Pack
from coread.language.values import Recommendation, Words

_MONTHS = {"day": 1 / 30.4, "week": 1 / 4.345, "month": 1.0, "year": 12.0}


def recommendation(
    matched: Matched, sentence: tuple[int, int], number: int, rules: Pack, *, section: str
) -> Recommendation | None:
    """Return the recommendation of a sentence, or None.

    It takes a word that asks ("recommended", "önerilir") with an examination, an examination with a time
    ("CT in 3 months"), or a word that denies further steps.
    """
    actions = inside(matched.groups[ACTION], *sentence)
    exams = inside(matched.groups[EXAM], *sentence)
    if not (actions or exams):
        return None
    kinds = {payload[1]: match for match in actions for payload in match[2]}
    if "deny" in kinds:
        return Recommendation(
            what="none",
            min_months=None,
            max_months=None,
            sentence=number,
            cues=_cues(matched, [kinds["deny"]]),
        )
    if not exams:
        return None
    times = inside(matched.groups[TIME], *sentence)
    interval = _interval(matched, sentence, times, rules)
    ask = kinds.get("ask")
    if ask is None:
        joined = interval is not None and (
            interval[3] or any(p[1] == "follow-up" for exam in exams for p in exam[2])
        )
        if section == "recommendations":
            joined = True
        if not joined or section in ("indication", "technique", "comparison"):
            return None
    what, exam = _what(matched, exams, sentence, ask)
    if what == "follow-up" and "vague" in kinds and interval is None:
        return None
    if what == "tube repositioning":
        low: float | None = 0.0
        high: float | None = 0.0
    elif interval is not None:
        low, high = interval[0], interval[1]
    else:
        now = [t for t in times if any(p[1] == "now" for p in t[2])]
        low = high = 0.0 if now else None
    decided: list[Match] = [m for m in (ask, exam) if m is not None]
    cues = _cues(matched, decided)
    if interval is not None:
        a, b = matched.span(interval[2][0], interval[2][1])
        cues = (*cues, Words(matched.text[a:b], a, b, "interval"))
    return Recommendation(what=what, min_months=low, max_months=high, sentence=number, cues=cues)


def _cues(matched: Matched, matches: list[Match]) -> tuple[Words, ...]:
    spans = [matched.span(start, end) for start, end, _ in matches]
    return tuple(Words(matched.text[a:b], a, b, "recommendation") for a, b in spans)


def _what(
    matched: Matched, exams: list[Match], sentence: tuple[int, int], ask: Match | None
) -> tuple[str, Match]:
    """Return what is asked for; a named examination before "follow-up", a biopsy before its guidance."""
    specific = [e for e in exams if e[2][0][1] not in ("follow-up", "screening")]
    if len(specific) > 1 and ask is not None:
        # the one nearest to the asking word
        specific.sort(key=lambda e: min(abs(e[0] - ask[1]), abs(ask[0] - e[1])))
    exam = specific[0] if specific else exams[0]
    what = exam[2][0][1]
    if what in ("CT", "MRI", "ultrasound", "radiograph"):
        for start, end, payloads in inside(matched.groups[REGION], *sentence):
            if -1 <= exam[0] - end <= 2 or -1 <= start - exam[1] <= 3:
                return f"{what} {payloads[0][1]}", exam
    return what, exam


def _interval(
    matched: Matched, sentence: tuple[int, int], times: list[Match], rules: Pack
) -> tuple[float, float, tuple[int, int], bool] | None:
    """Return (least months, most months, tokens, whether a joining word stands by) of the first interval."""
    words = matched.words
    grammar = inside(matched.groups[GRAMMAR], *sentence)
    ago = {start for start, _, payloads in grammar if any(p[1] == "ago" for p in payloads)}
    joined = {start for start, _, payloads in grammar if any(p[1] == "joins" for p in payloads)}
    lasting = {end for _, end, payloads in grammar if any(p[1] == "lasting" for p in payloads)}
    joins = [m for m in times if any(p[1] == "join" for p in m[2])]
    ranges = {start for start, _, payloads in times if any(p[1] == "range" for p in payloads)}
    for start, end, payloads in times:
        names = {p[1] for p in payloads}
        unit = next((name for name in _MONTHS if name in names), None)
        amount = _amount(matched, start - 1, rules) if start > sentence[0] else None
        if unit is not None and amount is not None:
            first = start - 1
            low = high = amount
            if first - 2 >= sentence[0] and (words[first - 1] in "-–" or first - 1 in ranges):
                lower_end = _amount(matched, first - 2, rules)
                if lower_end is not None:
                    low, first = lower_end, first - 2
            while first - 2 >= sentence[0] and (
                words[first - 1] == "," or first - 1 in joined
            ):  # "at 3, 6 and 12"
                earlier = _amount(matched, first - 2, rules)
                if earlier is None:
                    break
                low, first = earlier, first - 2
            if end in ago or first in lasting:
                continue
            near = any(0 <= first - e <= 1 or 0 <= s - end <= 1 for s, e, _ in joins)
            factor = _MONTHS[unit]
            return round(low * factor, 1), round(high * factor, 1), (first, end), near
        if "yearly" in names:
            return 12.0, 12.0, (start, end), True
        if "half_yearly" in names:
            return 6.0, 6.0, (start, end), True
        if (
            unit is not None
            and start > sentence[0]
            and any(e == start and any(p[1] == "one" for p in ps) for _, e, ps in times)
        ):
            factor = _MONTHS[unit]
            return round(factor, 1), round(factor, 1), (start - 1, end), True
    return None


def _amount(matched: Matched, token: int, rules: Pack) -> float | None:
    if matched.codes[token] == NUMBER or matched.words[token][0].isdigit():
        try:
            return float(matched.words[token].replace(",", "."))
        except ValueError:
            return None
    return float(rules.numbers[low]) if (low := matched.words[token].lower()) in rules.numbers else None
