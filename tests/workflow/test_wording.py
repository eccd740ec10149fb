"""The words of guidelines and of the differential: all of our own are there in Turkish."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from coread.decision import differential, guidelines
from coread.workflow import wording

# formulas, units and names that are the same in every language
_SAME = re.compile(
    r"CADASIL|eGFR|CKD-EPI|LR-\d|TR\d|P\d|[<>=]+|\d+(?:\.\d+)?|mm|HU|%|pi|a b c|[a-cA-Z]\b|[IVF]+"
    r"|[CPS][RD]|/|-|\+|\(|\)|,| "
)
_CITED = re.compile(r"et al\.|\d+:\d+-?\d*|Gurney JW")


def english_left(text: str) -> list[str]:
    """Parts of a text that the catalogue does not have and that are not the same anyway."""
    text = text.replace("_", " ")
    if wording._said(text) is not None:
        return []
    return [
        part
        for part in wording._PARTS.split(text)[::2]
        if wording._said(part) is None and _SAME.sub("", part)
    ]


def test_every_word_of_the_differential_is_said_in_turkish() -> None:
    left: list[str] = []
    for area in differential.areas():
        known = differential.knowledge(area)
        answer = differential.rank(area, {next(iter(known.findings)): True})
        texts = [known.title, *known.settings, *(f["says"] for f in known.findings.values())]
        texts += [row.says for row in answer.rows]
        known_all = differential.rank(area, dict.fromkeys(known.findings, True))
        sources = {i.source for row in known_all.rows for i in row.influences}
        # what cites a work, by authors, journal and pages, stays as it is
        texts += [
            part for source in sources for part in re.split(r": |; ", source) if not _CITED.search(part)
        ]
        texts += [note for note in answer.notes if not note.startswith("expert guess")]
        left += [part for text in texts for part in english_left(text)]
    assert left == []


def test_inputs_and_outputs_of_every_guideline_are_said_in_turkish() -> None:
    names = {name for g in guidelines.systems() for name in (*g.inputs, *g.outputs)}
    assert [name for name in sorted(names) if wording._said(name.replace("_", " ")) is None] == []


def test_every_answer_of_the_reference_cases_is_said_in_turkish(shared: Path) -> None:
    left: set[str] = set()
    with (shared / "reports" / "guidelines.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            answer = guidelines.apply(row["system"], json.loads(row["inputs"]))
            texts = [answer.row, *answer.notes, answer.not_applicable or ""]
            texts += [str(value) for value in answer.result.values() if isinstance(value, str)]
            left |= {part for text in texts for part in english_left(text)}
    assert left == set()


def test_numbers_are_put_where_they_belong_and_written_as_turkish_does() -> None:
    assert wording.advice("+1.6 mm in 6 months", "tr") == "+1,6 mm, 6 ayda"
    assert wording.advice("3 of 10 regions affected", "tr") == "3/10 bölge etkilenmiş"
    assert wording.advice("4 points, TR4: follow", "tr") == "4 puan, TR4: izlem"


@pytest.mark.parametrize("text", ["solid, single, >8 mm", "no nodule", "mean_diameter_mm"])
def test_english_stays_as_it_is(text: str) -> None:
    assert wording.advice(text, "en") == text.replace("_", " ")
