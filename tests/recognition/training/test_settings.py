"""Settings of a training: what is unknown or of another kind is refused, what is written is read back."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.errors import InputError
from coread.recognition.training.settings import TrainingSettings, changed_plan, toml_text

TEXT = """
model = "classify"
data = "tables/cohort.csv"
folds = 5
classes = ["well", "sick"]
[plan]
epochs = 30
mirror = false
[columns]
image = "file"
[intensity]
low = -1000.0
high = 400.0
scale = "min-max"
[card]
intended_use = "Research on \\"this\\" and that."
needs = { images = { modality = ["DX", "CR"] } }
"""


def test_a_file_says_everything(tmp_path: Path) -> None:
    path = tmp_path / "effusion.toml"
    path.write_text(TEXT, encoding="utf-8")
    settings = TrainingSettings.read(path)
    assert (settings.model, settings.name, settings.folds) == ("classify", "effusion", 5)
    assert settings.data == tmp_path / "tables/cohort.csv"
    assert settings.classes == ("well", "sick")
    assert settings.plan == {"epochs": 30, "mirror": False}
    path.write_text(settings.to_toml(), encoding="utf-8")
    assert TrainingSettings.read(path) == settings


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({}, "without model"),
        ({"model": "classify", "epochs": 3}, "with epochs"),
        ({"model": "classify", "folds": "five"}, "whole number"),
        ({"model": "classify", "folds": True}, "whole number"),
        ({"model": "classify", "plan": 3}, "a table"),
        ({"model": 3}, "a text"),
        ({"model": "segment", "labels": {"liver": 1}}, "values of masks"),
        ({"model": "classify", "name": "../x"}, "letters, digits"),
        ({"model": "classify", "card": {"threshold": 0.5}}, "with threshold"),
        ({"model": "hippocampus", "folds": 5}, "for a model of CoRead"),
    ],
)
def test_what_is_unknown_or_of_another_kind_is_refused(table: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        TrainingSettings.from_table(table, Path())


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    for content in (b"model =", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x\.toml"):
            TrainingSettings.read(path)
    with pytest.raises(InputError, match="absent"):
        TrainingSettings.read(tmp_path / "absent.toml")


PLAIN = st.one_of(
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.recursive(
            PLAIN, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text("ab c."), v, max_size=3)
        ),
        max_size=5,
    )
)
def test_any_table_is_read_back(table: dict[str, Any]) -> None:
    text = toml_text({}, {"some": table})
    assert tomllib.loads(text) == {"some": table}


@dataclass(frozen=True)
class Plan:
    steps: int = 3
    rate: float = 0.1
    mirror: bool = True
    spacing_mm: tuple[float, ...] = ()
    change: object = None


def test_a_plan_takes_its_own_numbers_only() -> None:
    plan = changed_plan(Plan(), {"steps": 5, "rate": 1, "mirror": False, "spacing_mm": [1, 2.5]})
    assert plan == Plan(5, 1, False, (1, 2.5))
    for bad in (
        {"step": 3},
        {"steps": 2.5},
        {"steps": True},
        {"rate": "fast"},
        {"mirror": 1},
        {"spacing_mm": 1.0},
        {"spacing_mm": ["a"]},
        {"change": 1},
    ):
        with pytest.raises(InputError):
            changed_plan(Plan(), bad)
