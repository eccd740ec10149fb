"""Checks of a whole report: signed priors and guidelines join in; what is left open is not guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from coread.core import Dictation, Reader, Report
from coread.workflow.report_checks import check_report
from coread.workflow.report_sentences import said

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def report(text: str) -> Report:
    found = said(Dictation(text), Reader("ada"), AT)
    return Report("1.2", found.language, found.sections, found.findings)


def fired(text: str, *, modalities: tuple[str, ...] = ("CT",), **options: Any) -> dict[str, Any]:
    words, checks = check_report(report(text), modalities=modalities, **options)
    assert all(words[w.start : w.end] == w.text for c in checks for w in c.words)
    return {c.code: c.facts for c in checks}


@pytest.mark.parametrize(
    ("text", "months"),
    [
        # MacMahon 2017, table 1, over all that the text leaves open: one or several, low or high risk
        ("8 mm solid nodule in the right upper lobe.", ("3", "12")),
        ("10 mm part-solid nodule in the right upper lobe.", ("3", "6")),
        ("10 mm ground-glass nodule in the right upper lobe.", ("3", "12")),
        ("10 mm nodule in the right upper lobe.", ("3", "12")),
        ("Sağ üst lobda 10 mm nodül izlendi.", ("3", "12")),
        # a single one of low risk below 6 mm needs none, so none is missing
        ("5 mm solid nodule in the right upper lobe.", None),
        ("Nodule in the right upper lobe.", None),
        ("10 mm nodule in the right upper lobe. CT chest in 3 months is recommended.", None),
        ("No nodule in the right upper lobe.", None),
        ("10 mm nodule in the right upper lobe, unchanged.", None),
    ],
)
def test_a_follow_up_is_missed_where_the_guideline_asks_for_one_whatever_is_open(
    text: str, months: tuple[str, str] | None
) -> None:
    facts = fired(text, age=60).get("follow_up_missing")
    assert (None if facts is None else (facts["low"], facts["high"])) == months


def test_the_guideline_is_for_adults_on_ct() -> None:
    text = "10 mm nodule in the right upper lobe."
    assert "follow_up_missing" in fired(text, age=35)
    assert "follow_up_missing" not in fired(text, age=34)
    assert "follow_up_missing" not in fired(text, modalities=("DX",))


@pytest.mark.parametrize(
    ("text", "fires"),
    [
        # ACR Lung-RADS v2022, baseline, solid: <6 mm 2, 6 to <8 mm 3, 8 to <15 mm 4A, >=15 mm 4B
        ("Lung-RADS 2. 7 mm solid nodule in the right upper lobe.", True),
        ("Lung-RADS 3. 7 mm solid nodule in the right upper lobe.", False),
        ("Lung-RADS 3. 9 mm solid nodule in the right upper lobe.", True),
        ("Lung-RADS 4A. 9 mm solid nodule in the right upper lobe.", False),
        ("Lung-RADS 4X. 9 mm solid nodule in the right upper lobe.", False),
        (
            "Lung-RADS 4A. 9 mm solid nodule in the right upper lobe. "
            "4 mm solid nodule in the left lower lobe.",
            False,
        ),
        ("Lung-RADS 2. 9 mm nodule in the right upper lobe.", False),  # its kind is not stated
        ("Lung-RADS 2. Nodule in the right upper lobe.", False),
        ("9 mm solid nodule in the right upper lobe.", False),
    ],
)
def test_a_stated_category_is_compared_with_what_the_stated_features_allow(text: str, fires: bool) -> None:
    assert ("category_differs" in fired(text)) is fires


def test_at_a_follow_up_more_is_possible() -> None:
    prior = report("7 mm solid nodule in the right upper lobe.")
    text = "Lung-RADS 2. 7 mm solid nodule in the right upper lobe."
    assert "category_differs" in fired(text)
    assert "category_differs" not in fired(text, priors=[prior])  # stable after category 3 is 2


@pytest.mark.parametrize(("category", "fires"), [("2", True), ("4A", False)])
def test_categories_of_other_systems_are_compared_too(category: str, fires: bool) -> None:
    text = f"70% stenosis of the proximal LAD. CAD-RADS {category}."
    assert ("category_differs" in fired(text)) is fires


def test_prior_sizes_come_from_the_latest_signed_report_that_measured() -> None:
    latest = report("No pleural effusion.")
    before = report("8 mm nodule in the right upper lobe. 20 mm nodule in the left lower lobe.")
    oldest = report("4 mm nodule in the right upper lobe.")
    text = "10 mm nodule in the right upper lobe, previously 4 mm."
    facts = fired(text, priors=[latest, before, oldest])["prior_size_differs"]
    assert (facts["said"], facts["kept"]) == ("4", "8")
    right = text.replace("previously 4", "previously 8")
    assert "prior_size_differs" not in fired(right, priors=[latest, before, oldest])
    assert "prior_size_differs" not in fired(text)


def test_sex_is_compared_with_the_patients() -> None:
    assert "sex_mismatch" in fired("The prostate is enlarged.", sex="F")
    assert "sex_mismatch" not in fired("The prostate is enlarged.", sex="M")
