"""Checks before signing: each fires on the slip it is for and is silent on a report without it."""

from __future__ import annotations

from typing import Any

import pytest

from coread.language import structure
from coread.language.consistency import AskedFollowUp, StoredSize, check

GOOD = (
    "Findings:\nLeft pleural effusion. "
    "8 mm nodule in the right upper lobe, previously 6 mm. No pneumothorax.\n\n"
    "Impression:\nLeft pleural effusion. Right upper lobe nodule, follow-up CT in 3 months is recommended."
)


def test_a_sound_report_passes() -> None:
    assert check(structure(GOOD), sex="F", prior_sizes=[StoredSize("nodule", 6.0)]) == ()


@pytest.mark.parametrize(
    ("old", "new", "options", "code"),
    [
        ("Impression:\nLeft", "Impression:\nRight", {}, "side_differs"),
        ("Impression:\nLeft pleural effusion.", "Impression:\nAscites.", {}, "not_in_findings"),
        ("No pneumothorax.", "The prostate is enlarged.", {"sex": "F"}, "sex_mismatch"),
        ("8 mm nodule", "8 cm nodule", {}, "unit_slip"),
        ("No pneumothorax.", "No left pleural effusion.", {}, "present_and_absent"),
        (
            "previously 6 mm",
            "previously 4 mm",
            {"prior_sizes": [StoredSize("nodule", 6.0)]},
            "prior_size_differs",
        ),
        (
            "No pneumothorax.",
            "Lung-RADS 2.",
            {"categories": {"lung_rads": {"3", "4A"}}},
            "category_differs",
        ),
        (
            ", follow-up CT in 3 months is recommended",
            "",
            {"follow_up": {"nodule": AskedFollowUp("Fleischner 2017", 6, 12)}},
            "follow_up_missing",
        ),
        ("No pneumothorax.", "Acute subarachnoid hemorrhage.", {}, "communication_missing"),
    ],
)
def test_each_slip_is_noticed(old: str, new: str, options: dict[str, Any], code: str) -> None:
    assert old in GOOD
    checks = check(structure(GOOD.replace(old, new)), **options)
    assert code in {c.code for c in checks}
    for found in checks:
        assert all(w.text for w in found.words)


def test_the_right_category_is_left_alone() -> None:
    report = structure(GOOD.replace("No pneumothorax.", "Lung-RADS 4A."))
    assert check(report, categories={"lung_rads": {"4A"}}) == ()


@pytest.mark.parametrize(
    ("stored", "fires"),
    [
        ([StoredSize("nodule", 6.0, "left")], False),  # another nodule
        ([StoredSize("nodule", 12.0, "right", "upper lobe")], True),
        ([StoredSize("nodule", 12.0, "right", "lower lobe")], False),
        ([StoredSize("nodule", 12.0), StoredSize("nodule", 6.5)], False),  # one of the two fits
        ([StoredSize("mass", 30.0)], False),
    ],
)
def test_a_prior_size_is_compared_with_the_stored_one_of_the_same_place(
    stored: list[StoredSize], fires: bool
) -> None:
    checks = check(structure(GOOD), prior_sizes=stored)
    assert [c.code for c in checks] == ["prior_size_differs"] * fires


def test_a_check_is_known_again_by_its_words_and_only_by_them() -> None:
    slip = GOOD.replace("Impression:\nLeft", "Impression:\nRight")
    (first,) = check(structure(slip))
    (again,) = check(structure(slip.replace("No pneumothorax.", "Heart size is normal.")))
    (other,) = check(structure(slip.replace("pleural effusion", "pneumonia")))
    assert first.key == again.key
    assert first.key != other.key


def test_a_check_is_told_in_turkish_too() -> None:
    (side,) = check(structure(GOOD.replace("Impression:\nLeft", "Impression:\nRight")))
    assert side.text == "pleural effusion: right in the impression, left in the findings"
    assert side.said("tr") == "plevral efüzyon: sonuçta sağ, bulgularda sol"


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        ("6 mm nodule in the right upper lobe. No pulmonary nodule.", True),
        ("No pleural effusion. Small left pleural effusion.", True),
        ("Plevral efüzyon saptanmadı. Sol plevral efüzyon izlendi.", True),
        ("6 mm nodule in the right upper lobe. No other pulmonary nodule.", False),
        ("6 mm nodule in the right upper lobe. No suspicious nodule.", False),
        ("Left pleural effusion. No right pleural effusion.", False),
        ("Sol plevral efüzyon izlendi. Başka plevral efüzyon saptanmadı.", False),
        ("3 cm mass in the left kidney. Liver: no mass.", False),
        ("Left pleural effusion. Previously seen pleural effusion has resolved.", False),
    ],
)
def test_a_denial_without_a_place_contradicts_what_is_there_unless_it_leaves_room(
    text: str, fires: bool
) -> None:
    assert ("present_and_absent" in {c.code for c in check(structure(text))}) is fires
