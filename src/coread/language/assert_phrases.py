"""What a sentence says of a phrase in it."""

from __future__ import annotations

from dataclasses import replace

from coread.errors import InputError
from coread.language.assertion import HISTORICAL, NEGATED, OTHER, UNCERTAIN, CueMatch, scope
from coread.language.matching import Matched
from coread.language.packs import Pack, pack
from coread.language.tokens import lower, normalise
from coread.language.values import Assertion, Words

_ROLES = {NEGATED: "negated", UNCERTAIN: "uncertain", HISTORICAL: "historical", OTHER: "other_person"}


def assert_phrase(text: str, start: int, end: int, *, language: str = "en") -> Assertion:
    """Return what the sentence around ``text[start:end]`` says of these words.

    Args:
        text: A sentence or a report.
        start: First character of the phrase.
        end: Character after its last.
        language: Of a rule pack.

    Raises:
        InputError: The place is not in the text, or there is no such pack.

    Examples:
        >>> text = "No evidence of pneumothorax."
        >>> said = assert_phrase(text, 15, 27)
        >>> said.status, said.cues[0].text
        ('absent', 'No evidence of')
    """
    if not 0 <= start < end <= len(text):
        raise InputError(f"the phrase [{start}:{end}] is not in a text of {len(text)} characters")
    rules = pack(language)
    matched = Matched(normalise(text), rules)
    place = matched.place(start, end)
    if place is None:
        return Assertion()
    first = next((s for s in matched.sentences if s[0] <= place[0] < s[1]), (0, len(matched.words)))
    cues = [cue for cue in matched.cues if first[0] <= cue.start and cue.end <= first[1]]
    cues = [c for c in cues if not (place[0] <= c.start and c.end <= place[1])]
    said = assertion(matched, cues, *place)
    if not said.historical and _stands_alone(matched, *place, first, rules):
        a, b = matched.span(*place)
        return replace(said, historical=True, cues=(*said.cues, Words(matched.text[a:b], a, b, "historical")))
    return said


def assertion(matched: Matched, cues: list[CueMatch], start: int, end: int) -> Assertion:
    """Return the assertion on tokens ``[start, end)`` by the cues of their sentence."""
    flags, deciding = scope(cues, start, end)
    words = tuple(
        Words(matched.text[a:b], a, b, _ROLES[flag])
        for cue, flag in deciding
        for a, b in (matched.span(cue.start, cue.end),)
    )
    return Assertion(
        bool(flags & NEGATED),
        bool(flags & UNCERTAIN),
        bool(flags & HISTORICAL),
        bool(flags & OTHER),
        False,
        words,
    )


def _stands_alone(matched: Matched, start: int, end: int, sentence: tuple[int, int], rules: Pack) -> bool:
    """Return whether a chronic illness is all that its sentence says: an entry of a problem list."""
    before, after = start - sentence[0], sentence[1] - end
    if before > 3 or after > 1 or (after == 1 and matched.words[sentence[1] - 1] != "."):
        return False
    if before and not all(word in ".)-" or word.isdigit() for word in matched.words[sentence[0] : start]):
        return False
    name = lower(" ".join(matched.words[start:end]), turkish=rules.turkish)
    return name in rules.concepts.chronic
