"""The second reading as a pure machine: read alone, commit, see, decide, sign.

Nothing here knows a clock or a database: events carry their time, and every path is a plain test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal

from coread.core.finding import Finding
from coread.errors import ReadingError

Choice = Literal["accept", "reject", "modify"]
REJECT_REASONS = (
    "artefact",
    "anatomical_variant",
    "known_prior",
    "below_threshold",
    "wrong_location",
    "other",
)

DISMISS_REASONS = ("right_as_written", "told_elsewhere", "misread", "not_applicable", "other")


class State(Enum):
    """How far a reading has come."""

    UNREAD = "unread"
    READING = "reading"
    READ_ALONE = "read_alone"
    AI_SHOWN = "ai_shown"
    RECONCILED = "reconciled"
    SIGNED = "signed"
    ADDENDUM = "addendum"


@dataclass(frozen=True, slots=True)
class Opened:
    """The reader opened the study to read it."""

    at: datetime


@dataclass(frozen=True, slots=True)
class DraftSaved:
    """The draft of a read in progress was saved."""

    at: datetime
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Committed:
    """The first read, or the read of images that came later, was committed: it can't be changed.

    Attributes:
        at: When.
        findings: What the reader found.
        text: The reader's own text for the report as it stood then.
    """

    at: datetime
    findings: tuple[Finding, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Revealed:
    """The models' findings were shown; each needs a decision.

    Attributes:
        at: When.
        findings: Identifiers of the models' findings that need a decision.
        match_version: Version of the rule by which they were paired with the reader's.
    """

    at: datetime
    findings: tuple[str, ...]
    match_version: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the reader made of one finding of a model.

    Attributes:
        finding: Identifier of the model's finding.
        choice: accept, reject or modify.
        reason: One of `REJECT_REASONS`, for a rejection.
        comment: Free words; needed with reason ``other``.
        modified: The finding as the reader puts it, for a modification.
        at: When.
    """

    finding: str
    choice: Choice
    at: datetime
    reason: str | None = None
    comment: str = ""
    modified: Finding | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The reader decided on one finding; a later decision replaces it until signing."""

    at: datetime
    decision: Decision


@dataclass(frozen=True, slots=True)
class CheckDismissed:
    """The reader looked at a check of the report and lets the words stand.

    Attributes:
        at: When.
        check: Kind of the check, such as ``side_differs``.
        key: Which check: it names the words, so that other words are checked anew.
        reason: One of `DISMISS_REASONS`.
        comment: Free words; needed with reason ``other``.
    """

    at: datetime
    check: str
    key: str
    reason: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Signed:
    """The reader signed; the report is final."""

    at: datetime


@dataclass(frozen=True, slots=True)
class AddendumAdded:
    """Words were added after signing."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class ImagesArrived:
    """More images of the study came."""

    at: datetime
    instances: tuple[str, ...] = ()


Event = (
    Opened
    | DraftSaved
    | Committed
    | Revealed
    | Decided
    | CheckDismissed
    | Signed
    | AddendumAdded
    | ImagesArrived
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's reading of one study.

    Attributes:
        study: Study instance UID.
        reader: Identifier of the reader.
        state: How far it has come.
        events: All events so far, oldest first.
        draft: Findings of the read in progress.
        first_read: Committed reads, oldest first; more than one after images that came late.
        to_decide: Identifiers of the models' findings that need a decision.
        decisions: Decision by finding.
        addenda: (time, text) of each addendum.
        more_images: Whether images came that this reader has not read alone yet.
    """

    study: str
    reader: str
    state: State = State.UNREAD
    events: tuple[Event, ...] = ()
    draft: tuple[Finding, ...] = ()
    first_read: tuple[Committed, ...] = ()
    to_decide: tuple[str, ...] = ()
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    addenda: tuple[tuple[datetime, str], ...] = ()
    more_images: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "decisions", MappingProxyType(dict(self.decisions)))

    def __reduce__(self) -> tuple[object, ...]:
        values = {name: getattr(self, name) for name in self.__slots__}
        values["decisions"] = dict(self.decisions)
        return type(self), tuple(values.values())

    @property
    def locked(self) -> bool:
        """Whether everything of the models is hidden from this reader."""
        return not self.first_read

    @property
    def committed_findings(self) -> tuple[Finding, ...]:
        """The reader's own findings of all committed reads."""
        return tuple(finding for read in self.first_read for finding in read.findings)

    @property
    def undecided(self) -> tuple[str, ...]:
        """Findings of the models that still need a decision."""
        return tuple(f for f in self.to_decide if f not in self.decisions)

    @property
    def dismissed(self) -> Mapping[str, CheckDismissed]:
        """Checks of the report that the reader dismissed, by key; the last word counts."""
        return {event.key: event for event in self.events if isinstance(event, CheckDismissed)}

    @property
    def signed_at(self) -> datetime | None:
        """When it was signed, or None."""
        for event in reversed(self.events):
            if isinstance(event, Signed):
                return event.at
        return None


def advance(reading: Reading, event: Event) -> Reading:
    """Return the reading after an event.

    Raises:
        ReadingError: The state does not allow the event; the reading is as it was.
    """
    if reading.events and event.at < reading.events[-1].at:
        raise ReadingError(f"the event is from {event.at}, before the last one of the reading")
    after = _STEPS[type(event)](reading, event)
    return replace(after, events=(*reading.events, event))


def replay(study: str, reader: str, events: tuple[Event, ...]) -> Reading:
    """Return the reading that a list of events leads to."""
    reading = Reading(study, reader)
    for event in events:
        reading = advance(reading, event)
    return reading


def _refuse(reading: Reading, wanted: str, allowed: str) -> ReadingError:
    return ReadingError(f"can't {wanted}: the reading is {reading.state.value}; {allowed}")


def _open(reading: Reading, _: Opened) -> Reading:
    return replace(reading, state=State.READING) if reading.state is State.UNREAD else reading


def _save(reading: Reading, event: DraftSaved) -> Reading:
    if reading.state is State.READING or (reading.more_images and reading.state is not State.UNREAD):
        return replace(reading, draft=event.findings)
    raise _refuse(reading, "save a draft", "open it first; a committed read does not change")


def _commit(reading: Reading, event: Committed) -> Reading:
    late = reading.more_images and bool(reading.first_read) and reading.state in _BEFORE_SIGNING
    if reading.state is not State.READING and not late:
        raise _refuse(reading, "commit a read", "open it first; a read is committed once")
    identifiers = [f.id for f in (*reading.committed_findings, *event.findings)]
    if len(set(identifiers)) != len(identifiers):
        raise ReadingError("two findings of the read have one identifier; give each its own")
    return replace(
        reading,
        state=State.READ_ALONE,
        draft=(),
        first_read=(*reading.first_read, event),
        more_images=False,
    )


def _reveal(reading: Reading, event: Revealed) -> Reading:
    if reading.state not in (State.READ_ALONE, State.AI_SHOWN, State.RECONCILED):
        raise _refuse(reading, "show the models' findings", "commit the first read before")
    if reading.more_images:
        raise ReadingError("more images came: read them alone and commit before new results")
    kept = {f: d for f, d in reading.decisions.items() if f in event.findings}
    return _settle(replace(reading, to_decide=event.findings, decisions=kept))


def _decide(reading: Reading, event: Decided) -> Reading:
    decision = event.decision
    if reading.state not in (State.AI_SHOWN, State.RECONCILED):
        raise _refuse(reading, "decide", "decisions come after the reveal and before signing")
    if decision.finding not in reading.to_decide:
        raise ReadingError(f"no finding {decision.finding} of a model is shown here")
    if decision.choice == "reject":
        if decision.reason not in REJECT_REASONS:
            raise ReadingError(
                f"a rejection needs a reason of {', '.join(REJECT_REASONS)}; got {decision.reason}"
            )
        if decision.reason == "other" and not decision.comment.strip():
            raise ReadingError("reason `other` needs a comment")
    if (decision.choice == "modify") != (decision.modified is not None):
        raise ReadingError("a modification, and only that, brings the modified finding")
    return _settle(replace(reading, decisions={**reading.decisions, decision.finding: decision}))


def _dismiss(reading: Reading, event: CheckDismissed) -> Reading:
    if reading.state in (State.UNREAD, State.SIGNED, State.ADDENDUM):
        raise _refuse(reading, "dismiss a check", "checks are answered between opening and signing")
    if event.reason not in DISMISS_REASONS:
        raise ReadingError(
            f"dismissing a check needs a reason of {', '.join(DISMISS_REASONS)}; got {event.reason}"
        )
    if event.reason == "other" and not event.comment.strip():
        raise ReadingError("reason `other` needs a comment")
    return reading


def _settle(reading: Reading) -> Reading:
    return replace(reading, state=State.AI_SHOWN if reading.undecided else State.RECONCILED)


def _sign(reading: Reading, _: Signed) -> Reading:
    if reading.more_images:
        raise ReadingError("more images came: read them alone before signing")
    if reading.state is not State.RECONCILED:
        left = len(reading.undecided)
        rest = f"{left} findings still need a decision" if left else "commit and reveal first"
        raise _refuse(reading, "sign", rest)
    return replace(reading, state=State.SIGNED)


def _add(reading: Reading, event: AddendumAdded) -> Reading:
    if reading.state not in (State.SIGNED, State.ADDENDUM):
        raise _refuse(reading, "add an addendum", "sign first")
    if not event.text.strip():
        raise ReadingError("an addendum needs words")
    return replace(reading, state=State.ADDENDUM, addenda=(*reading.addenda, (event.at, event.text)))


def _arrive(reading: Reading, _: ImagesArrived) -> Reading:
    # before the commit the new images are simply part of what is read alone
    return replace(reading, more_images=True) if reading.first_read else reading


_BEFORE_SIGNING = (State.READ_ALONE, State.AI_SHOWN, State.RECONCILED)
_STEPS: dict[type, Callable[[Reading, Any], Reading]] = {
    Opened: _open,
    DraftSaved: _save,
    Committed: _commit,
    Revealed: _reveal,
    Decided: _decide,
    CheckDismissed: _dismiss,
    Signed: _sign,
    AddendumAdded: _add,
    ImagesArrived: _arrive,
}
