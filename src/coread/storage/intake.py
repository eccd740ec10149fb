"""What became of every file that was handed in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy import ColumnElement, select

from coread.core import FileEntry, FileRole
from coread.storage.database import Database
from coread.storage.models import IntakeModel
from coread.storage.paging import Page, Scope, after, checked_limit, to_cursor


@dataclass(frozen=True, slots=True)
class IntakeRow:
    """One file that was handed in.

    Attributes:
        id: Random.
        at: When.
        entry: What became of it.
        digest: Of its bytes where they are kept (quarantined ones too), or None.
        acquired: Whether it is an acquired image or a dose report; None where that can't be told.
    """

    id: str
    at: datetime
    entry: FileEntry
    digest: str | None
    acquired: bool | None


class IntakeLog:
    """Every file with what became of it; in scope ``acquired`` without objects, whatever their role."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def record(
        self,
        entry: FileEntry,
        digest: str | None = None,
        at: datetime | None = None,
        *,
        acquired: bool | None = None,
    ) -> IntakeRow:
        """Keep what became of a file.

        Args:
            entry: What became of it.
            digest: Of its bytes, where they are in the object store.
            at: When; now where it isn't said.
            acquired: ``header.acquired`` where the file has a header; None for what is no DICOM.
        """
        row = IntakeRow(self._db.identifier(), at or self._db.now(), entry, digest, acquired)
        values = {
            "id": row.id,
            "at": row.at,
            "path": entry.path,
            "role": entry.role,
            "reason": entry.reason,
            "study": entry.study,
            "series": entry.series,
            "instance": entry.instance,
            "marks": json.dumps(entry.marks, ensure_ascii=False),
            "digest": digest,
            "acquired": acquired,
        }
        with self._db.transaction() as connection:
            connection.execute(sa.insert(IntakeModel).values(**values))
        return row

    def page(
        self,
        *,
        cursor: str | None = None,
        limit: int = 50,
        roles: Sequence[FileRole] = (),
        study: str | None = None,
        scope: Scope = "all",
    ) -> Page[IntakeRow]:
        """Return one page of the files, the latest first.

        In scope ``acquired`` a file shows when it is acquired, or when it was refused and claims no study.
        """
        limit = checked_limit(limit)
        table = IntakeModel
        where = _conditions(scope, roles)
        if study is not None:
            where.append(table.study == study)
        query = select(table).where(*where).order_by(table.seq.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(after((sa.column("seq", sa.Integer),), cursor, descending=True))
        with self._db.snapshot() as connection:
            total = connection.scalar(select(sa.func.count()).select_from(table).where(*where)) or 0
            found = connection.execute(query).all()
        following = to_cursor([found[limit - 1].seq]) if len(found) > limit else None
        return Page(tuple(_row(row) for row in found[:limit]), total, following)

    def counts(self, *, since: datetime | None = None, scope: Scope = "all") -> Mapping[FileRole, int]:
        """Return how many files got each role, from a moment on."""
        table = IntakeModel
        query = (
            select(table.role, sa.func.count().label("number"))
            .where(*_conditions(scope, ()))
            .group_by(table.role)
        )
        if since is not None:
            query = query.where(table.at >= since)
        with self._db.snapshot() as connection:
            found = {row.role: row.number for row in connection.execute(query)}
        return {role: found.get(role, 0) for role in get_args(FileRole)}


def _conditions(scope: Scope, roles: Sequence[FileRole]) -> list[ColumnElement[bool]]:
    table = IntakeModel
    where: list[ColumnElement[bool]] = []
    if roles:
        where.append(table.role.in_(roles))
    if scope == "acquired":
        claims_nothing = sa.and_(table.role == "refused", table.study.is_(None), table.acquired.is_not(False))
        where.append(sa.or_(table.acquired.is_(True), claims_nothing))
    return where


def _row(row: Any) -> IntakeRow:
    entry = FileEntry(
        path=row.path,
        role=row.role,
        reason=row.reason,
        study=row.study,
        series=row.series,
        instance=row.instance,
        marks=tuple(json.loads(row.marks)),
    )
    return IntakeRow(row.id, row.at, entry, row.digest, row.acquired)
