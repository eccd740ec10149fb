"""Tasks from recommendations: dates, closing, overdue."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from coread.language import structure
from coread.language.followup import Exam, close, overdue, tasks

ON = date(2024, 1, 31)


def test_a_recommendation_becomes_a_dated_task() -> None:
    (task,) = tasks(structure("Follow-up chest CT in 6-12 months is recommended."), "1.2", ON)
    assert (task.what, task.earliest, task.latest) == ("CT chest", date(2024, 7, 31), date(2025, 1, 31))
    assert task.state(date(2024, 2, 1)) == "waiting"
    assert task.state(date(2024, 12, 1)) == "due"
    assert task.state(date(2025, 2, 1)) == "overdue"


def test_no_follow_up_makes_no_task() -> None:
    assert tasks(structure("No follow-up is needed."), "1.2", ON) == ()


def test_only_a_later_fitting_examination_closes_it() -> None:
    made = tasks(structure("Follow-up chest CT in 3 months is recommended."), "1.2", ON)
    wrong = [
        Exam("1.2", ("CT",), ON, "chest"),
        Exam("1.3", ("CT",), date(2024, 1, 1), "chest"),
        Exam("1.4", ("US",), date(2024, 5, 1), "chest"),
        Exam("1.5", ("CT",), date(2024, 5, 1), "head"),
    ]
    assert close(made, wrong)[0].done_by is None
    assert overdue(close(made, wrong), date(2025, 1, 1)) == made
    closed = close(made, [*wrong, Exam("1.6", ("CT",), date(2024, 5, 2), "Chest")])
    assert closed[0].done_by == "1.6"
    assert overdue(closed, date(2025, 1, 1)) == ()


@pytest.mark.parametrize(
    ("exam", "fits"),
    [
        (Exam("1.6", ("CT", "SR"), date(2024, 5, 2), "THORAX"), True),
        (Exam("1.6", ("MR",), date(2024, 5, 2), "KNEE"), False),
        (Exam("1.6", ("CT",), date(2024, 5, 2)), True),  # no region known: of the same kind
        (Exam("1.6", ("US",), date(2024, 5, 2)), False),
    ],
)
def test_a_follow_up_without_a_kind_is_one_like_the_examination_it_is_asked_on(
    exam: Exam, fits: bool
) -> None:
    (task,) = tasks(structure("Follow-up in 3 months is recommended."), "1.2", ON)
    asked = replace(task, asking=Exam("1.2", ("CT",), ON, "THORAX"))
    assert (close((asked,), [exam])[0].done_by is not None) is fits


def test_an_abdomen_answers_what_was_asked_of_the_liver() -> None:
    made = tasks(structure("MRI of the liver in 3 months is recommended."), "1.2", ON)
    assert [task.what for task in made] == ["MRI liver"]
    assert close(made, [Exam("1.6", ("MR",), date(2024, 5, 2), "ABDOMEN")])[0].done_by == "1.6"
    assert close(made, [Exam("1.6", ("MR",), date(2024, 5, 2), "KNEE")])[0].done_by is None
