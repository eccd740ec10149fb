"""Structure to text to structure: equal on our own templates, and nearly so after realistic edits."""

from __future__ import annotations

from typing import Literal

import pytest
from tests.language.edits import KINDS, edited, score

from coread.language import structure
from coread.language.templates import templates

Language = Literal["en", "tr"]


@pytest.mark.parametrize("language", ["en", "tr"])
def test_our_own_templates_come_back_identical(language: Language) -> None:
    assert score(language, range(20), frozenset()) == 1.0


@pytest.mark.parametrize("language", ["en", "tr"])
def test_edited_reports_come_back(language: Language) -> None:
    """All kinds of edits at once; these seeds were not looked at while the packs were written."""
    assert score(language, range(1000, 1012)) >= 0.95


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "tr"])
def test_each_kind_of_edit_is_survived(language: Language, kind: str) -> None:
    assert score(language, range(2000, 2003), frozenset({kind})) >= 0.95


@pytest.mark.parametrize("language", ["en", "tr"])
def test_the_edits_are_edits(language: Language) -> None:
    changed = [
        edited(name, language, 7).text != edited(name, language, 7, frozenset()).text for name in templates()
    ]
    assert sum(changed) > 0.9 * len(changed)
    assert edited("chest_ct", language, 7) == edited("chest_ct", language, 7)


def test_another_side_is_noticed() -> None:
    for seed in range(5):
        text = edited("chest_ct", "en", seed, frozenset({"order"})).text
        turned = text.replace("left", "right").replace("Left", "Right")
        assert "left" not in [finding.laterality for finding in structure(turned, "en").findings]
