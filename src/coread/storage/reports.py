"""Reports, the files that were made of them, and the readers' own text for reports to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from coread.core import Dictation, Report
from coread.errors import InputError
from coread.storage.database import ConflictError, Database
from coread.storage.documents import pack, unpack
from coread.storage.models import ReportFileModel, ReportModel, ReportTextModel
from coread.storage.objects import ObjectStore


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file that was made of a report."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class StoredReport:
    """A report as it was saved.

    Attributes:
        id: Random.
        study: Study instance UID.
        reader: Identifier of the reader.
        saved_at: When.
        files: What was made of it, by name.
    """

    id: str
    study: str
    reader: str
    saved_at: datetime
    files: tuple[ReportFile, ...]
    _load: Callable[[], Report] = field(repr=False)

    def load(self) -> Report:
        """Return the report itself.

        Raises:
            DataError: The stored report is damaged or missing.
        """
        return self._load()


@dataclass(frozen=True, slots=True)
class StoredText:
    """A reader's own text for a report as it was saved last; version 0 where it never was."""

    dictation: Dictation
    version: int
    saved_at: datetime | None


class ReportStore:
    """Reports by study; nothing is replaced, an addendum is a further report.

    The text of a report to come is not a report yet: each reader has one a study, and it is replaced.
    """

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._db = database
        self._objects = objects

    def save(self, study: str, reader: str, report: Report, documents: Mapping[str, bytes]) -> StoredReport:
        """Keep a report and the files made of it.

        Raises:
            InputError: The report is of another study.
            ConflictError: The study is not indexed.
        """
        if report.study != study:
            raise InputError(f"a report of study {report.study}", f"one of study {study}")
        text, arrays = pack(report)
        names = sorted(documents)
        contents = [documents[name] for name in names] + ([] if arrays is None else [arrays])
        digests = self._objects.put_many(contents)
        identifier = self._db.identifier()
        values = {
            "id": identifier,
            "study": study,
            "reader": reader,
            "saved_at": self._db.now(),
            "document": text,
            "arrays": None if arrays is None else digests[-1],
        }
        files = [
            {"report": identifier, "name": name, "digest": digest, "size": len(documents[name])}
            for name, digest in zip(names, digests, strict=False)
        ]
        with self._db.transaction() as connection:
            try:
                connection.execute(sa.insert(ReportModel).values(**values))
            except sa.exc.IntegrityError as error:
                raise ConflictError(f"study {study} is not indexed") from error
            if files:
                connection.execute(sa.insert(ReportFileModel), files)
            return self._select(ReportModel.id == identifier)[0]

    def of(self, study: str) -> tuple[StoredReport, ...]:
        """Return the reports of a study, the latest last."""
        return self._select(ReportModel.study == study)

    def get(self, identifier: str) -> StoredReport | None:
        """Return a report by its identifier, or None."""
        found = self._select(ReportModel.id == identifier)
        return found[0] if found else None

    def file(self, identifier: str, name: str) -> bytes | None:
        """Return a file that was made of a report, or None where there is none of that name."""
        table = ReportFileModel
        with self._db.snapshot() as connection:
            digest = connection.scalar(
                select(table.digest).where(table.report == identifier, table.name == name)
            )
        return None if digest is None else self._objects.get(digest)

    def text(self, study: str, reader: str) -> StoredText:
        """Return a reader's own text for the report of a study; empty where there is none."""
        table = ReportTextModel
        query = select(table).where(table.study == study, table.reader == reader)
        with self._db.snapshot() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return StoredText(Dictation(""), 0, None)
        return StoredText(unpack(row.document, None), row.version, row.saved_at)

    def save_text(self, study: str, reader: str, dictation: Dictation, *, expected: int) -> StoredText:
        """Keep a reader's own text for the report of a study.

        Raises:
            ConflictError: It has another version by now, or the study is not indexed.
        """
        with self._db.transaction() as connection:
            known = self.text(study, reader).version
            if known != expected:
                raise ConflictError(
                    f"the text has version {known} by now",
                    f"version {expected}",
                    "load it again and join the two texts",
                )
            values = {"version": known + 1, "saved_at": self._db.now(), "document": pack(dictation)[0]}
            statement = self._db.insert(ReportTextModel).values(study=study, reader=reader, **values)
            try:
                connection.execute(
                    statement.on_conflict_do_update(index_elements=["study", "reader"], set_=values)
                )
            except sa.exc.IntegrityError as error:
                raise ConflictError(f"study {study} is not indexed") from error
            return self.text(study, reader)

    def _select(self, *where: sa.ColumnElement[bool]) -> tuple[StoredReport, ...]:
        with self._db.snapshot() as connection:
            found = connection.execute(select(ReportModel).where(*where).order_by(ReportModel.seq)).all()
            table = ReportFileModel
            files = connection.execute(
                select(table).where(table.report.in_([row.id for row in found])).order_by(table.name)
            ).all()
        return tuple(self._stored(row, [f for f in files if f.report == row.id]) for row in found)

    def _stored(self, row: Any, files: list[Any]) -> StoredReport:
        def load() -> Report:
            report: Report = unpack(row.document, row.arrays and self._objects.get(row.arrays))
            return report

        kept = tuple(ReportFile(f.name, f.digest, f.size) for f in files)
        return StoredReport(row.id, row.study, row.reader, row.saved_at, kept, load)
