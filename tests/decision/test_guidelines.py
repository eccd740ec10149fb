"""Guidelines against vectors from the published tables, at their limits, and what they refuse."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coread.decision import guidelines
from coread.errors import InputError


def equal(got: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, bool) or expected is None or isinstance(expected, str):
        return bool(got == expected)
    if isinstance(expected, list):
        return len(got) == len(expected) and all(
            equal(g, e, tolerance) for g, e in zip(got, expected, strict=True)
        )
    return bool(abs(got - expected) <= tolerance + 1e-12)


def test_every_published_vector(shared: Path) -> None:
    wrong = []
    with (shared / "reports" / "guidelines.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        answer = guidelines.apply(row["system"], json.loads(row["inputs"]))
        assert answer.version == row["version"], row["id"]
        for key, value in json.loads(row["expected"]).items():
            if key not in answer.result or not equal(answer.result[key], value, float(row["tolerance"])):
                wrong.append((row["id"], key, value, dict(answer.result), answer.missing))
        assert answer.row
    assert not wrong
    assert len(rows) > 100


@pytest.mark.parametrize(
    ("name", "inputs", "key", "value"),
    [
        (
            "fleischner",
            {"type": "solid", "mean_diameter_mm": 5.4, "count": "single", "risk": "low"},
            "action",
            "none",
        ),
        (
            "fleischner",
            {"type": "solid", "mean_diameter_mm": 5.5, "count": "single", "risk": "low"},
            "action",
            "ct",
        ),
        ("lung_rads", {"nodule": "solid", "mean_mm": 5.9, "exam": "baseline"}, "category", "2"),
        ("lung_rads", {"nodule": "solid", "mean_mm": 6.0, "exam": "baseline"}, "category", "3"),
        ("lung_rads", {"nodule": "solid", "mean_mm": 14.9, "exam": "baseline"}, "category", "4A"),
        ("lung_rads_growth", {"prior_mean_mm": 5, "current_mean_mm": 6.5, "months": 12}, "growing", False),
        (
            "recist",
            {"baseline_sum_mm": 100, "nadir_sum_mm": 50, "current_sum_mm": 60, "new_lesion": False},
            "response",
            "PD",
        ),
        (
            "recist",
            {"baseline_sum_mm": 30, "nadir_sum_mm": 20, "current_sum_mm": 24.9, "new_lesion": False},
            "response",
            "SD",
        ),
        ("aspects", {"affected": []}, "score", 10),
        ("cad_rads", {"max_stenosis_pct": 100, "vessel": "left_main"}, "category", "5"),
        ("pi_rads", {"zone": "transition", "t2w": 3, "dwi": 5}, "category", 4),
        (
            "bosniak",
            {"wall_mm": 1, "septa": 0, "enhancing_nodule_mm": 3, "nodule_margin": "obtuse"},
            "class_",
            "III",
        ),
    ],
)
def test_limits_of_the_tables(name: str, inputs: dict[str, Any], key: str, value: Any) -> None:
    assert guidelines.apply(name, inputs).result[key] == value


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("fleischner", {"age": 30}),
        ("fleischner", {"immunosuppressed": True}),
        ("fleischner", {"known_cancer": True}),
        ("li_rads_ctmr", {"at_risk": False}),
        ("egfr_ckd_epi", {"creatinine_mg_dl": 1.0, "age": 12, "female": True}),
        ("volume_doubling_time", {"d1_mm": 8, "d2_mm": 8, "days": 100}),
    ],
)
def test_says_why_it_does_not_apply(name: str, inputs: dict[str, Any]) -> None:
    answer = guidelines.apply(name, inputs)
    assert answer.not_applicable
    assert not answer.result


@pytest.mark.parametrize("system", guidelines.systems(), ids=lambda s: s.name)
def test_without_inputs_it_says_what_is_missing(system: guidelines.Guideline) -> None:
    answer = guidelines.apply(system.name, {})
    assert answer.missing
    assert set(answer.missing) <= set(system.inputs)
    assert not answer.result


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="no input size"):
        guidelines.apply("fleischner", {"size": 5})
    with pytest.raises(InputError, match="mean_diameter_mm"):
        guidelines.apply(
            "fleischner", {"type": "solid", "mean_diameter_mm": -1, "count": "single", "risk": "low"}
        )
    with pytest.raises(InputError, match="no guideline"):
        guidelines.apply("x", {})


def test_larger_nodules_never_get_a_lower_category() -> None:
    order = ["1", "2", "3", "4A", "4B"]
    for change in (None, "new", "growing"):
        exam = "baseline" if change is None else "followup"
        got = [
            guidelines.apply(
                "lung_rads", {"nodule": "solid", "mean_mm": s / 2, "exam": exam, "change": change}
            )
            for s in range(2, 60)
        ]
        ranks = [order.index(answer.result["category"]) for answer in got]
        assert ranks == sorted(ranks)


def test_the_command_answers_as_json() -> None:
    command = [sys.executable, "-m", "coread.cli.app"]
    code = "from coread.cli.app import main; main()"
    command = [sys.executable, "-c", code, "guideline", "aspects", 'affected=["insula"]', "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["score"] == 9
