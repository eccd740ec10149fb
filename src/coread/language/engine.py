"""From the text of a report to its structure; deterministic, one pass, every statement with its words."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from coread.language import measurements
from coread.language.assert_phrases import assertion
from coread.language.assertion import CueMatch
from coread.language.drafts import Draft, attach
from coread.language.linking import link
from coread.language.matching import Match, Matched, inside
from coread.language.modifiers import Span
from coread.language.packs import (
    EXAM,
    FINDING,
    GRAMMAR,
    MEASURE,
    SEVERITY,
    SIDE,
    SITE,
    STATE,
    SUBJECT,
    TOLD,
    Pack,
    pack,
)
from coread.language.recommendations import recommendation
from coread.language.sections import detect, sections
from coread.language.tokens import normalise
from coread.language.urgency import urgency
from coread.language.values import (
    Recommendation,
    StructuredReport,
    TextFinding,
    TextMeasurement,
    TextSection,
    Words,
)

VERSION = "1"
_UNSAID = frozenset({"technique", "comparison", "dose"})
_DIGIT = re.compile(r"\d")
_LEVEL = re.compile(r"\b[CTLS]\d{1,2}(?:\s?[-/]\s?[CTLS]?\d{1,2})?(?!\w)")
_SEGMENT = re.compile(r"\b(?:segments?|seg\.?)\s+([IV]{1,4}[AB]?|[1-8])\b|\b([1-8])\.? segment", re.I)
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


def structure(text: str, language: str = "auto") -> StructuredReport:
    """Return the structure of a report's text.

    Args:
        text: A report, a section or a sentence; empty text gives an empty structure.
        language: ``auto`` or the language of a rule pack (``en``, ``tr``).

    Raises:
        InputError: There is no pack of this language.

    Examples:
        >>> report = structure("No pneumothorax. 6 mm nodule in the right upper lobe.")
        >>> [(f.finding, f.status, f.laterality) for f in report.findings]
        [('pneumothorax', 'absent', None), ('nodule', 'present', 'right')]
        >>> report.measurements[0].of, report.measurements[0].values_mm
        ('nodule', (6.0,))
    """
    text = normalise(text)
    rules = pack(detect(text) if language == "auto" else language)
    parts = sections(text, rules)
    matched = Matched(text, rules, parts)
    reader = _Reader(matched, rules, parts)
    for number, sentence in enumerate(matched.sentences):
        reader.read(sentence, number)
    return reader.report()


class _Reader:
    """Reads sentence after sentence and keeps what was found."""

    def __init__(self, matched: Matched, rules: Pack, sections: tuple[TextSection, ...]) -> None:
        self.matched = matched
        self.rules = rules
        self.sections = sections
        self.section_starts = [section.start for section in sections]
        self.findings: list[TextFinding] = []
        self.measurements: list[TextMeasurement] = []
        self.recommendations: list[Recommendation] = []
        self.last: int | None = None  # the finding that "this measures" speaks of
        self.cue_pointer = 0

    def read(self, sentence: Span, number: int) -> None:
        """Read one sentence."""
        matched = self.matched
        stop = matched.ends[sentence[1] - 1]
        section = self.sections[max(bisect_left(self.section_starts, stop) - 1, 0)].name
        if section == "body" and number == 0 and self._is_title(sentence):
            section = "technique"
        findings = inside(matched.groups[FINDING], *sentence)
        subjects = inside(matched.groups[SUBJECT], *sentence)
        states = inside(matched.groups[STATE], *sentence)
        asked = recommendation(matched, sentence, number, self.rules, section=section)
        if asked is not None:
            self.recommendations.append(asked)
        drafts: list[Draft] = []
        if (findings or subjects) and section not in _UNSAID:
            cues = self._cues(sentence)
            drafts = self._drafts(sentence, findings, subjects, states, cues)
            if drafts:
                attach(matched, self.rules, sentence, drafts, cues)
                for draft in drafts:
                    named = self.rules.concepts.in_place.get(draft.name, {})
                    draft.name = named.get(draft.part or "") or named.get(draft.organ or "") or draft.name
                drafts = self._merge_signs(drafts)
        sizes: list[measurements.Size] = []
        start = matched.starts[sentence[0]]
        if section not in _UNSAID and _DIGIT.search(matched.text, start, stop):
            sizes = measurements.sizes(
                matched,
                sentence,
                inside(matched.groups[MEASURE], *sentence),
                inside(matched.groups[EXAM], *sentence),
            )
        if asked is not None and asked.what == "tube repositioning":
            for draft in drafts:
                if draft.name in self.rules.concepts.devices:
                    draft.qualifiers.append("malpositioned")
        first = len(self.findings)
        spans = [(d.start, d.end) for d in drafts]
        self.findings.extend(self._finding(draft, section, number) for draft in drafts)
        if sizes:
            self.measurements.extend(link(matched, number, sizes, spans, self.findings, last=self.last))
        present = [i for i in range(first, len(self.findings)) if self.findings[i].status != "absent"]
        if present:
            self.last = present[0]

    def _is_title(self, sentence: Span) -> bool:
        """Return whether the first line names the examination, before headings."""
        words = self.matched.words[sentence[0] : sentence[1]]
        return (
            len(self.sections) > 1
            and words[-1] not in ".?!"
            and len(words) <= 15
            and bool(inside(self.matched.groups[EXAM], *sentence))
        )

    def _cues(self, sentence: Span) -> list[CueMatch]:
        cues = self.matched.cues
        at = self.cue_pointer
        while at < len(cues) and cues[at].start < sentence[0]:
            at += 1
        stop = at
        while stop < len(cues) and cues[stop].end <= sentence[1]:
            stop += 1
        self.cue_pointer = stop
        return cues[at:stop]

    def _drafts(
        self,
        sentence: Span,
        findings: list[Match],
        subjects: list[Match],
        states: list[Match],
        cues: list[CueMatch],
    ) -> list[Draft]:
        drafts: list[Draft] = []
        used: list[Span] = []
        if subjects and states:
            for draft, state in self._states(sentence, findings, subjects, states, cues):
                drafts.append(draft)
                used.append(state)
                used.append((draft.start, draft.end))
        procedures = self.rules.concepts.procedures
        because = [
            m[1]
            for m in inside(self.matched.groups[GRAMMAR], *sentence)
            if any(p[1] == "because" for p in m[2])
        ]
        previous: Draft | None = None
        for start, end, payloads in findings:
            if any(start < b and a < end for a, b in used):
                continue
            inner = [c for c in cues if not (start <= c.start and c.end <= end)]
            said = assertion(self.matched, inner, start, end)
            if any(not payload[1] for payload in payloads):
                continue  # words that look like a finding and are none
            names = sorted(
                {payload[1] for payload in payloads}, key=lambda n: (n not in self.rules.concepts.critical, n)
            )
            for name in names[:1] if not self._both(names) else names:
                if (
                    previous is not None
                    and previous.name in procedures
                    and any(previous.end < at <= start for at in because)
                ):
                    continue  # why it was done
                if name in procedures and said.status == "present":
                    said = replace(said, historical=True)
                previous = Draft(name, start, end, said)
                drafts.append(previous)
        drafts.sort(key=lambda draft: draft.start)
        self._keep_doubt_near(drafts)
        return drafts

    def _keep_doubt_near(self, drafts: list[Draft]) -> None:
        """Lift a doubt said behind the next finding, where the two stand in no list."""
        matched = self.matched
        for draft, other in pairwise(drafts):
            doubts = [c for c in draft.said.cues if c.role == "uncertain"]
            if not draft.said.uncertain or not doubts or doubts[0].start < matched.starts[other.start]:
                continue
            gap = matched.words[draft.end : other.start]
            listed = any(
                not {"or", "and", "ve", "veya", "ya"}.isdisjoint(
                    w.lower() for w in matched.words[d.end : e.start]
                )
                for d, e in pairwise(drafts)
            )
            if "," in gap and (
                not listed or any(w.lower() not in (",", "or", "and", "ve", "veya", "ya", "da") for w in gap)
            ):
                kept = tuple(c for c in draft.said.cues if c.role != "uncertain")
                draft.said = replace(draft.said, uncertain=False, cues=kept)

    def _merge_signs(self, drafts: list[Draft]) -> list[Draft]:
        """Return drafts without signs of what is named beside them; that takes over their side and place."""
        signs = self.rules.concepts.signs
        kept = []
        for draft in drafts:
            shown = next((d for d in drafts if d.name in signs.get(draft.name, ())), None)
            if shown is None or (shown.said.status == "absent") != (draft.said.status == "absent"):
                kept.append(draft)
                continue
            shown.side = shown.side or draft.side
            shown.part = shown.part or draft.part
            shown.organ = shown.organ or draft.organ
            shown.cues.extend(draft.cues)
        return self._once(kept)

    @staticmethod
    def _once(drafts: list[Draft]) -> list[Draft]:
        """Return drafts without those that say again what one before them says."""
        kept: list[Draft] = []
        for draft in drafts:
            where = (draft.side, draft.part, draft.organ)
            same = [d for d in kept if (d.name, d.said.status) == (draft.name, draft.said.status)]
            if not any(where in ((None, None, None), (d.side, d.part, d.organ)) for d in same):
                kept.append(draft)
        return kept

    @staticmethod
    def _both(names: Iterable[str]) -> bool:
        return set(names) == {"hepatomegaly", "splenomegaly"}

    def _states(
        self,
        sentence: Span,
        findings: list[Match],
        subjects: list[Match],
        states: list[Match],
        cues: list[CueMatch],
    ) -> Iterable[tuple[Draft, Span]]:
        """Yield findings said as the state of an organ: "heart size is normal", "intact ligament"."""
        matched = self.matched
        named = [(start, end) for start, end, _ in findings]
        joined = {  # "measures 5 mm and is not dilated": the organ stays the same
            match[0]
            for match in inside(matched.groups[GRAMMAR], *sentence)
            if any(p[1] == "joins" for p in match[2])
        }
        placed = {
            at
            for group in (SIDE, SITE, SEVERITY)
            for match in inside(matched.groups[group], *sentence)
            for at in range(match[0], match[1])
        }
        for start, end, payloads in subjects:
            if any(a <= start and end <= b for a, b in named):
                continue
            rules = {payload[1] for payload in payloads}
            best: tuple[int, Match, int, str] | None = None
            for state in states:
                for payload in state[2]:
                    if payload[1] not in rules:
                        continue
                    if state[0] >= end:
                        distance = state[0] - end
                        limit = 9
                    elif state[1] <= start:
                        distance = (start - state[1]) * 2 + 1
                        limit = 8 if all(at in placed for at in range(state[1], start)) else 4
                    else:
                        continue
                    low, high = sorted((state[0], end)) if state[0] >= end else (state[1], start)
                    between = matched.words[low:high]
                    if any(word in ";." for word in between) or any(
                        c.barrier and not c.affirmed and low <= c.start < high and c.start not in joined
                        for c in cues
                    ):
                        continue
                    if distance < limit and (best is None or distance < best[0]):
                        best = (distance, state, payload[1], payload[2])
            if best is None:
                continue
            _, state, rule, kind = best
            low, high = min(start, state[0]), max(end, state[1])
            inner = [c for c in cues if not (state[0] <= c.start and c.end <= state[1])]
            said = assertion(matched, inner, state[0], state[1])
            a, b = matched.span(state[0], state[1])
            decided = Words(matched.text[a:b], a, b, "state")
            if kind == "normal":
                if said.negated:
                    continue
                said = replace(said, negated=True, uncertain=False)
            elif kind == "borderline" and not said.negated:
                said = replace(said, uncertain=True)
                decided = replace(decided, role="uncertain")
            draft = Draft(self.rules.rules[rule], low, high, replace(said, cues=(*said.cues, decided)))
            draft.state = (state[0], state[1])
            yield draft, draft.state

    def _finding(self, draft: Draft, section: str, number: int) -> TextFinding:
        matched = self.matched
        a, b = matched.span(draft.start, draft.end)
        said = draft.said
        status = said.status
        if draft.change == "resolved" and status in ("present", "uncertain"):
            status = "absent"
        if section == "indication" and status == "present":
            status = "uncertain"
        location = " ".join(part for part in (draft.organ, draft.part) if part) or None
        level = self._level(draft, number)
        if level is not None:
            location = level
        certainty = next((c.text.lower() for c in said.cues if c.role == "uncertain"), None)
        return TextFinding(
            finding=draft.name,
            status=status,
            start=a,
            end=b,
            sentence=number,
            section=section,
            code=self.rules.concepts.codes.get(draft.name),
            subject="other" if said.other_person else "patient",
            laterality=draft.side,
            location=location,
            severity=draft.severity,
            change=None if status == "absent" and draft.change != "resolved" else draft.change,  # type: ignore[arg-type]
            certainty=certainty if status == "uncertain" else None,
            cues=(Words(matched.text[a:b], a, b, "finding"), *said.cues, *draft.cues),
            qualifiers=tuple(draft.qualifiers),
        )

    def _level(self, draft: Draft, number: int) -> str | None:
        """Return a numbered place near the finding: a vertebral level, a segment of the liver."""
        matched = self.matched
        sentence = matched.sentences[number]
        a, b = matched.span(sentence[0], sentence[1])
        if draft.name in self.rules.concepts.spinal:
            found = _LEVEL.search(matched.text, a, b)
            return None if found is None else found.group().replace(" ", "")
        if draft.part is not None or draft.organ not in (None, "liver"):
            return None
        end = matched.ends[draft.end - 1]
        found = _SEGMENT.search(matched.text, end, b) or _SEGMENT.search(matched.text, a, end)
        if found is None or not {",", ";"}.isdisjoint(
            matched.text[min(found.start(), end) : max(found.start(), end)]
        ):
            return None
        segment = found.group(1) or found.group(2)
        return f"liver segment {_ROMAN[int(segment) - 1] if segment.isdigit() else segment}"

    def report(self) -> StructuredReport:
        """Return everything that was found."""
        matched = self.matched
        urgent = tuple(
            (number, category)
            for number, finding in enumerate(self.findings)
            if (category := urgency(finding, self.rules)) is not None
        )
        told = matched.groups[TOLD]
        communication = None
        if told:
            a, b = matched.span(told[0][0], told[0][1])
            communication = Words(matched.text[a:b], a, b, "communication")
        return StructuredReport(
            language=self.rules.language,
            text=matched.text,
            sections=self.sections,
            sentences=tuple(matched.span(*sentence) for sentence in matched.sentences),
            findings=tuple(self.findings),
            measurements=tuple(self.measurements),
            recommendations=tuple(self.recommendations),
            critical=min((category for _, category in urgent), default=None),
            critical_findings=urgent,
            communication=communication,
            version=f"{VERSION}.{self.rules.version}",
        )
