"""Words, sentences and sections of a report, with their places in the text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Set as AbstractSet

_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’][^\W\d_]+)*|\n[ \t\r\n]*|_+"
    r"|(?!(?<=[^\W\d_])-(?=[^\W\d_]))[^\w\s]"
)
_LIST_MARK = re.compile(r"[ \t]*(?:\(?\d{1,2}[.)]|[-*•])")
_LONGEST = 200
# a full stop after these does not end a sentence
_ABBREVIATIONS = frozenset(
    (
        "dr",
        "mr",
        "mrs",
        "ms",
        "prof",
        "st",
        "vs",
        "approx",
        "cf",
        "fig",
        "uzm",
        "doç",
        "yrd",
        "bkz",
        "nr",
        "sn",
        "lt",
        "rt",
        "bilat",
        "evid",
        "susp",
        "poss",
        "prob",
    )
)


def normalise(text: str) -> str:
    """Return the text in NFC, so that a letter has one form.

    Offsets in results belong to this form; ASCII and NFC text stay as they are.
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def lower(text: str, *, turkish: bool) -> str:
    """Return lower case; in Turkish I becomes ı and İ becomes i.

    Examples:
        >>> lower("IŞIK İZLENDİ", turkish=True)
        'ışık izlendi'
    """
    if turkish:
        return text.replace("I", "ı").replace("İ", "i").lower()
    return text.lower().replace("i̇", "i")


def tokenise(text: str) -> tuple[list[str], list[int], list[int]]:
    """Return tokens with their starts and ends.

    A token is a word, a number, one punctuation mark or a run of line ends. Hyphens inside a word are left
    out, so that ``ground-glass`` and ``ground glass`` are the same two tokens.
    """
    spans = [match.span() for match in _TOKEN.finditer(text)]
    return [text[a:b] for a, b in spans], [a for a, _ in spans], [b for _, b in spans]


def sentence_bounds(
    text: str, words: list[str], starts: list[int], ends: list[int], headed: AbstractSet[int] = frozenset()
) -> list[tuple[int, int]]:
    """Return (first token, token after the last) of every sentence.

    Sentences end at full stop, question mark, exclamation mark, at empty lines, and at line ends before a
    heading, a list mark or a capital; the mark of a numbered list ends none. ``headed`` are
    the tokens behind headings; a sentence begins there. Dictation without any mark is
    cut after 200 tokens, so that the work grows with the length of the text and not with its square.
    """
    bounds: list[tuple[int, int]] = []
    first = 0
    count = len(words)
    for i, word in enumerate(words):
        if i in headed and i > first:
            bounds.append((first, i))
            first = i
        head = word[0]
        if head == "\n":
            if i > first and _breaks(text, words, ends, i):
                bounds.append((first, i))
                first = i + 1
            elif i == first:
                first = i + 1
        elif head in ".?!" and i + 1 < count:
            after = starts[i + 1]
            gap = after > ends[i]
            following = text[after]
            if head == "." and i > first:
                before = words[i - 1]
                if gap and before.lower() in _ABBREVIATIONS:
                    continue
                numbered = before.isdigit() and i - 1 == first
                if numbered or (len(before) == 1 and before.isalpha() and not gap):
                    continue
                if not gap and not following.isupper() and following != "\n":
                    continue
            if i >= first:
                bounds.append((first, i + 1))
            first = i + 1
    if first < count:
        bounds.append((first, count))
    return [
        (start, min(start + _LONGEST, stop))
        for first, stop in bounds
        for start in range(first, stop, _LONGEST)
    ]


def _breaks(text: str, words: list[str], ends: list[int], i: int) -> bool:
    if words[i].count("\n") > 1:
        return True
    rest = text[ends[i] : ends[i] + 6]
    if not rest:
        return True
    if _LIST_MARK.match(rest):
        return True
    before = words[i - 1]
    if before in ",;-/(" or before.lower() in (
        "and",
        "or",
        "the",
        "of",
        "with",
        "in",
        "a",
        "no",
        "ve",
        "veya",
    ):
        return False
    return rest[0].isupper()


_HEADING = re.compile(
    r"(?:^|(?<=\n)|(?<=[.;:] )|(?<=[.;:]  ))[ \t]*([^\W\d_][^\n:.;,()\[\]]{1,48}?)[ \t]*:(?=\s|$|[^\W\d])"
)


def heading_places(text: str) -> list[tuple[int, int, str]]:
    """Return (start, end, words) of what looks like a heading: a few words before a colon."""
    return [(m.start(1), m.end(), m.group(1)) for m in _HEADING.finditer(text)] if ":" in text else []


def similar(word: str, other: str) -> bool:
    """Return whether two words are one edit (insert, drop, change, swap) apart.

    Examples:
        >>> similar("ndication", "indication"), similar("fidnings", "findings"), similar("cat", "dog")
        (True, True, False)
    """
    a, b = (word, other) if len(word) <= len(other) else (other, word)
    if len(b) - len(a) > 1:
        return False
    i = 0
    while i < len(a) and a[i] == b[i]:
        i += 1
    if len(a) < len(b):
        return a[i:] == b[i + 1 :]
    return a[i + 1 :] == b[i + 1 :] or (a[i + 2 :] == b[i + 2 :] and a[i : i + 2] == b[i : i + 2][::-1])
