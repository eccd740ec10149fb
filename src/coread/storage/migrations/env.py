"""Runs the migrations over the connection that `coread.storage.migrate` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
