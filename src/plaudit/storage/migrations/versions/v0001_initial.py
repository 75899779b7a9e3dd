"""Queries with slots, showings and insert-only answers; reading bounds; commands."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")

INSERT_ONLY = ("queries", "showings", "responses", "bounds", "commands")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "settings",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_settings"),
    )
    op.create_table(
        "annotators",
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_annotators"),
    )
    _questions()
    _answers()
    op.create_table(
        "bounds",
        sa.Column("reader", sa.Text, nullable=False),
        sa.Column("tick", WHOLE, nullable=False, autoincrement=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("reader", "tick", name="pk_bounds"),
    )
    op.create_table(
        "commands",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
    )
    _forbid_changes(op.get_bind().dialect.name)


def downgrade() -> None:
    """Never: answers are not thrown away."""
    raise NotImplementedError("there is nothing before the first version; restore the backup instead")


def _questions() -> None:
    op.create_table(
        "queries",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("tick", WHOLE, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("wanted", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_queries"),
        sa.UniqueConstraint("key", name="uq_queries_key"),
    )
    op.create_table(
        "showings",
        sa.Column("query_id", WHOLE, nullable=False),
        sa.Column("annotator", sa.Text, nullable=False),
        sa.Column("options", WHOLE, nullable=False),
        sa.Column("position", WHOLE, nullable=False),
        sa.Column("shown_order", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("query_id", "annotator", name="pk_showings"),
        sa.UniqueConstraint(
            "annotator", "options", "position", name="uq_showings_annotator_options_position"
        ),
        _reference("showings", "query_id", "queries.id"),
        _reference("showings", "annotator", "annotators.name"),
    )


def _answers() -> None:
    op.create_table(
        "responses",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("seq", WHOLE, nullable=False),
        sa.Column("client_uuid", sa.Text, nullable=False),
        sa.Column("query_id", WHOLE, nullable=False),
        sa.Column("annotator", sa.Text, nullable=False),
        sa.Column("feedback", sa.Text, nullable=False),
        sa.Column("shown_order", sa.Text, nullable=False),
        sa.Column("active_ms", WHOLE),
        sa.Column("supersedes", WHOLE),
        sa.Column("received_at", sa.Float(53), nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_responses"),
        sa.UniqueConstraint("seq", name="uq_responses_seq"),
        sa.UniqueConstraint("client_uuid", name="uq_responses_client_uuid"),
        sa.UniqueConstraint("supersedes", name="uq_responses_supersedes"),
        _reference("responses", "query_id", "queries.id"),
        _reference("responses", "annotator", "annotators.name"),
        _reference("responses", "supersedes", "responses.id"),
    )
    first = sa.text("supersedes IS NULL")
    op.create_index(
        "one_chain_per_person",
        "responses",
        ["annotator", "query_id"],
        unique=True,
        sqlite_where=first,
        postgresql_where=first,
    )
    op.create_table(
        "slots",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("query_id", WHOLE, nullable=False),
        sa.Column("holder", sa.Text),
        sa.Column("lease_until", sa.Float(53)),
        sa.Column("response_id", WHOLE),
        sa.PrimaryKeyConstraint("id", name="pk_slots"),
        _reference("slots", "query_id", "queries.id"),
        _reference("slots", "holder", "annotators.name"),
        _reference("slots", "response_id", "responses.id"),
    )
    op.create_index("ix_slots_query_id", "slots", ["query_id"])
    filled, unfilled = sa.text("response_id IS NOT NULL"), sa.text("response_id IS NULL")
    op.create_index(
        "filled_slots", "slots", ["response_id"], unique=True, sqlite_where=filled, postgresql_where=filled
    )
    for name, column in (("open_slots", "id"), ("held_slots", "holder")):
        op.create_index(name, "slots", [column], sqlite_where=unfilled, postgresql_where=unfilled)


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete="RESTRICT", onupdate="RESTRICT")


def _forbid_changes(dialect: str) -> None:
    """Triggers that refuse every change of what was stored, whoever asks."""
    if dialect == "sqlite":
        for table in INSERT_ONLY:
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is insert-only', TG_TABLE_NAME; END $$"
    )
    for table in INSERT_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
