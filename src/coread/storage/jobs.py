"""Work to do: a queue that survives the end of any process."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import Connection, select

from coread.errors import InputError
from coread.storage.database import ConflictError, Database
from coread.storage.models import JobModel
from coread.storage.paging import Page, after, checked_limit, to_cursor

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Signal = Literal["go_on", "cancel", "lost"]
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work.

    Attributes:
        id: Random.
        kind: Which handler does it.
        key: Of the same kind and key there is one job.
        subject: Such as a study instance UID, or None.
        payload: What the handler gets; plain JSON.
        priority: Higher comes first.
        state: ``queued``, ``running``, ``done``, ``failed`` (for good: the dead letters) or ``cancelled``.
        attempts: How often it was started.
        max_attempts: How often it may be started.
        not_before: A retry waits until then.
        worker: Who has it, or had it last.
        lease_until: Until when it is theirs without another heartbeat, or None.
        cancel: Whether somebody wants it cancelled.
        progress: From 0 to 1.
        words: What is being done.
        error: Of the last failed attempt.
        created_at: When it was asked for.
        updated_at: When anything of this last changed.
    """

    id: str
    kind: str
    key: str
    subject: str | None
    payload: Mapping[str, Any]
    priority: int
    state: JobState
    attempts: int
    max_attempts: int
    not_before: datetime
    worker: str | None
    lease_until: datetime | None
    cancel: bool
    progress: float
    words: str
    error: str
    created_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state in ("done", "failed", "cancelled")


class JobQueue:
    """Jobs in one table.

    A worker claims a job under a lease and prolongs it by heartbeats; when the worker dies, the lease runs
    out and the job is claimed again. What a worker without the lease reports is refused.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: Mapping[str, Any],
        *,
        priority: int = 0,
        subject: str | None = None,
        max_attempts: int = 4,
    ) -> Job:
        """Ask for work; asking again with the same kind and key gives the job that is there.

        A job that failed for good or was cancelled is queued again. Content digests in the payload keep their
        objects in the store until the job has ended.

        Raises:
            InputError: Kind or key is empty, or the payload is not JSON.
        """
        if not (kind and key) or max_attempts < 1:
            raise InputError("a job needs a kind, a key and one attempt or more")
        try:
            text = json.dumps(dict(payload), ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"the payload of a job is plain JSON: {error}") from error
        now = self._db.now()
        table = JobModel
        fresh: dict[str, Any] = {
            "payload": text,
            "priority": priority,
            "subject": subject,
            "state": "queued",
            "attempts": 0,
            "max_attempts": max_attempts,
            "not_before": now,
            "worker": None,
            "lease_until": None,
            "cancel": False,
            "progress": 0.0,
            "words": "",
            "error": "",
            "updated_at": now,
        }
        statement = self._db.insert(table).values(
            id=self._db.identifier(), kind=kind, key=key, created_at=now, **fresh
        )
        again = statement.on_conflict_do_update(
            index_elements=["kind", "key"], set_=fresh, where=table.state.in_(("failed", "cancelled"))
        )
        with self._db.transaction() as connection:
            connection.execute(again)
            row = connection.execute(select(table).where(table.kind == kind, table.key == key)).one()
        return _job(row)

    def claim(self, worker: str, lease_s: float, *, kinds: Sequence[str] = ()) -> Job | None:
        """Take the next job: highest priority first, then the one that waits longest; None if none waits.

        Args:
            worker: Who takes it.
            lease_s: How long it is theirs without a heartbeat, in seconds.
            kinds: Which kinds; empty for any.
        """
        table = JobModel
        with self._db.transaction() as connection:
            now = self._db.now()
            self._take_back(connection, table.lease_until <= now, "the lease ran out", now)
            following = (
                select(table.seq)
                .where(table.state == "queued", table.not_before <= now)
                .order_by(table.priority.desc(), table.seq)
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if kinds:
                following = following.where(table.kind.in_(kinds))
            row = connection.execute(
                sa.update(table)
                .where(table.seq == following.scalar_subquery(), table.state == "queued")
                .values(
                    state="running",
                    worker=worker,
                    lease_until=now + timedelta(seconds=lease_s),
                    attempts=table.attempts + 1,
                    updated_at=now,
                )
                .returning(*table.__table__.columns)
            ).first()
        return None if row is None else _job(row)

    def heartbeat(self, identifier: str, worker: str, lease_s: float) -> Signal:
        """Prolong a lease.

        Returns:
            ``go_on``; ``cancel`` when somebody wants the job cancelled; ``lost`` when it is not this worker's
            any more: stop, and report nothing.
        """
        now = self._db.now()
        table = JobModel
        with self._db.transaction() as connection:
            cancel = connection.execute(
                sa.update(table)
                .where(*_held(identifier, worker))
                .values(lease_until=now + timedelta(seconds=lease_s))
                .returning(table.cancel)
            ).scalar()
        if cancel is None:
            return "lost"
        return "cancel" if cancel else "go_on"

    def progress(self, identifier: str, worker: str, fraction: float, words: str = "") -> None:
        """Say how far a job has come: from 0 to 1, and what is being done.

        Raises:
            ConflictError: The job is not this worker's any more.
        """
        if not (math.isfinite(fraction) and 0 <= fraction <= 1):
            raise InputError(f"progress {fraction}", "0 to 1")
        self._change(identifier, worker, progress=float(fraction), words=words)

    def finish(self, identifier: str, worker: str) -> Job:
        """Say that a job is done.

        Raises:
            ConflictError: The job is not this worker's any more.
        """
        return self._change(
            identifier, worker, state="done", progress=1.0, words="", error="", lease_until=None
        )

    def fail(self, identifier: str, worker: str, error: str, *, retry: bool = True) -> Job:
        """Say that an attempt failed; it is tried again later, each time after a longer wait.

        Args:
            identifier: Of the job.
            worker: Who had it.
            error: Why, in plain words without anything of a patient.
            retry: Whether another attempt makes sense.

        Returns:
            The job: ``queued`` again, or ``failed`` for good; ``cancelled`` where somebody wanted that.

        Raises:
            ConflictError: The job is not this worker's any more.
        """
        table = JobModel
        with self._db.transaction() as connection:
            now = self._db.now()
            row = connection.execute(
                select(table).where(*_held(identifier, worker)).with_for_update()
            ).first()
            if row is None:
                raise _lost(identifier)
            if row.cancel:
                changes: dict[str, Any] = {"state": "cancelled"}
            elif retry and row.attempts < row.max_attempts:
                changes = {
                    "state": "queued",
                    "not_before": now + timedelta(seconds=self._wait_s(row.attempts)),
                }
            else:
                changes = {"state": "failed"}
            return self._change(identifier, worker, **changes, error=error, lease_until=None)

    def release(self, identifier: str, worker: str) -> Job:
        """Give a job back unfinished, as when a worker is stopped; the attempt does not count.

        Raises:
            ConflictError: The job is not this worker's any more.
        """
        return self._change(
            identifier,
            worker,
            state="queued",
            attempts=JobModel.attempts - 1,
            lease_until=None,
            progress=0.0,
            words="",
        )

    def cancelled(self, identifier: str, worker: str) -> Job:
        """Say that a job was stopped because somebody wanted it cancelled.

        Raises:
            ConflictError: The job is not this worker's any more.
        """
        return self._change(identifier, worker, state="cancelled", words="", lease_until=None)

    def cancel(self, identifier: str) -> Job | None:
        """Ask for a job to be cancelled: a waiting one is at once, a running one when its worker hears of it.

        Returns:
            The job, unchanged where it has ended; None where there is none.
        """
        now = self._db.now()
        table = JobModel
        with self._db.transaction() as connection:
            connection.execute(
                sa.update(table)
                .where(table.id == identifier, table.state.in_(("queued", "running")))
                .values(
                    cancel=True,
                    updated_at=now,
                    state=sa.case((table.state == "queued", "cancelled"), else_=table.state),
                )
            )
            return self.get(identifier)

    def recover(self, is_alive: Callable[[str], bool] | None = None) -> int:
        """Take back jobs of workers that are gone; at the start of a server.

        Args:
            is_alive: Tells whether a worker still runs; without it only leases that ran out count.

        Returns:
            How many jobs were taken back.
        """
        table = JobModel
        with self._db.transaction() as connection:
            now = self._db.now()
            gone: list[sa.ColumnElement[bool]] = [table.lease_until <= now]
            if is_alive is not None:
                workers = connection.scalars(
                    select(table.worker).where(table.state == "running").distinct()
                ).all()
                dead = [worker for worker in workers if worker is not None and not is_alive(worker)]
                gone.append(table.worker.in_(dead))
            return self._take_back(connection, sa.or_(*gone), "its worker ended", now)

    def get(self, identifier: str) -> Job | None:
        """Return a job, or None."""
        with self._db.snapshot() as connection:
            row = connection.execute(select(JobModel).where(JobModel.id == identifier)).first()
        return None if row is None else _job(row)

    def latest(self, kind: str, subjects: Sequence[str]) -> Mapping[str, Job]:
        """Return the latest job of a kind for each subject that has one; for a page of a list."""
        table = JobModel
        newest = (
            select(sa.func.max(table.seq))
            .where(table.kind == kind, table.subject.in_(subjects))
            .group_by(table.subject)
        )
        with self._db.snapshot() as connection:
            found = connection.execute(select(table).where(table.seq.in_(newest)))
            return {row.subject: _job(row) for row in found}

    def page(
        self,
        *,
        states: Sequence[JobState] = (),
        kind: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[Job]:
        """Return one page of the jobs, the latest first; ``states=("failed",)`` are the dead letters."""
        limit = checked_limit(limit)
        table = JobModel
        where: list[sa.ColumnElement[bool]] = [] if not states else [table.state.in_(states)]
        if kind is not None:
            where.append(table.kind == kind)
        query = select(table).where(*where).order_by(table.seq.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(after((sa.column("seq", sa.Integer),), cursor, descending=True))
        with self._db.snapshot() as connection:
            total = connection.scalar(select(sa.func.count()).select_from(table).where(*where)) or 0
            found = connection.execute(query).all()
        following = to_cursor([found[limit - 1].seq]) if len(found) > limit else None
        return Page(tuple(_job(row) for row in found[:limit]), total, following)

    def changed_since(self, moment: datetime, *, limit: int = 200) -> tuple[Job, ...]:
        """Return jobs that changed at or after a moment, the earliest change first; for event streams."""
        table = JobModel
        query = select(table).where(table.updated_at >= moment).order_by(table.updated_at, table.seq)
        with self._db.snapshot() as connection:
            return tuple(_job(row) for row in connection.execute(query.limit(checked_limit(limit))))

    def _wait_s(self, attempts: int) -> float:
        longest = min(FIRST_RETRY_S * 2.0 ** (attempts - 1), LONGEST_RETRY_S)
        return longest * self._db.rng.uniform(0.5, 1.0)  # what failed together shall not return together

    def _change(self, identifier: str, worker: str, **changes: Any) -> Job:
        table = JobModel
        with self._db.transaction() as connection:
            row = connection.execute(
                sa.update(table)
                .where(*_held(identifier, worker))
                .values(**changes, updated_at=self._db.now())
                .returning(*table.__table__.columns)
            ).first()
        if row is None:
            raise _lost(identifier)
        return _job(row)

    @staticmethod
    def _take_back(connection: Connection, gone: sa.ColumnElement[bool], why: str, now: datetime) -> int:
        table = JobModel
        spent = table.attempts >= table.max_attempts
        done = connection.execute(
            sa.update(table)
            .where(table.state == "running", gone)
            .values(
                state=sa.case((table.cancel, "cancelled"), (spent, "failed"), else_="queued"),
                error=why,
                lease_until=None,
                not_before=now,
                updated_at=now,
            )
        )
        return done.rowcount


def _held(identifier: str, worker: str) -> tuple[sa.ColumnElement[bool], ...]:
    table = JobModel
    return (table.id == identifier, table.worker == worker, table.state == "running")


def _lost(identifier: str) -> ConflictError:
    return ConflictError(
        f"job {identifier} is not this worker's any more", "the lease of a running job", "stop the work"
    )


def _job(row: Any) -> Job:
    names = [name for name in Job.__slots__ if name != "payload"]
    values = {name: getattr(row, name) for name in names}
    values["progress"] = float(row.progress)
    return Job(payload=MappingProxyType(json.loads(row.payload)), **values)
