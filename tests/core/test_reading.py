"""The second reading: every path as a plain test."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.core import Finding, Reader, vocabulary
from coread.core.reading import (
    DISMISS_REASONS,
    REJECT_REASONS,
    AddendumAdded,
    CheckDismissed,
    Committed,
    Decided,
    Decision,
    DraftSaved,
    ImagesArrived,
    Opened,
    Reading,
    Revealed,
    Signed,
    State,
    advance,
    replay,
)
from coread.errors import ReadingError

T0 = datetime(2026, 5, 14, 9, 12, tzinfo=UTC)


def at(minute: int) -> datetime:
    return T0 + timedelta(minutes=minute)


def finding(identifier: str = "a") -> Finding:
    return Finding(identifier, vocabulary.LUNG_NODULE, "present", Reader("r"))


def decide(identifier: str, minute: int, choice="accept", **rest) -> Decided:
    return Decided(at(minute), Decision(identifier, choice, at(minute), **rest))


def shown(*identifiers: str) -> Reading:
    events = (Opened(at(0)), Committed(at(1), (finding(),)), Revealed(at(2), identifiers, "1"))
    return replay("1.2", "r", events)


def test_the_whole_way() -> None:
    reading = replay(
        "1.2",
        "r",
        (
            Opened(at(0)),
            DraftSaved(at(1), (finding(),)),
            Committed(at(2), (finding(),)),
            Revealed(at(3), ("x", "y"), "1"),
            decide("x", 4),
            decide("y", 5, "reject", reason="artefact"),
            Signed(at(6)),
            AddendumAdded(at(7), "Seen again with the prior."),
        ),
    )
    assert reading.state is State.ADDENDUM
    assert reading.signed_at == at(6)
    assert reading.addenda == ((at(7), "Seen again with the prior."),)
    assert [f.id for f in reading.committed_findings] == ["a"]


def test_nothing_is_shown_before_the_first_read_is_committed() -> None:
    reading = Reading("1.2", "r")
    for event in (Revealed(at(1), ("x",), "1"), Signed(at(1)), decide("x", 1), AddendumAdded(at(1), "x")):
        with pytest.raises(ReadingError):
            advance(reading, event)
        with pytest.raises(ReadingError):
            advance(advance(reading, Opened(at(0))), event)
    assert reading.locked


def test_a_committed_read_does_not_change() -> None:
    reading = replay("1.2", "r", (Opened(at(0)), Committed(at(1), (finding(),))))
    assert not reading.locked
    with pytest.raises(ReadingError, match="committed"):
        advance(reading, DraftSaved(at(2), ()))
    with pytest.raises(ReadingError, match="committed once"):
        advance(reading, Committed(at(2), ()))


def test_signing_waits_for_every_decision() -> None:
    reading = shown("x", "y")
    with pytest.raises(ReadingError, match="2 findings still need"):
        advance(reading, Signed(at(3)))
    reading = advance(reading, decide("x", 3))
    assert reading.undecided == ("y",)
    with pytest.raises(ReadingError, match="1 findings"):
        advance(reading, Signed(at(4)))
    reading = advance(reading, decide("y", 5))
    assert reading.state is State.RECONCILED
    assert advance(reading, Signed(at(6))).state is State.SIGNED


def test_a_read_without_findings_of_the_model_is_reconciled_at_once() -> None:
    assert shown().state is State.RECONCILED


def test_a_decision_can_change_until_signing_and_not_after() -> None:
    reading = advance(shown("x"), decide("x", 3))
    reading = advance(reading, decide("x", 4, "reject", reason="known_prior"))
    assert reading.decisions["x"].choice == "reject"
    signed = advance(reading, Signed(at(5)))
    with pytest.raises(ReadingError):
        advance(signed, decide("x", 6))


@pytest.mark.parametrize(
    "decision",
    [
        Decision("x", "reject", at(3)),
        Decision("x", "reject", at(3), reason="because"),
        Decision("x", "reject", at(3), reason="other", comment=" "),
        Decision("x", "modify", at(3)),
        Decision("x", "accept", at(3), modified=finding("x")),
        Decision("unknown", "accept", at(3)),
    ],
)
def test_a_decision_that_says_too_little_is_refused(decision: Decision) -> None:
    with pytest.raises(ReadingError):
        advance(shown("x"), Decided(at(3), decision))


def test_every_reason_is_enough_for_a_rejection() -> None:
    for reason in REJECT_REASONS:
        comment = "seen twice" if reason == "other" else ""
        after = advance(shown("x"), decide("x", 3, "reject", reason=reason, comment=comment))
        assert after.state is State.RECONCILED


def test_images_that_come_late_are_read_alone_before_new_results() -> None:
    reading = advance(advance(shown("x"), decide("x", 3)), ImagesArrived(at(4), ("1.9",)))
    assert reading.more_images
    for event in (Signed(at(5)), Revealed(at(5), ("x", "y"), "1")):
        with pytest.raises(ReadingError, match="more images"):
            advance(reading, event)
    reading = advance(reading, Committed(at(6), (finding("b"),)))
    assert [f.id for f in reading.committed_findings] == ["a", "b"]
    reading = advance(reading, Revealed(at(7), ("x", "y"), "1"))
    assert reading.undecided == ("y",)


def test_images_before_the_commit_are_part_of_the_first_read() -> None:
    reading = replay("1.2", "r", (Opened(at(0)), ImagesArrived(at(1))))
    assert not reading.more_images


def test_time_runs_forward() -> None:
    with pytest.raises(ReadingError, match="before the last"):
        replay("1.2", "r", (Opened(at(1)), Committed(at(0), ())))


def test_two_findings_need_two_identifiers() -> None:
    with pytest.raises(ReadingError, match="identifier"):
        replay("1.2", "r", (Opened(at(0)), Committed(at(1), (finding(), finding()))))


def test_a_reading_survives_the_way_to_a_worker() -> None:
    reading = advance(shown("x"), decide("x", 3))
    again = pickle.loads(pickle.dumps(reading))
    assert (again.state, again.decisions, again.to_decide) == (
        reading.state,
        reading.decisions,
        reading.to_decide,
    )


EVENTS = st.lists(
    st.sampled_from(
        [
            lambda t: Opened(t),
            lambda t: DraftSaved(t, ()),
            lambda t: Committed(t, ()),
            lambda t: Revealed(t, ("x",), "1"),
            lambda t: Revealed(t, (), "1"),
            lambda t: Decided(t, Decision("x", "accept", t)),
            lambda t: Signed(t),
            lambda t: AddendumAdded(t, "more"),
            lambda t: ImagesArrived(t),
        ]
    ),
    max_size=14,
)


@given(EVENTS)
def test_no_order_of_events_breaks_the_order_of_reading(makers: list) -> None:
    reading = Reading("1.2", "r")
    for minute, make in enumerate(makers):
        try:
            reading = advance(reading, make(at(minute)))
        except ReadingError:
            continue
        kinds = [type(e) for e in reading.events]
        if Revealed in kinds:
            assert Committed in kinds[: kinds.index(Revealed)]
        if Signed in kinds:
            before = kinds[: kinds.index(Signed)]
            assert Revealed in before
            assert kinds.count(Signed) == 1
            assert Committed not in kinds[kinds.index(Signed) :]
    assert replay("1.2", "r", reading.events).state is reading.state


@pytest.mark.parametrize("reason", DISMISS_REASONS)
def test_a_check_is_dismissed_with_a_reason_between_opening_and_signing(reason: str) -> None:
    event = CheckDismissed(at(3), "side_differs", "k", reason, "because")
    for before in (replay("1.2", "r", (Opened(at(0)),)), shown("x"), shown()):
        after = advance(before, event)
        assert after.state is before.state
        assert after.dismissed == {"k": event}
    for closed in (Reading("1.2", "r"), advance(shown(), Signed(at(3)))):
        with pytest.raises(ReadingError, match="dismiss a check"):
            advance(closed, event)


def test_the_last_answer_to_a_check_counts_and_needs_a_known_reason() -> None:
    first = CheckDismissed(at(3), "side_differs", "k", "misread")
    second = CheckDismissed(at(4), "side_differs", "k", "right_as_written")
    reading = advance(advance(shown(), first), second)
    assert reading.dismissed == {"k": second}
    assert [e for e in reading.events if isinstance(e, CheckDismissed)] == [first, second]
    with pytest.raises(ReadingError, match="needs a reason"):
        advance(shown(), CheckDismissed(at(3), "side_differs", "k", "because"))
    with pytest.raises(ReadingError, match="needs a comment"):
        advance(shown(), CheckDismissed(at(3), "side_differs", "k", "other", " "))
