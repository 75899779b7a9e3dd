"""Bringing the tables of a store to this version, step by step: make them, or migrate older ones after a backup.

Alembic runs `env.py` and the files in `versions`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from plaudit.errors import PlauditError

VERSION_TABLE = "plaudit_version"

VERSIONS = ("0001", "0002", "0003")
"""Every version there was, oldest first; the last is this one. A test compares with `versions`."""

SCRIPTS = Path(__file__).parent

LOCK = 0x504C4454
"""Postgres: whoever migrates holds this advisory lock."""


def version_of(connection: Connection) -> str | None:
    """The version of the tables; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def migrate(
    engine: Engine,
    name: str,
    before: Callable[[Connection, str | None], None],
    versions: Sequence[str] = VERSIONS,
    scripts: Path = SCRIPTS,
) -> None:
    """Bring the tables to the last of `versions`, all in one transaction; at most one process does it.

    `before` is called with the old version inside that transaction, before anything changes: to back up, or
    to mark a new file.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        old = version_of(connection)
        if old == versions[-1]:
            return
        if old is not None and old not in versions:
            raise PlauditError(
                f"{name} was made by a newer plaudit (tables of version {old}); upgrade plaudit"
            )
        before(connection, old)
        _upgrade(connection, versions[-1], scripts)


def _upgrade(connection: Connection, version: str, scripts: Path) -> None:
    from alembic import command  # slow to import, and needed only here
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)
