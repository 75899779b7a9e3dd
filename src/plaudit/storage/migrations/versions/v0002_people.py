"""People with invitations and sessions; questions that are asked again."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add tables; what was there is left alone."""
    op.create_table(
        "repeats",
        sa.Column("query_id", WHOLE, nullable=False, autoincrement=False),
        sa.Column("original_id", WHOLE, nullable=False),
        sa.Column("annotator", sa.Text, nullable=False),
        sa.Column("block", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("query_id", name="pk_repeats"),
        sa.UniqueConstraint("annotator", "block", name="uq_repeats_annotator_block"),
        _reference("repeats", "query_id", "queries.id"),
        _reference("repeats", "original_id", "queries.id"),
        _reference("repeats", "annotator", "annotators.name"),
    )
    _people()
    _forbid_changes("repeats", op.get_bind().dialect.name)


def downgrade() -> None:
    """Never: answers are not thrown away."""
    raise NotImplementedError("restore the backup that was made before this migration instead")


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("revoked_at", sa.Float(53)),
        sa.PrimaryKeyConstraint("id", name="pk_people"),
        sa.UniqueConstraint("name", name="uq_people_name"),
        _reference("people", "name", "annotators.name"),
    )
    op.create_table(
        "invitations",
        sa.Column("id", WHOLE, nullable=False),
        sa.Column("token_sha256", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("person_id", WHOLE),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("used_at", sa.Float(53)),
        sa.Column("revoked_at", sa.Float(53)),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("token_sha256", name="uq_invitations_token_sha256"),
        _reference("invitations", "person_id", "people.id"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.Text, nullable=False),
        sa.Column("person_id", WHOLE, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.Column("revoked_at", sa.Float(53)),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_sessions"),
        _reference("sessions", "person_id", "people.id"),
    )
    op.create_index("ix_sessions_person_id", "sessions", ["person_id"])


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [target], name=name, ondelete="RESTRICT", onupdate="RESTRICT")


def _forbid_changes(table: str, dialect: str) -> None:
    """As in the first version; on Postgres that has made the function."""
    if dialect == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is insert-only'); END"
            )
        return
    op.execute(
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
