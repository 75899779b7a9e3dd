"""The tables, once for SQLite and Postgres. A change here needs a migration; a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

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
