"""One folder, or one folder and one database server, with everything that is kept."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, select

from coread.errors import TransportError
from coread.storage.audit import AuditLog
from coread.storage.database import Clock, Database, connect, sqlite_url, utc_now
from coread.storage.follow_up import FollowUpStore
from coread.storage.instances import InstanceIndex
from coread.storage.intake import IntakeLog
from coread.storage.jobs import JobQueue
from coread.storage.lock import FolderLock
from coread.storage.migrate import upgrade
from coread.storage.models import (
    InstanceModel,
    IntakeModel,
    JobModel,
    ReportFileModel,
    ReportModel,
    ResultModel,
)
from coread.storage.objects import ObjectStore
from coread.storage.readings import ReadingStore
from coread.storage.reports import ReportStore
from coread.storage.results import ResultStore

logger = logging.getLogger(__name__)
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """How the object files fit the database.

    Attributes:
        missing: Digests that rows refer to and no file has: an error to show.
        orphans: Digests of files that no row refers to: never acknowledged to anybody.
        half_written: Number of files that were left unfinished.
        removed: Whether orphans and unfinished files were removed.
    """

    missing: tuple[str, ...]
    orphans: tuple[str, ...]
    half_written: int
    removed: bool


class Library:
    """Everything that is kept: instances, results, readings, reports, jobs, the audit log, the objects.

    Attributes:
        folder: Where ``objects`` and, with SQLite, ``coread.db`` lie.
        objects: Bytes by their digest.
        instances: The index of studies, series and instances.
        intake: What became of every file.
        results: What analyzers found.
        readings: Readings as events.
        reports: Reports and their files.
        follow_up: Examinations that signed reports ask for.
        jobs: Work to do.
        audit: Who did what.
        start_check: What the check at the start found; None where another process had the library open.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder)) as library:
        ...     digest = library.objects.put(b"pixels")
        ...     library.instances.studies().total
        0
    """

    def __init__(self, folder: Path, database: Database, objects: ObjectStore, lock: FolderLock) -> None:
        self.folder = folder
        self.objects = objects
        self.instances = InstanceIndex(database)
        self.intake = IntakeLog(database)
        self.results = ResultStore(database, objects)
        self.audit = AuditLog(database)
        self.readings = ReadingStore(database, self.audit)
        self.reports = ReportStore(database, objects)
        self.follow_up = FollowUpStore(database)
        self.jobs = JobQueue(database)
        self.start_check: StoreCheck | None = None
        self._db = database
        self._lock = lock

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        url: str | None = None,
        clock: Clock = utc_now,
        rng: random.Random | None = None,
        durable: bool = True,
    ) -> Self:
        """Open a library, made where there is none, and bring its tables to this version.

        The first process to open it also compares files with rows, removes files that nothing refers to (left
        by a process that ended before it acknowledged them) and logs rows whose file is missing.

        Args:
            folder: Where it lies.
            url: Address of a PostgreSQL database instead of the SQLite file in the folder.
            clock: Gives the present time with its offset.
            rng: Source of identifiers and of the jitter of retries; the system's unless given.
            durable: Whether what is acknowledged survives a power cut; off for throw-away libraries only.

        Raises:
            TransportError: The folder can't be written, or the database can't be reached.
            DataError: The library was made by a later version.
        """
        folder = folder.absolute()
        try:
            objects = ObjectStore(folder / "objects", durable=durable)
            lock = FolderLock(folder / "library.lock")
        except OSError as error:
            raise TransportError(
                f"{folder} can't be written: {error.strerror}", "a folder for the library"
            ) from error
        engine = connect(url or sqlite_url(folder / "coread.db"), durable=durable)
        library = cls(folder, Database(engine, clock=clock, rng=rng), objects, lock)
        try:
            upgrade(library._db)
            with lock.alone_first() as alone:
                if alone:
                    library.start_check = library.check(remove_orphans=True)
        except BaseException:
            library.close()
            raise
        return library

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Join what several stores write: all of it is kept, or on an error nothing."""
        with self._db.transaction():
            yield

    def check(self, *, remove_orphans: bool = False) -> StoreCheck:
        """Compare the object files with the rows that refer to them.

        Args:
            remove_orphans: Remove what nothing refers to; only while no other process has the library open.
        """
        present = set(self.objects.digests())
        with self._db.snapshot() as connection:
            needed = _needed(connection)
        missing, orphans = sorted(needed - present), sorted(present - needed)
        for digest in missing:
            logger.error("object %s is missing; restore it from a backup", digest)
        half_written = self.objects.half_written()
        if remove_orphans:
            self.objects.clear_aside()
            for digest in orphans:
                self.objects.remove(digest)
            if orphans:
                logger.info("%d objects that nothing refers to were removed", len(orphans))
        return StoreCheck(tuple(missing), tuple(orphans), half_written, remove_orphans)

    def now(self) -> datetime:
        """Return the library's time in UTC."""
        return self._db.now()

    def identifier(self) -> str:
        """Return a new random identifier."""
        return self._db.identifier()

    def close(self) -> None:
        """Close all connections and give the folder free."""
        self._db.dispose()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _needed(connection: Connection) -> set[str]:
    columns = (
        InstanceModel.digest,
        IntakeModel.digest,
        ResultModel.arrays,
        ReportModel.arrays,
        ReportFileModel.digest,
    )
    needed: set[str] = set()
    for column in columns:
        needed.update(connection.scalars(select(column).where(column.is_not(None))))
    unfinished = select(JobModel.payload).where(JobModel.state.not_in(("done", "cancelled")))
    for payload in connection.scalars(unfinished):
        needed.update(_DIGEST.findall(payload))
    return needed
