"""The language of a text and the sections of a report."""

from __future__ import annotations

from functools import lru_cache

from coread.language.morphology import UNKNOWN
from coread.language.packs import Pack, languages, pack
from coread.language.tokens import heading_places, lower, similar
from coread.language.values import TextSection

_TURKISH_LETTERS = frozenset("ığşİĞŞ")


def detect(text: str) -> str:
    """Return the language of a text: the rule pack whose common words it has most of; English where none.

    Examples:
        >>> detect("Plevral efüzyon saptanmadı."), detect("No effusion.")
        ('tr', 'en')
    """
    names = languages()
    if len(names) < 2:
        return names[0]
    bare = [word.strip(".,;:()") for word in text.split()]
    words = {lower(word, turkish=False) for word in bare}
    scores = [
        (sum(word in pack(name).detect for word in {pack(name).plain(word) for word in bare}), -number, name)
        for number, name in enumerate(names)
    ]
    if "tr" in names and not _TURKISH_LETTERS.isdisjoint(text):
        scores = [(score + 2 * (name == "tr"), number, name) for score, number, name in scores]
    best = max(scores)
    if (
        sum(score == best[0] for score, *_ in scores) > 1
    ):  # neither says more: whose vocabulary has more of it?
        known = [
            (sum(pack(name).words[word] != UNKNOWN for word in words if word.isalpha()), number, name)
            for score, number, name in scores
            if score == best[0]
        ]
        best = max(known)
    return best[2]


def sections(text: str, rules: Pack) -> tuple[TextSection, ...]:
    """Return the sections of a text: known headings, with one typing error at most; `body` where none is."""
    found: list[tuple[int, int, str, str]] = []
    for start, end, words in heading_places(text):
        name = _section(rules.plain(words), rules)
        if name is not None:
            found.append((start, end, name, words))
    if not found or found[0][0] > 0:
        found.insert(0, (0, 0, "body", ""))
    ends = [start for start, *_ in found[1:]] + [len(text)]
    return tuple(
        TextSection(name, words, end, stop) for (_, end, name, words), stop in zip(found, ends, strict=True)
    )


@lru_cache(maxsize=4096)
def _section(heading: str, rules: Pack) -> str | None:
    heading = " ".join(heading.split())
    found = rules.sections.get(heading)
    if found is None and len(heading) >= 6:
        for known, name in rules.sections.items():
            if abs(len(known) - len(heading)) <= 1 and len(known) >= 7 and similar(known, heading):
                return name
    return found
