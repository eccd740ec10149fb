"""The order in which studies are read: priority, then waiting time against its limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from coread.errors import InputError

Priority = Literal["critical", "urgent", "routine"]
Why = Literal["overdue", "half_of_limit", "raised", "ordered", "arrival"]
_RANK: Mapping[str, int] = MappingProxyType({"critical": 0, "urgent": 1, "routine": 2})


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLimits:
    """How long a study of each priority may wait, in seconds; defaults of 15 min, 1 h and 24 h."""

    critical_s: float = 15 * 60.0
    urgent_s: float = 60 * 60.0
    routine_s: float = 24 * 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.critical_s <= self.urgent_s <= self.routine_s:
            raise InputError("limits rise from critical over urgent to routine and are positive")

    def of(self, priority: Priority) -> float:
        """Return the limit of a priority in seconds."""
        return {"critical": self.critical_s, "urgent": self.urgent_s, "routine": self.routine_s}[priority]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A study that waits to be read.

    Attributes:
        study: Study instance UID.
        ordered: Priority of the order.
        raised: Priority that an enabled triage model gives it, or None.
        waiting_s: Since its first image came.
    """

    study: str
    ordered: Priority
    waiting_s: float
    raised: Priority | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A study in its place, with the reason for it.

    Attributes:
        study: Study instance UID.
        priority: The higher one of order and triage.
        waiting_s: Since its first image came.
        limit_s: How long it may wait.
        why: Why it stands here.
    """

    study: str
    priority: Priority
    waiting_s: float
    limit_s: float
    why: Why
    _key: tuple[float, ...] = field(default=(), repr=False, compare=False)


def place(study: Waiting, limits: WaitingLimits | None = None) -> Placed:
    """Return a study with its priority, limit and the reason for its place."""
    limits = limits or WaitingLimits()
    priority = study.ordered
    if study.raised is not None and _RANK[study.raised] < _RANK[priority]:
        priority = study.raised
    limit = limits.of(priority)
    share = max(study.waiting_s, 0.0) / limit
    why: Why = "arrival"
    if share >= 1:
        why = "overdue"
    elif priority != study.ordered:
        why = "raised"
    elif priority != "routine":
        why = "ordered"
    elif share >= 0.5:
        why = "half_of_limit"
    # nothing waits for ever behind a stream of more pressing studies: past its limit it moves up one rank
    rank = max(_RANK[priority] - (share >= 1), 0)
    return Placed(study.study, priority, study.waiting_s, limit, why, (rank, -share))


def order(studies: Iterable[Waiting], limits: WaitingLimits | None = None) -> tuple[Placed, ...]:
    """Return studies in the order to read them.

    Priority first, then waiting time as a part of its limit, longest first; a study past its limit ranks one
    priority higher, so that the tail of the queue is bounded. Equal studies stand in the order of their UIDs,
    so that the order does not depend on the order in which they came.

    References:
        Baltruschat et al. 2020: prioritising by findings alone made the longest waiting times longer, until
        an upper limit of waiting was added.

    Examples:
        >>> waiting = [Waiting(study="1.2", ordered="routine", waiting_s=60.0),
        ...            Waiting(study="1.3", ordered="critical", waiting_s=1.0)]
        >>> [placed.study for placed in order(waiting)]
        ['1.3', '1.2']
    """
    placed = [place(study, limits) for study in studies]
    return tuple(sorted(placed, key=lambda p: (*p._key, p.study)))
