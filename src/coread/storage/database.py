"""The database behind every store: connections, transactions, time and random identifiers."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url

from coread.errors import InputError, TransportError
from coread.extras import require

Clock = Callable[[], datetime]
BUSY_S = 30.0


class ConflictError(InputError):
    """What is stored contradicts what came: another version, another parent, another content."""


def utc_now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


@dataclass
class _Transaction:
    connection: Connection
    before_commit: list[Callable[[Connection], None]] = field(default_factory=list)


class Database:
    """One SQLite file or one PostgreSQL database.

    Args:
        engine: From `connect`.
        clock: Gives the present time with its offset.
        rng: Source of identifiers and of the jitter of retries; the system's unless a test hands in another.
    """

    def __init__(self, engine: Engine, *, clock: Clock = utc_now, rng: random.Random | None = None) -> None:
        self.engine = engine
        self.clock = clock
        self.rng = rng if rng is not None else random.SystemRandom()
        self._active: ContextVar[_Transaction | None] = ContextVar("transaction", default=None)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite; otherwise it is PostgreSQL."""
        return self.engine.dialect.name == "sqlite"

    def now(self) -> datetime:
        """Return the clock's time in UTC.

        Raises:
            InputError: The clock gives a time without offset.
        """
        now = self.clock()
        if now.tzinfo is None:
            raise InputError(f"the clock says {now} without an offset", "a time in UTC")
        return now.astimezone(UTC)

    def identifier(self) -> str:
        """Return a new random identifier of 32 hexadecimal digits; it tells nothing of its neighbours."""
        return f"{self.rng.getrandbits(128):032x}"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction that writes, or join the one under way here: all of it is kept, or nothing.

        Raises:
            TransportError: The database is busy for too long, full or away.
        """
        active = self._active.get()
        if active is not None:
            yield active.connection
            return
        try:
            with self.engine.connect().execution_options(coread_write=True) as connection:
                transaction = _Transaction(connection)
                token = self._active.set(transaction)
                try:
                    with connection.begin():
                        yield connection
                        for step in transaction.before_commit:
                            step(connection)
                finally:
                    self._active.reset(token)
        except sa.exc.OperationalError as error:
            raise _transport(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a connection that reads one consistent state, or join the transaction under way here."""
        active = self._active.get()
        if active is not None:
            yield active.connection
            return
        try:
            with self.engine.connect() as connection:
                if not self.is_sqlite:  # where each statement would see another state
                    connection.execution_options(isolation_level="REPEATABLE READ")
                yield connection
        except sa.exc.OperationalError as error:
            raise _transport(error) from error

    def before_commit(self, step: Callable[[Connection], None]) -> None:
        """Run a step as the last thing of the transaction under way."""
        active = self._active.get()
        if active is None:
            raise InputError("no transaction is under way", "a call inside `transaction()`")
        active.before_commit.append(step)

    def insert(self, model: type[Any]) -> sqlite.Insert | postgresql.Insert:
        """Return an insert statement of this database's dialect, which knows `on_conflict_do_nothing`."""
        return sqlite.insert(model) if self.is_sqlite else postgresql.insert(model)

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def sqlite_url(path: Path) -> URL:
    """Return the address of an SQLite file."""
    return URL.create("sqlite", database=str(path))


def connect(url: str | URL, *, durable: bool = True) -> Engine:
    """Return an engine for a database address.

    Args:
        url: ``sqlite:///file`` or ``postgresql://user@host/name``.
        durable: Whether a commit also survives a power cut; off for throw-away libraries only.

    Raises:
        InputError: The address is of neither kind.
        MissingExtraError: PostgreSQL, and psycopg is not installed.
    """
    try:
        address = make_url(url)
    except sa.exc.ArgumentError as error:
        raise InputError("the database address can't be read", "postgresql://user@host/name") from error
    match address.get_backend_name():
        case "sqlite":
            engine = sa.create_engine(
                address, hide_parameters=True, pool_size=8, max_overflow=24, connect_args={"timeout": BUSY_S}
            )
            _prepare_sqlite(engine, durable=durable)
            return engine
        case "postgresql":
            require("psycopg", extra="postgres")
            engine = sa.create_engine(
                address.set(drivername="postgresql+psycopg"),
                hide_parameters=True,
                pool_size=8,
                max_overflow=24,
                pool_pre_ping=True,
            )
            if not durable:
                event.listen(engine, "connect", _relax_postgresql)
            return engine
        case other:
            raise InputError(f"a {other} database", "sqlite or postgresql")


def _prepare_sqlite(engine: Engine, *, durable: bool) -> None:
    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late to read consistently
        _switch_to_wal(connection)
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA recursive_triggers = ON")  # or a replacement is no removal

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # a writer asks for the write lock at once: a reader that turns writer later can't wait for it
        write = connection.get_execution_options().get("coread_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # a new file is switched by one connection alone, and SQLite does not wait for the other by itself
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _relax_postgresql(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
    connection.commit()


def _transport(error: sa.exc.OperationalError) -> TransportError:
    return TransportError(
        f"the database did not answer: {str(error.orig).strip()}",
        "a database that is reachable, not full and not locked for long",
        "check disk space and the database server, then try again",
    )
