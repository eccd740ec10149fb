"""Brings a database to the tables of this version."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from coread.errors import DataError
from coread.storage.database import Database

HEAD = "0003"
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x436F52656164  # any number that only this code uses


def upgrade(database: Database, revision: str = HEAD) -> None:
    """Bring the tables up to a revision, in one transaction: wholly, or not at all.

    Raises:
        DataError: The database was made by a later version.
    """
    with database.snapshot() as connection:
        if current_revision(connection) == revision:
            return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with database.transaction() as connection:
        if not database.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        current = current_revision(connection)
        if current is not None and current not in known:
            raise DataError(
                f"the library has tables of revision {current}",
                f"up to {HEAD}, which this version of coread knows",
                "open it with a later version of coread",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the tables, or None where there are none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision
