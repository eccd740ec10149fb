"""The audit log: who did what to what, each entry chained to the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from coread.errors import InputError
from coread.storage.database import Database
from coread.storage.models import AuditHeadModel, AuditModel, ReadingEventModel
from coread.storage.paging import Page, after, checked_limit, to_cursor

START = "0" * 64
_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act.

    Attributes:
        id: Random; tells nothing of how many entries there are.
        at: When, in UTC.
        actor: Who: a reader's identifier, or ``system``.
        action: What, such as ``reading.committed``.
        subject: On what, such as a study instance UID.
        detail: Further words.
    """

    id: str
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AuditAnchor:
    """Where the log ended at some time; kept elsewhere, it shows that nothing was cut off since."""

    count: int
    digest: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """What a check of the log found.

    Attributes:
        count: Entries that were checked.
        problems: In plain words, the first hundred; empty where everything is as it was written.
        anchor: Where the log ends.
    """

    count: int
    problems: tuple[str, ...]
    anchor: AuditAnchor

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


class AuditLog:
    """An append-only log. The digest of an entry covers its content and the digest before it.

    The database refuses changes of the log; whoever gets around that is found out by `verify`.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def append(
        self, actor: str, action: str, subject: str, detail: Mapping[str, str] | None = None
    ) -> AuditEntry:
        """Add an entry; inside `Library.transaction` it is kept together with the act or not at all.

        Raises:
            InputError: Actor, action or subject is empty, or the detail is not text.
        """
        words = dict(detail or {})
        if not (actor and action and subject):
            raise InputError("an audit entry needs actor, action and subject")
        if not all(isinstance(k, str) and isinstance(v, str) for k, v in words.items()):
            raise InputError("the detail of an audit entry is text by name")
        entry = AuditEntry(
            self._db.identifier(), self._db.now(), actor, action, subject, MappingProxyType(words)
        )
        with self._db.transaction():
            # last in the transaction: the end of the chain is what all writers share
            self._db.before_commit(lambda connection: _append(connection, entry))
        return entry

    def page(
        self,
        *,
        subject: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[AuditEntry]:
        """Return one page of the log, the latest first."""
        limit = checked_limit(limit)
        table = AuditModel
        where = [
            column == value
            for column, value in ((table.subject, subject), (table.actor, actor), (table.action, action))
            if value is not None
        ]
        query = select(table).where(*where).order_by(table.seq.desc()).limit(limit + 1)
        with self._db.snapshot() as connection:
            total = connection.scalar(select(sa.func.count()).select_from(table).where(*where)) or 0
            if cursor is not None:
                query = query.where(after((sa.column("seq", sa.Integer),), cursor, descending=True))
            found = connection.execute(query).all()
        following = to_cursor([found[limit - 1].seq]) if len(found) > limit else None
        return Page(tuple(_entry(row) for row in found[:limit]), total, following)

    def anchor(self) -> AuditAnchor:
        """Return where the log ends, to be kept elsewhere."""
        with self._db.snapshot() as connection:
            row = connection.execute(select(AuditHeadModel)).one()
        return AuditAnchor(row.length, row.digest)

    def verify(self, anchor: AuditAnchor | None = None) -> AuditCheck:
        """Compute the whole chain again and compare; also the reading events that it vouches for.

        Args:
            anchor: Where the log ended earlier; it must still contain that.
        """
        problems: list[str] = []
        digest, count = START, 0
        events: dict[tuple[str, str, str], str] = {}
        with self._db.snapshot() as connection:
            for row in _stream(connection):
                if row.seq != count + 1:
                    problems.append(f"entry {count + 1} is missing: entry {row.seq} comes after {count}")
                count = row.seq
                expected = _digest(digest, row.seq, _entry_words(row))
                if row.digest != expected:
                    problems.append(f"entry {row.seq} is not what was written, or not where it was written")
                digest = row.digest
                if anchor is not None and count == anchor.count and digest != anchor.digest:
                    problems.append(f"entry {count} is another one than the anchor remembers")
                detail = json.loads(row.detail)
                if row.action.startswith("reading.") and "event_digest" in detail:
                    events[row.subject, detail["reader"], detail["version"]] = detail["event_digest"]
            head = connection.execute(select(AuditHeadModel)).one_or_none()
            problems.extend(_event_problems(connection, events))
        if head is None or (head.length, head.digest) != (count, digest):
            problems.append(f"the log ends at entry {count}, its head says {head and head.length}")
        if anchor is not None and count < anchor.count:
            problems.append(f"the log has {count} entries, the anchor remembers {anchor.count}")
        return AuditCheck(count, tuple(problems[:_PROBLEMS]), AuditAnchor(count, digest))


def event_digest(document: str, arrays: bytes | None) -> str:
    """Return the digest by which the log vouches for a reading event."""
    content = hashlib.sha256(document.encode())
    if arrays is not None:
        content.update(b"\0" + arrays)
    return content.hexdigest()


def _append(connection: Connection, entry: AuditEntry) -> None:
    head = connection.execute(select(AuditHeadModel).with_for_update()).one()
    seq = head.length + 1
    words = {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": json.dumps(dict(entry.detail), ensure_ascii=False, sort_keys=True),
    }
    digest = _digest(head.digest, seq, words)
    values: dict[str, Any] = {**words, "at": entry.at, "seq": seq, "digest": digest}
    connection.execute(sa.insert(AuditModel).values(**values))
    connection.execute(sa.update(AuditHeadModel).values(length=seq, digest=digest))


def _digest(before: str, seq: int, words: Mapping[str, str]) -> str:
    content = json.dumps([before, seq, words], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _entry_words(row: Any) -> dict[str, str]:
    names = ("id", "actor", "action", "subject", "detail")
    return {**{name: getattr(row, name) for name in names}, "at": row.at.isoformat()}


def _entry(row: Any) -> AuditEntry:
    detail = MappingProxyType(json.loads(row.detail))
    return AuditEntry(row.id, row.at, row.actor, row.action, row.subject, detail)


def _stream(connection: Connection) -> Iterator[Any]:
    query = select(AuditModel).order_by(AuditModel.seq)
    yield from connection.execution_options(yield_per=1000).execute(query)


def _event_problems(connection: Connection, vouched: dict[tuple[str, str, str], str]) -> Iterator[str]:
    left = dict(vouched)
    for row in connection.execute(select(ReadingEventModel)):
        key = (row.study, row.reader, str(row.version))
        if left.pop(key, None) != event_digest(row.document, row.arrays):
            yield f"event {row.version} of the reading of {row.study} is not what was written"
    for study, _, version in left:
        yield f"event {version} of the reading of {study} is missing"
