from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from coread.errors import DataError
from coread.storage import Library
from coread.storage.database import Database, connect, sqlite_url
from coread.storage.migrate import HEAD, MIGRATIONS, current_revision, upgrade
from coread.storage.models import Base


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return ScriptDirectory.from_config(config)


REVISIONS = [script.revision for script in scripts().walk_revisions()][::-1]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        database = Database(connect(sqlite_url(tmp_path / "coread.db")))
    else:
        make: Callable[[], str] = request.getfixturevalue("new_database")
        database = Database(connect(make()))
    yield database
    database.dispose()


def test_revisions_are_one_line_that_ends_at_the_head() -> None:
    assert scripts().get_heads() == [HEAD]
    assert scripts().get_bases() == [REVISIONS[0]]


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_earlier_revision_comes_to_the_models(empty: Database, revision: str) -> None:
    upgrade(empty, revision)
    with empty.snapshot() as connection:
        assert current_revision(connection) == revision
    upgrade(empty)
    with empty.snapshot() as connection:
        assert current_revision(connection) == HEAD
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_what_an_earlier_revision_kept_stays(empty: Database, revision: str) -> None:
    upgrade(empty, revision)
    statement = (
        "INSERT INTO intake (id, at, path, role, reason, marks) "
        "VALUES ('i1', '2026-01-02 03:04:05', 'a.dcm', 'refused', 'not DICOM', '[]')"
    )
    with empty.transaction() as connection:
        connection.execute(sa.text(statement))
    upgrade(empty)
    with empty.snapshot() as connection:
        assert connection.execute(sa.text("SELECT id, path FROM intake")).all() == [("i1", "a.dcm")]


def test_comparison_sees_a_difference(empty: Database) -> None:
    upgrade(empty)
    with empty.transaction() as connection:
        connection.execute(sa.text("DROP INDEX ix_study_newest"))
        connection.execute(sa.text("ALTER TABLE study ADD COLUMN extra INTEGER"))
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = {difference[0] for difference in compare_metadata(context, Base.metadata)}
    assert found == {"add_index", "remove_column"}


def test_library_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    Library.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "coread.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DataError, match="later version of coread"):
        Library.open(tmp_path)
