"""Tasks from recommendations: dates, closing, overdue."""

from __future__ import annotations

from datetime import date

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
        Exam("1.2", "CT", ON, "chest"),
        Exam("1.3", "CT", date(2024, 1, 1), "chest"),
        Exam("1.4", "US", date(2024, 5, 1), "chest"),
        Exam("1.5", "CT", date(2024, 5, 1), "head"),
    ]
    assert close(made, wrong)[0].done_by is None
    assert overdue(close(made, wrong), date(2025, 1, 1)) == made
    closed = close(made, [*wrong, Exam("1.6", "CT", date(2024, 5, 2), "Chest")])
    assert closed[0].done_by == "1.6"
    assert overdue(closed, date(2025, 1, 1)) == ()
