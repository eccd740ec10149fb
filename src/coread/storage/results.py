"""What analyzers found."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from coread.core import Mask, Provenance, Result
from coread.errors import InputError
from coread.storage.database import ConflictError, Database
from coread.storage.documents import pack, unpack
from coread.storage.models import ResultModel
from coread.storage.objects import ObjectStore

CACHE_BYTES = 600 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One run of an analyzer on a study.

    Attributes:
        id: Random.
        study: Study instance UID.
        analyzer: Registered name.
        key: Digest of analyzer, version, weights, inputs, settings and seed: equal keys, equal work.
        saved_at: When.
        provenance: As the runner stamped it.
        not_applicable: Why the study is not of the analyzer's kind, or None.
        failure: Why there is no answer, or None.
    """

    id: str
    study: str
    analyzer: str
    key: str
    saved_at: datetime
    provenance: Provenance
    not_applicable: str | None
    failure: str | None


@dataclass(frozen=True, slots=True, eq=False)
class StoredResult:
    """A run and, where it gave an answer, its result, loaded when it is asked for."""

    row: ResultRow
    _load: Callable[[], Result | None] = field(repr=False)

    def load(self) -> Result | None:
        """Return the result; None where the analyzer was not applicable or failed.

        Raises:
            DataError: The stored result is damaged or missing.
        """
        return self._load()


def result_key(study: str, provenance: Provenance) -> str:
    """Return the digest of everything that decides what an analyzer answers."""
    parts = [
        study,
        provenance.analyzer,
        provenance.version,
        provenance.weights_digest,
        sorted(provenance.inputs.items()),
        sorted(provenance.settings.items()),
        provenance.seed,
    ]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


class _Recent:
    """The results that were loaded last, up to a number of bytes; they never change once saved."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[Result, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, identifier: str) -> Result | None:
        with self._lock:
            if identifier not in self._kept:
                return None
            self._kept.move_to_end(identifier)
            return self._kept[identifier][0]

    def put(self, identifier: str, result: Result) -> None:
        size = sum(m.values.nbytes for m in result.maps) + sum(m.values.nbytes for m in result.labels)
        masks = (s.mask.voxels if isinstance(s.mask, Mask) else s.mask.pixels for s in result.masks)
        size += sum(mask.nbytes for mask in masks)
        with self._lock:
            self._kept[identifier] = (result, size)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self._limit:
                self._kept.popitem(last=False)


class ResultStore:
    """Results by study; the latest of each analyzer counts, earlier ones are kept."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._db = database
        self._objects = objects
        self._recent = _Recent(CACHE_BYTES)

    def save(
        self,
        study: str,
        provenance: Provenance,
        result: Result | None,
        *,
        analyzer: str | None = None,
        not_applicable: str | None = None,
        failure: str | None = None,
    ) -> ResultRow:
        """Keep what came of one run; an earlier run of the same analyzer on the study is superseded.

        The same work saved again (equal key, answered before) keeps the first answer and its identifiers.

        Args:
            study: Study instance UID, which is indexed.
            provenance: As the runner stamped it.
            result: The answer, or None with one of the two reasons below.
            analyzer: Registered name, where it differs from the one in the provenance.
            not_applicable: Why the study is not of the analyzer's kind.
            failure: Why there is no answer.

        Raises:
            InputError: Not exactly one of result, not_applicable and failure is given.
            ConflictError: The study is not indexed.
        """
        if sum(part is not None for part in (result, not_applicable, failure)) != 1:
            raise InputError("a run has a result, or is not applicable, or has failed: one of the three")
        name = analyzer or provenance.analyzer
        key = result_key(study, provenance)
        known = self.find(study, key)
        if known is not None and known.row.failure is None:
            return known.row
        document, arrays = (None, None) if result is None else pack(result)
        digest = None if arrays is None else self._objects.put(arrays)
        table = ResultModel
        row = ResultRow(
            id=self._db.identifier(),
            study=study,
            analyzer=name,
            key=key,
            saved_at=self._db.now(),
            provenance=provenance,
            not_applicable=not_applicable,
            failure=failure,
        )
        values = {
            "id": row.id,
            "study": study,
            "analyzer": name,
            "key": key,
            "saved_at": row.saved_at,
            "provenance": pack(provenance)[0],
            "not_applicable": not_applicable,
            "failure": failure,
            "document": document,
            "arrays": digest,
        }
        with self._db.transaction() as connection:
            known = self.find(study, key)  # again: another process may have saved the same work meanwhile
            if known is not None and known.row.failure is None:
                return known.row
            connection.execute(
                sa.update(table)
                .where(table.study == study, table.analyzer == name, table.superseded_by.is_(None))
                .values(superseded_by=row.id)
            )
            try:
                connection.execute(sa.insert(table).values(**values))
            except sa.exc.IntegrityError as error:
                raise ConflictError(f"study {study} is not indexed") from error
        return row

    def of(self, study: str) -> tuple[StoredResult, ...]:
        """Return the runs on a study that count, in the order in which they were saved."""
        table = ResultModel
        return self._select(table.study == study, table.superseded_by.is_(None))

    def history(self, study: str) -> tuple[StoredResult, ...]:
        """Return all runs on a study, superseded ones too, in the order in which they were saved."""
        return self._select(ResultModel.study == study)

    def find(self, study: str, key: str) -> StoredResult | None:
        """Return the run that counts and has this key, or None: the work need not be done again."""
        table = ResultModel
        found = self._select(table.study == study, table.key == key, table.superseded_by.is_(None))
        return found[0] if found else None

    def get(self, identifier: str) -> StoredResult | None:
        """Return a run by its identifier, superseded or not; or None."""
        found = self._select(ResultModel.id == identifier)
        return found[0] if found else None

    def _select(self, *where: sa.ColumnElement[bool]) -> tuple[StoredResult, ...]:
        with self._db.snapshot() as connection:
            found = connection.execute(select(ResultModel).where(*where).order_by(ResultModel.seq)).all()
        return tuple(self._stored(row) for row in found)

    def _stored(self, row: Any) -> StoredResult:
        def load() -> Result | None:
            if row.document is None:
                return None
            known = self._recent.get(row.id)
            if known is None:
                known = unpack(row.document, row.arrays and self._objects.get(row.arrays))
                self._recent.put(row.id, known)
            return known

        public = ResultRow(
            id=row.id,
            study=row.study,
            analyzer=row.analyzer,
            key=row.key,
            saved_at=row.saved_at,
            provenance=unpack(row.provenance, None),
            not_applicable=row.not_applicable,
            failure=row.failure,
        )
        return StoredResult(public, load)
