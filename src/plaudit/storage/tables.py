"""The tables, once for SQLite and Postgres, and their rows as questions, answers and commands.

A change of the tables needs a migration; a test compares the two.
"""

import json
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from plaudit.feedback import from_json, to_json
from plaudit.storage import wire
from plaudit.storage.store import Command, NewQuery, NewResponse, Query, Response

WHOLE = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on both; SQLite numbers rows by itself only where the type is INTEGER."""

INSERT_ONLY = ("queries", "showings", "responses", "bounds", "commands", "repeats")
"""Triggers refuse every UPDATE and DELETE here."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _to(column: str) -> ForeignKey:
    """A reference that forbids deleting what it points at."""
    return ForeignKey(column, ondelete="RESTRICT", onupdate="RESTRICT")


settings = Table(
    "settings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

annotators = Table("annotators", metadata, Column("name", Text, primary_key=True))

queries = Table(
    "queries",
    metadata,
    Column("id", WHOLE, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("items", Text, nullable=False),
    Column("tick", WHOLE, nullable=False),
    Column("payload", Text, nullable=False),
    Column("wanted", WHOLE, nullable=False),
    Column("purpose", Text, nullable=False, server_default="train"),
)

showings = Table(
    "showings",
    metadata,
    Column("query_id", WHOLE, _to("queries.id"), primary_key=True),
    Column("annotator", Text, _to("annotators.name"), primary_key=True),
    Column("options", WHOLE, nullable=False),
    Column("position", WHOLE, nullable=False),
    Column("shown_order", Text, nullable=False),
    UniqueConstraint("annotator", "options", "position"),
)

responses = Table(
    "responses",
    metadata,
    Column("id", WHOLE, primary_key=True),
    Column("seq", WHOLE, nullable=False, unique=True),
    Column("client_uuid", Text, nullable=False, unique=True),
    Column("query_id", WHOLE, _to("queries.id"), nullable=False),
    Column("annotator", Text, _to("annotators.name"), nullable=False),
    Column("feedback", Text, nullable=False),
    Column("shown_order", Text, nullable=False),
    Column("active_ms", WHOLE),
    Column("supersedes", WHOLE, _to("responses.id"), unique=True),
    Column("received_at", Float(53), nullable=False),
    Column("sha256", Text, nullable=False),
)
"""One row per answer; those of one person to one query form one chain of `supersedes`."""

Index(
    "one_chain_per_person",
    responses.c.annotator,
    responses.c.query_id,
    unique=True,
    sqlite_where=responses.c.supersedes.is_(None),
    postgresql_where=responses.c.supersedes.is_(None),
)

Index("answers_of_a_person", responses.c.annotator, responses.c.query_id)
Index("answers_of_a_person_in_turn", responses.c.annotator, responses.c.seq)

slots = Table(
    "slots",
    metadata,
    Column("id", WHOLE, primary_key=True),
    Column("query_id", WHOLE, _to("queries.id"), nullable=False, index=True),
    Column("holder", Text, _to("annotators.name")),
    Column("lease_until", Float(53)),
    Column("response_id", WHOLE, _to("responses.id")),
)
"""One row per wanted answer."""

Index(
    "filled_slots",  # of the filled alone: SQLite would search a plain one for the open slots, all of them
    slots.c.response_id,
    unique=True,
    sqlite_where=slots.c.response_id.is_not(None),
    postgresql_where=slots.c.response_id.is_not(None),
)

for _name, _column in (("open_slots", slots.c.id), ("held_slots", slots.c.holder)):
    Index(
        _name,
        _column,
        sqlite_where=slots.c.response_id.is_(None),
        postgresql_where=slots.c.response_id.is_(None),
    )

bounds = Table(
    "bounds",
    metadata,
    Column("reader", Text, primary_key=True),
    Column("tick", WHOLE, primary_key=True, autoincrement=False),
    Column("seq", WHOLE, nullable=False),
)

commands = Table(
    "commands",
    metadata,
    Column("id", WHOLE, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
)

repeats = Table(
    "repeats",
    metadata,
    Column("query_id", WHOLE, _to("queries.id"), primary_key=True, autoincrement=False),
    Column("original_id", WHOLE, _to("queries.id"), nullable=False),
    Column("annotator", Text, _to("annotators.name"), nullable=False),
    Column("block", WHOLE, nullable=False),
    UniqueConstraint("annotator", "block"),
)
"""Questions that ask one person again what they have answered, to see how steady they are; for nobody else."""

people = Table(
    "people",
    metadata,
    Column("id", WHOLE, primary_key=True),
    Column("name", Text, _to("annotators.name"), nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("revoked_at", Float(53)),
)
"""Who may come in. Nobody is deleted: what they have answered stays theirs."""

invitations = Table(
    "invitations",
    metadata,
    Column("id", WHOLE, primary_key=True),
    Column("token_sha256", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("name", Text),
    Column("person_id", WHOLE, _to("people.id")),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("used_at", Float(53)),
    Column("revoked_at", Float(53)),
)
"""Links, each good for one sign-in: of somebody new, or of the person they name. Tokens are not kept, only hashes."""

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", Text, primary_key=True),
    Column("person_id", WHOLE, _to("people.id"), nullable=False, index=True),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("revoked_at", Float(53)),
)


def row_of_query(query: NewQuery) -> dict[str, Any]:
    """The row of a new question."""
    return {
        "key": query.key,
        "kind": query.kind,
        "items": wire.canonical("query.items", list(query.items)),
        "tick": query.tick,
        "payload": wire.as_object("query.payload", query.payload),
        "wanted": query.wanted,
        "purpose": query.purpose,
    }


def query_of_row(row: Row[Any]) -> Query:
    """A question from its row; nobody has been shown it."""
    return Query(
        id=row.id,
        key=row.key,
        kind=row.kind,
        items=tuple(json.loads(row.items)),
        tick=row.tick,
        payload=json.loads(row.payload),
        wanted=row.wanted,
        purpose=row.purpose,
    )


def row_of_response(response: NewResponse) -> dict[str, Any]:
    """The row of a new answer, but for its seq, time and SHA-256."""
    return {
        "client_uuid": response.client_uuid,
        "query_id": response.query_id,
        "annotator": response.annotator,
        "feedback": wire.canonical("response.feedback", to_json(response.feedback)),
        "shown_order": text_of_order(response.shown_order),
        "active_ms": response.active_ms,
        "supersedes": response.supersedes,
    }


def response_of_row(row: Row[Any]) -> Response:
    """An answer from its row."""
    return Response(
        id=row.id,
        seq=row.seq,
        client_uuid=row.client_uuid,
        query_id=row.query_id,
        annotator=row.annotator,
        feedback=from_json(json.loads(row.feedback)),
        shown_order=order_of_text(row.shown_order),
        active_ms=row.active_ms,
        supersedes=row.supersedes,
        received_at=row.received_at,
    )


def command_of_row(row: Row[Any]) -> Command:
    """A command from its row."""
    return Command(row.id, row.kind, json.loads(row.payload))


def text_of_order(order: tuple[int, ...]) -> str:
    """An order of options as text."""
    return json.dumps(list(order), separators=(",", ":"))


def order_of_text(text: str) -> tuple[int, ...]:
    """An order of options from its text."""
    return tuple(json.loads(text))


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    """Insert where the key is not there yet."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(table).values(row).on_conflict_do_nothing())


def setting(connection: Connection, name: str) -> str | None:
    """What the store keeps under this name, such as the seed it was made with; None: nothing yet."""
    return connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar_one_or_none()


def keep_setting(connection: Connection, name: str, value: str) -> str:
    """What the store keeps under this name: what was kept first, else from now on this value."""
    insert_new(connection, settings, {"name": name, "value": value})
    return connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar_one()
