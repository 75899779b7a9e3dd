"""A store that was put back from a copy says so: what nobody mirrors, such as showings, may be missing in it."""

from sqlalchemy import Connection, insert, select

from plaudit.storage.tables import settings

SETTING = select(settings.c.value).where(settings.c.name == "restored")


def note(connection: Connection) -> None:
    """This store was put back."""
    if not was(connection):
        connection.execute(insert(settings).values(name="restored", value="1"))


def was(connection: Connection) -> bool:
    """Whether this store was ever put back."""
    return connection.execute(SETTING).first() is not None
