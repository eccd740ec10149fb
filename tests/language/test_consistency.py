"""Checks before signing: each fires on the slip it is for and is silent on a report without it."""

from __future__ import annotations

from typing import Any

import pytest

from coread.language import structure
from coread.language.consistency import check

GOOD = (
    "Findings:\nLeft pleural effusion. "
    "8 mm nodule in the right upper lobe, previously 6 mm. No pneumothorax.\n\n"
    "Impression:\nLeft pleural effusion. Right upper lobe nodule, follow-up CT in 3 months is recommended."
)


def test_a_sound_report_passes() -> None:
    assert check(structure(GOOD), sex="F", prior_sizes_mm={"nodule": 6.0}) == ()


@pytest.mark.parametrize(
    ("old", "new", "options", "code"),
    [
        ("Impression:\nLeft", "Impression:\nRight", {}, "side_differs"),
        ("Impression:\nLeft pleural effusion.", "Impression:\nAscites.", {}, "not_in_findings"),
        ("No pneumothorax.", "The prostate is enlarged.", {"sex": "F"}, "sex_mismatch"),
        ("8 mm nodule", "8 cm nodule", {}, "unit_slip"),
        ("No pneumothorax.", "No left pleural effusion.", {}, "present_and_absent"),
        ("previously 6 mm", "previously 4 mm", {"prior_sizes_mm": {"nodule": 6.0}}, "prior_size_differs"),
        (
            "No pneumothorax.",
            "Lung-RADS 2.",
            {"computed_categories": {"lung_rads": "4A"}},
            "category_differs",
        ),
        (
            ", follow-up CT in 3 months is recommended",
            "",
            {"follow_up": {"nodule": (6, 12)}},
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
    assert check(report, computed_categories={"lung_rads": "4A"}) == ()
