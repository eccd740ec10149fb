"""From a written word to a word of the pack: endings, spellings, missing marks, slips of the hand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from coread.language.tokens import lower, similar

UNKNOWN, NUMBER, LINE = "\u0001", "\u0002", "\u0003"
_CACHE_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Morphology:
    """How the words of a language change.

    Attributes:
        suffixes: (ending, what replaces it), the longest first.
        soften: (soft, hard) consonants at the end of a stem.
        verbs: Forms of verbs and the word that stands for them.
        minimum: Letters of the shortest word with an ending.
        repeat: How many endings follow one another.
        turkish: Whether lower case follows the dotted and dotless i.
        vowels: Vowels that may not meet between stem and ending; empty where they may.
        buffers: Consonants that part them.
        fold: Letters that people type without their marks, and what they type.
        spellings: (another spelling, that of the pack) of letters within a word.
        mend: Letters of the shortest word that a slip is mended to; short words are too near to one another.
        mend_finding: The same for words that name a finding.
        keep: Words that are right although they look like a slip.
        kept: The same as a pattern.
        forms: Whole forms of verbs that slips are compared with.
        unsure: What a slip stands for that may be of a verb or of its opposite.
    """

    suffixes: tuple[tuple[str, str], ...] = ()
    soften: tuple[tuple[str, str], ...] = ()
    verbs: tuple[tuple[re.Pattern[str], str], ...] = ()
    minimum: int = 4
    repeat: int = 1
    turkish: bool = False
    vowels: str = ""
    buffers: str = ""
    fold: Mapping[int, str] = field(default_factory=dict)
    spellings: tuple[tuple[str, str], ...] = ()
    mend: int = 6
    mend_finding: int = 6
    keep: frozenset[str] = frozenset()
    kept: re.Pattern[str] | None = None
    forms: tuple[str, ...] = ()
    unsure: str = ""

    def folded(self) -> Morphology:
        """Return the same for words without their marks."""

        def plain(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
            return tuple(dict.fromkeys((a.translate(self.fold), b.translate(self.fold)) for a, b in pairs))

        return replace(
            self,
            suffixes=plain(self.suffixes),
            soften=plain(self.soften),
            verbs=tuple((re.compile(p.pattern.translate(self.fold)), word) for p, word in self.verbs),
            vowels=self.vowels.translate(self.fold),
        )

    def fits(self, stem: str, ending: str) -> bool:
        """Return whether an ending may follow a stem: vowels do not meet."""
        if not self.vowels or not ending:
            return True
        after_vowel = stem[-1:] in self.vowels
        if ending[0] in self.vowels:
            return not after_vowel
        if ending[0] in self.buffers and ending[1:2] and ending[1] in self.vowels:
            return after_vowel
        return True

    def reduce(self, word: str, known: Mapping[str, Any]) -> str | None:
        """Return the known word that this one is a form of, or None."""
        if "'" in word or "’" in word:
            stem = re.split("['’]", word, maxsplit=1)[0]
            if stem in known:
                return stem
            found = self.reduce(stem, known) if stem else None
            if found is not None:
                return found
        for pattern, target in self.verbs:
            if pattern.fullmatch(word):
                return target
        return next((stem for stem in self.stems(word) if stem in known), None)

    def spelt(self, word: str, known: Mapping[str, Any]) -> str | None:
        """Return the known word of which this is another spelling, or None."""
        changed = word
        for other, ours in self.spellings:
            if other not in changed:
                continue
            for candidate in (word.replace(other, ours), changed := changed.replace(other, ours)):
                found = candidate if candidate in known else self.reduce(candidate, known)
                if found is not None:
                    return found
        return None

    def stems(self, word: str) -> Iterable[str]:
        """Yield what is left of a word without one ending, without two, and so on."""
        if len(word) < self.minimum:
            return
        forms = [word]
        for _ in range(self.repeat):
            shorter: list[str] = []
            for form in forms:
                for ending, to in self.suffixes:
                    if not form.endswith(ending):
                        continue
                    stem = form[: len(form) - len(ending)] + to
                    if len(stem) < 3 or not self.fits(stem, ending):
                        continue
                    yield stem
                    for soft, hard in self.soften:
                        if stem.endswith(soft):
                            yield stem[: -len(soft)] + hard
                    shorter.append(stem)
            forms = shorter


class WordCodes(dict[str, str]):
    """One character for each word of the pack; other words are led back to it, each once.

    Tried in this order: the word, its stem, another spelling of it, the word without its marks, and a word
    one slip of the hand away where only one comes into question; `own` are the words slips are mended to.
    """

    def __init__(self, base: Mapping[str, str], morphology: Morphology, own: Iterable[str] = ()) -> None:
        super().__init__()
        self.base = base
        self.morphology = morphology
        self.own = frozenset(own)
        self._plain: tuple[Morphology, dict[str, str]] | None = None
        self._slips: dict[str, list[tuple[str, str]]] | None = None
        self._verbs = frozenset(form.translate(morphology.fold) for form in morphology.forms)

    def __missing__(self, word: str) -> str:
        code = self._code(word)
        if len(self) < _CACHE_LIMIT:
            self[word] = code
        return code

    def _code(self, word: str) -> str:
        first = word[0]
        if first == "\n":
            return LINE
        low = lower(word, turkish=self.morphology.turkish)
        if low in self.base:
            return self.base[low]
        if first.isdigit():
            return NUMBER
        if not first.isalpha():
            return UNKNOWN
        plain = low.translate(self.morphology.fold)
        if self.morphology.fold and plain in self._without_marks()[1]:
            return self._without_marks()[1][plain]
        found = self.morphology.reduce(low, self.base) or self.morphology.spelt(low, self.base)
        if found is not None:
            return self.base[found]
        if self.morphology.fold:
            forms, words = self._without_marks()
            stem = forms.reduce(plain, words)
            if stem is not None:
                return words.get(stem) or self.base[stem]
        return self._mended(low) or UNKNOWN

    def _without_marks(self) -> tuple[Morphology, dict[str, str]]:
        """Return the morphology and the codes of words without their marks; a doubtful one is left out."""
        if self._plain is None:
            words: dict[str, str] = {}
            doubtful: set[str] = set()
            for word, code in self.base.items():
                plain = word.translate(self.morphology.fold)
                if words.setdefault(plain, code) != code and word != plain:
                    doubtful.add(plain)
            for plain in doubtful - set(self.base):
                del words[plain]
            words.update(self.base)
            self._plain = (self.morphology.folded(), words)
        return self._plain

    def _mended(self, word: str) -> str | None:
        """Return the code of the one word that this is a slip of, or None."""
        rules = self.morphology
        if len(word) < rules.mend_finding - 1 or word in rules.keep or not word.isalpha():
            return None
        if rules.kept is not None and rules.kept.fullmatch(word):
            return None
        if self._slips is None:
            self._slips = {}
            forms = {form: self.morphology.reduce(form, self.base) for form in self.morphology.forms}
            known = {word: self.base[word] for word in self.own if word in self.base}
            known |= {form: self.base[stem] for form, stem in forms.items() if stem is not None}
            for right, code in sorted(known.items()):
                if right.isalpha():
                    plain = right.translate(self.morphology.fold)
                    for key in _shortened(plain):
                        self._slips.setdefault(key, []).append((plain, code))
        plain = word.translate(self.morphology.fold)
        for form in (plain, *self._without_marks()[0].stems(plain)):
            if len(form) < rules.mend_finding - 1:
                continue
            near = {
                (right, code)
                for key in _shortened(form)
                for right, code in self._slips.get(key, ())
                if right[0] == form[0] and similar(form, right)
            }
            if near:
                codes = {code for _, code in near}
                if len(codes) > 1 and all(right in self._verbs for right, _ in near):
                    return self.base.get(rules.unsure)  # a finding is denied or not: nobody can tell
                return codes.pop() if len(codes) == 1 else None
        return None


def _shortened(word: str) -> list[str]:
    return [word, *(word[:i] + word[i + 1 :] for i in range(len(word)))]
