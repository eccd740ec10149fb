"""Negation, history and person of given phrases, on the sentences of the NegEx collection."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from coread.errors import InputError
from coread.language import assert_phrase, structure


def f1(pairs: list[tuple[bool, bool]]) -> float:
    both = sum(a and b for a, b in pairs)
    return 2 * both / (sum(a for a, _ in pairs) + sum(b for _, b in pairs))


def test_negation_and_history_of_annotated_sentences(shared: Path) -> None:
    negated, past = [], []
    for line in (shared / "reports" / "negex.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        match = re.search(r"\s+".join(map(re.escape, row["phrase"].split())), row["sentence"], re.IGNORECASE)
        answer = assert_phrase(row["sentence"], *match.span()) if match else None
        negated.append((bool(answer and answer.negated), row["negation"] == "Negated"))
        past.append((bool(answer and answer.historical), row["temporality"] == "Historical"))
    assert f1(negated) >= 0.985
    assert f1(past) >= 0.75


@pytest.mark.parametrize("upper", [False, True])
def test_capitals_do_not_matter(upper: bool) -> None:
    text = "She denies chest pain but reports nausea."
    text = text.upper() if upper else text
    place = text.lower().index("chest pain")
    assert assert_phrase(text, place, place + 10).negated
    place = text.lower().index("nausea")
    assert not assert_phrase(text, place, place + 6).negated


def test_denied_history_is_both() -> None:
    text = "No history of diabetes."
    answer = assert_phrase(text, 14, 22)
    assert answer.negated
    assert answer.status == "absent"


def test_another_person() -> None:
    text = "Family history of colon cancer."
    answer = assert_phrase(text, 18, 30)
    assert answer.other_person
    assert answer.status == "historical"


def test_a_place_outside_is_refused() -> None:
    with pytest.raises(InputError, match="not in a text"):
        assert_phrase("x", 0, 5)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("6 mm non-solid nodule in the right upper lobe.", "nodule"),
        ("Non-calcified nodule in the left lower lobe.", "nodule"),
        ("Noncalcified 4 mm nodule.", "nodule"),
        ("Non-displaced fracture of the fifth rib.", "fracture"),
        ("Non-enhancing lesion in the liver, 12 mm.", "lesion"),
        ("Non obstructing stone in the left kidney.", "calculus"),
        ("Non-specific opacity at the left base.", "opacity"),
    ],
)
def test_a_quality_that_begins_with_non_denies_nothing(text: str, finding: str) -> None:
    found = {f["finding"]: f["status"] for f in structure(text, "en").document()["findings"]}
    assert found[finding] == "present"
