"""Alembic's way in: migrate over the connection it is handed, inside the transaction of that connection."""

from alembic import context

from plaudit.storage.migrations import VERSION_TABLE
from plaudit.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
