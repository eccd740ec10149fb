"""Libraries on SQLite and on a real PostgreSQL server, and index entries to put into them."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from coread.core import InstanceHeader
from coread.extras import require
from coread.storage import Library


class FakeClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def _programs() -> Path | None:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if folders:
        return folders[-1].parent
    found = shutil.which("initdb")
    return Path(found).parent if found else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server of our own, less the name of the database."""
    programs = _programs()
    if programs is None:
        pytest.skip("needs PostgreSQL: install the package `postgresql`")
    try:
        require("psycopg", extra="postgres")
    except ImportError as error:
        pytest.skip(str(error))
    # the server refuses to run as root
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="coread-pg-"))
    try:
        if as_user:
            shutil.chown(folder, "postgres")

        def run(program: str, *arguments: str) -> None:
            command = [*as_user, str(programs / program), "-D", str(folder / "data"), *arguments]
            with (folder / "output.txt").open("ab") as output:  # a pipe would stay open in the server
                subprocess.run(command, check=True, stdout=output, stderr=output, cwd=folder)

        run("initdb", "--auth=trust", "--username=coread", "--encoding=UTF8", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "start", "-w", "-o", options)
        try:
            yield f"postgresql://coread@/{{name}}?host={folder}"
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(postgresql: str) -> Callable[[], str]:
    """Makes an empty PostgreSQL database and returns its address."""
    import psycopg

    numbers = itertools.count()

    def make() -> str:
        name = f"library{next(numbers)}"
        with psycopg.connect(postgresql.format(name="postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return postgresql.format(name=name)

    return make


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with empty tables."""
    folder = tmp_path_factory.mktemp("migrated")
    Library.open(folder, durable=False).close()
    return folder / "coread.db"


@pytest.fixture(scope="session")
def migrated_database(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PostgreSQL database with tables."""
    url = new_database()
    Library.open(tmp_path_factory.mktemp("migrated"), url=url).close()
    return url


def _empty(url: str) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # without the triggers that forbid it
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
        ).fetchall()
        connection.execute(f"TRUNCATE {', '.join(name for (name,) in names)} RESTART IDENTITY CASCADE")
        connection.execute("INSERT INTO audit_head VALUES (1, 0, %s)", ["0" * 64])


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """None for an SQLite file in `tmp_path / "library"`, or the address of a PostgreSQL database."""
    if request.param == "sqlite":
        (tmp_path / "library").mkdir()
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "library")
        return None
    url: str = request.getfixturevalue("migrated_database")
    _empty(url)
    return url


@pytest.fixture
def library(tmp_path: Path, url: str | None, clock: FakeClock) -> Iterator[Library]:
    with Library.open(
        tmp_path / "library", url=url, clock=clock, rng=random.Random(1), durable=False
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
def header() -> Callable[..., InstanceHeader]:
    """Makes an index entry: `header(study="1.2.3", series="1.2.3.1", number=4, ...)`."""

    def make(
        *, study: str = "1.2.3", series: str | None = None, number: int = 1, **changes: Any
    ) -> InstanceHeader:
        series = series or f"{study}.1"
        values: dict[str, Any] = {
            "patient_id": "P-17",
            "patient_name": "Doe^Jane",
            "birth_date": date(1960, 2, 29),
            "sex": "F",
            "study": study,
            "study_time": datetime(2026, 2, 1, 10, 30),
            "accession": "ACC1",
            "study_description": "CT chest",
            "referring": "Roe^Richard",
            "series": series,
            "series_number": 2,
            "series_description": "axial",
            "modality": "CT",
            "body_part": "CHEST",
            "instance": f"{series}.{number}",
            "sop_class": "1.2.840.10008.5.1.4.1.1.2",
            "instance_number": number,
            "rows": 512,
            "columns": 512,
            "frames": 1,
            "transfer_syntax": "1.2.840.10008.1.2.1",
            "frame_of_reference": "1.2.3.99",
            "role": "image",
            "acquired": True,
            "simulated": False,
            "lossy": False,
        }
        return InstanceHeader(**(values | changes))

    return make
