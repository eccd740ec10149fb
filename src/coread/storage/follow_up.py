"""Examinations that signed reports ask for, until they are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from coread.storage.database import ConflictError, Database
from coread.storage.models import FollowUpModel


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report asks for; dates are None where it says no time."""

    what: str
    asked_on: date
    earliest: date | None
    latest: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpRow:
    """An examination that a report asks for, as it is kept.

    Attributes:
        id: Random.
        study: Study whose report asks.
        reader: Who signed it.
        asked: What and when.
        closed_at: When a person closed it, or None.
        closed_by: Who, or None.
        closed_why: Their reason.
    """

    id: str
    study: str
    reader: str
    asked: Asked
    closed_at: datetime | None
    closed_by: str | None
    closed_why: str


class FollowUpStore:
    """What reports ask for, by study and reader. Which examination answers it is found when it is asked."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def replace(self, study: str, reader: str, asked: Sequence[Asked]) -> None:
        """Keep what the latest report of a reader asks for; what stays the same stays closed."""
        table = FollowUpModel
        with self._db.transaction() as connection:
            before = [row for row in self.rows() if (row.study, row.reader) == (study, reader)]
            gone = [row.id for row in before if row.asked not in asked]
            connection.execute(sa.delete(table).where(table.id.in_(gone)))
            known = [row.asked for row in before]
            new = [
                {
                    "id": self._db.identifier(),
                    "study": study,
                    "reader": reader,
                    "what": one.what,
                    "asked_on": one.asked_on,
                    "earliest": one.earliest,
                    "latest": one.latest,
                    "closed_why": "",
                }
                for one in dict.fromkeys(asked)
                if one not in known
            ]
            if new:
                connection.execute(sa.insert(table), new)

    def rows(self) -> tuple[FollowUpRow, ...]:
        """Return everything that reports ask for, the oldest first."""
        with self._db.snapshot() as connection:
            found = connection.execute(select(FollowUpModel).order_by(FollowUpModel.seq)).all()
        return tuple(map(_row, found))

    def close(self, identifier: str, reader: str, why: str) -> FollowUpRow:
        """Close one by hand: done elsewhere, or not needed any more.

        Raises:
            ConflictError: There is none, or it is closed already.
        """
        table = FollowUpModel
        values = {"closed_at": self._db.now(), "closed_by": reader, "closed_why": why}
        with self._db.transaction() as connection:
            statement = sa.update(table).where(table.id == identifier, table.closed_at.is_(None))
            if connection.execute(statement.values(**values)).rowcount != 1:
                raise ConflictError("this task is closed by now", "an open one", "load the list again")
            return _row(connection.execute(select(table).where(table.id == identifier)).one())


def _row(row: Any) -> FollowUpRow:
    return FollowUpRow(
        id=row.id,
        study=row.study,
        reader=row.reader,
        asked=Asked(row.what, row.asked_on, row.earliest, row.latest),
        closed_at=row.closed_at,
        closed_by=row.closed_by,
        closed_why=row.closed_why,
    )
