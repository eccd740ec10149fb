"""Readings, kept as the events that they follow from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from coread.core.reading import CheckDismissed, Event, Opened, Reading, State, advance, replay
from coread.storage.audit import AuditLog, event_digest
from coread.storage.database import ConflictError, Database
from coread.storage.documents import pack, unpack
from coread.storage.models import ReadingEventModel, ReadingModel
from coread.storage.paging import batched


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingHead:
    """Where a reading stands, without its events.

    Attributes:
        study: Study instance UID.
        reader: Identifier of the reader.
        version: Number of events so far.
        state: How far it has come.
        more_images: Whether images came that the reader has not read alone yet.
        opened_at: When the reader first opened it, or None.
        committed_at: When the first read was committed, or None.
        signed_at: When it was signed, or None.
        updated_at: Time of the last event.
    """

    study: str
    reader: str
    version: int
    state: State
    more_images: bool
    opened_at: datetime | None
    committed_at: datetime | None
    signed_at: datetime | None
    updated_at: datetime

    @property
    def locked(self) -> bool:
        """Whether everything of the models is hidden from this reader."""
        return self.committed_at is None


class ReadingStore:
    """Events of readings: each is written once and never changed; a reading is their replay.

    Every event is vouched for by an audit entry, written in the same transaction: action
    ``reading.<event>`` (``reading.committed``, ``reading.images_arrived``...), subject the study.
    """

    def __init__(self, database: Database, audit: AuditLog) -> None:
        self._db = database
        self._audit = audit

    def get(self, study: str, reader: str) -> tuple[Reading, int]:
        """Return a reading and its version; an unread one with version 0 where nothing is stored."""
        table = ReadingEventModel
        query = select(table).where(table.study == study, table.reader == reader).order_by(table.version)
        with self._db.snapshot() as connection:
            found = connection.execute(query).all()
        return replay(study, reader, tuple(_event(row) for row in found)), len(found)

    def append(
        self, study: str, reader: str, event: Event, *, expected: int, actor: str | None = None
    ) -> int:
        """Add an event to a reading and an entry to the audit log.

        Args:
            study: Study instance UID, which is indexed.
            reader: Identifier of the reader.
            event: What happened.
            expected: The version that the caller has seen.
            actor: Who did it, where that is not the reader (``system`` for images that arrive).

        Returns:
            The new version.

        Raises:
            ConflictError: The reading has another version by now, or the study is not indexed.
            ReadingError: The state of the reading does not allow the event.
        """
        with self._db.transaction() as connection:
            before, version = self.get(study, reader)
            if version != expected:
                raise _changed(study, version, expected)
            after = advance(before, event)
            document, arrays = pack(event)
            digest = event_digest(document, arrays)
            row = {
                "study": study,
                "reader": reader,
                "version": version + 1,
                "document": document,
                "arrays": arrays,
                "digest": digest,
            }
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(ReadingEventModel).values(**row))
                    self._set_head(connection, after, version + 1)
            except sa.exc.IntegrityError as error:
                raise _changed(study, None, expected) from error
            self._audit.append(
                actor or reader,
                f"reading.{_event_name(event)}",
                study,
                {
                    "reader": reader,
                    "version": str(version + 1),
                    "event_digest": digest,
                    **_event_words(event),
                },
            )
        return version + 1

    def _set_head(self, connection: Connection, reading: Reading, version: int) -> None:
        opened = next((e.at for e in reading.events if isinstance(e, Opened)), None)
        values = {
            "version": version,
            "state": reading.state.value,
            "more_images": reading.more_images,
            "opened_at": opened,
            "committed_at": reading.first_read[0].at if reading.first_read else None,
            "signed_at": reading.signed_at,
            "updated_at": reading.events[-1].at,
        }
        statement = self._db.insert(ReadingModel).values(study=reading.study, reader=reading.reader, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["study", "reader"], set_=values))

    def readers(self, study: str) -> tuple[str, ...]:
        """Return the readers who have opened a study to read it, sorted."""
        return tuple(head.reader for head in self.heads(study) if head.opened_at is not None)

    def heads(self, study: str) -> tuple[ReadingHead, ...]:
        """Return where every reading of a study stands, by reader."""
        table = ReadingModel
        with self._db.snapshot() as connection:
            found = connection.execute(select(table).where(table.study == study).order_by(table.reader))
            return tuple(_head(row) for row in found)

    def heads_of(self, reader: str, studies: Sequence[str]) -> Mapping[str, ReadingHead]:
        """Return where one reader's readings of some studies stand, by study; for a list."""
        table = ReadingModel
        heads: dict[str, ReadingHead] = {}
        with self._db.snapshot() as connection:
            for chunk in batched(studies):
                query = select(table).where(table.reader == reader, table.study.in_(chunk))
                heads |= {row.study: _head(row) for row in connection.execute(query)}
        return heads


def _changed(study: str, version: int | None, expected: int) -> ConflictError:
    now = "another version" if version is None else f"version {version}"
    return ConflictError(
        f"the reading of {study} has {now} by now, or the study is not indexed",
        f"version {expected}",
        "load it again and repeat the step",
    )


def _event_name(event: Event) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def _event_words(event: Event) -> dict[str, str]:
    """Return what the log says of an event in coded words; never free text."""
    return {"check": event.check, "reason": event.reason} if isinstance(event, CheckDismissed) else {}


def _event(row: Any) -> Event:
    event: Event = unpack(row.document, row.arrays)
    return event


def _head(row: Any) -> ReadingHead:
    return ReadingHead(
        study=row.study,
        reader=row.reader,
        version=row.version,
        state=State(row.state),
        more_images=row.more_images,
        opened_at=row.opened_at,
        committed_at=row.committed_at,
        signed_at=row.signed_at,
        updated_at=row.updated_at,
    )
