from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.decision.worklist import Waiting, WaitingLimits, order, place
from coread.errors import InputError

HOUR = 3600.0


def waiting(study: str, ordered: str, waiting_s: float, raised: str | None = None) -> Waiting:
    return Waiting(study=study, ordered=ordered, waiting_s=waiting_s, raised=raised)  # type: ignore[arg-type]


def test_priority_comes_before_waiting_time() -> None:
    placed = order(
        [waiting("1", "routine", 20 * HOUR), waiting("2", "urgent", 1.0), waiting("3", "critical", 0.0)]
    )
    assert [p.study for p in placed] == ["3", "2", "1"]


def test_within_a_priority_the_share_of_the_limit_decides() -> None:
    placed = order([waiting("1", "urgent", 600.0), waiting("2", "urgent", 1200.0)])
    assert [p.study for p in placed] == ["2", "1"]


def test_a_study_past_its_limit_is_not_starved_by_more_pressing_ones() -> None:
    arrivals = [waiting(f"u{n}", "urgent", 30.0) for n in range(50)]
    placed = order([*arrivals, waiting("old", "routine", 25 * HOUR)])
    assert placed[0].study == "old"
    assert placed[0].why == "overdue"
    assert placed[0].priority == "routine"


def test_a_critical_study_stays_before_an_overdue_routine_one() -> None:
    placed = order([waiting("old", "routine", 100 * HOUR), waiting("now", "critical", 1.0)])
    assert [p.study for p in placed] == ["now", "old"]


def test_triage_raises_and_never_lowers() -> None:
    assert place(waiting("1", "routine", 0.0, raised="urgent")).priority == "urgent"
    assert place(waiting("1", "routine", 0.0, raised="urgent")).why == "raised"
    assert place(waiting("1", "critical", 0.0, raised="urgent")).priority == "critical"


@pytest.mark.parametrize(
    ("priority", "waiting_s", "why"),
    [
        ("routine", 0.0, "arrival"),
        ("routine", 12 * HOUR, "half_of_limit"),
        ("routine", 24 * HOUR, "overdue"),
        ("urgent", 1.0, "ordered"),
    ],
)
def test_the_reason_says_why_a_study_stands_where_it_does(priority: str, waiting_s: float, why: str) -> None:
    assert place(waiting("1", priority, waiting_s)).why == why


studies = st.lists(
    st.builds(
        waiting,
        st.uuids().map(str),
        st.sampled_from(["critical", "urgent", "routine"]),
        st.floats(0, 1e6),
        st.sampled_from([None, "critical", "urgent", "routine"]),
    ),
    unique_by=lambda w: w.study,
    max_size=6,
)


@given(studies)
def test_the_order_does_not_depend_on_the_order_of_arrival(found: list[Waiting]) -> None:
    expected = order(found)
    for shuffled in itertools.islice(itertools.permutations(found), 20):
        assert order(shuffled) == expected


@given(studies)
def test_waiting_longer_never_moves_a_study_back(found: list[Waiting]) -> None:
    if not found:
        return
    first = found[0]
    longer = waiting(first.study, first.ordered, first.waiting_s + 1000.0, first.raised)
    before = [p.study for p in order(found)].index(first.study)
    after = [p.study for p in order([longer, *found[1:]])].index(first.study)
    assert after <= before


def test_limits_that_fall_are_refused() -> None:
    with pytest.raises(InputError):
        WaitingLimits(critical_s=100.0, urgent_s=50.0)
