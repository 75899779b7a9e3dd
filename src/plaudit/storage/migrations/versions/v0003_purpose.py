"""What the answers to a question are for; answers of a person found at once."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PREFIXES = {"held_out": "held-out/", "repeat": "repeat/"}
"""Until now the key of a question said what it was for."""


def upgrade() -> None:
    """Add a column, filled from the keys, and indexes; what was stored is not changed."""
    op.add_column("queries", sa.Column("purpose", sa.Text, nullable=False, server_default="train"))
    dialect = op.get_bind().dialect.name
    _allow_changes(dialect)
    for purpose, prefix in PREFIXES.items():
        op.execute(
            f"UPDATE queries SET purpose = '{purpose}' WHERE substr(key, 1, {len(prefix)}) = '{prefix}'"
        )
    _forbid_changes(dialect)
    op.create_index("answers_of_a_person", "responses", ["annotator", "query_id"])
    op.create_index("answers_of_a_person_in_turn", "responses", ["annotator", "seq"])


def downgrade() -> None:
    """Never: answers are not thrown away."""
    raise NotImplementedError("restore the backup that was made before this migration instead")


def _allow_changes(dialect: str) -> None:
    """Let the column be filled: take away the trigger that refuses every change."""
    if dialect == "sqlite":
        op.execute("DROP TRIGGER queries_no_update")
    else:
        op.execute("DROP TRIGGER queries_no_change ON queries")


def _forbid_changes(dialect: str) -> None:
    """As in the first version; on Postgres that has made the function."""
    if dialect == "sqlite":
        op.execute(
            "CREATE TRIGGER queries_no_update BEFORE UPDATE ON queries "
            "BEGIN SELECT RAISE(ABORT, 'queries is insert-only'); END"
        )
        return
    op.execute(
        "CREATE TRIGGER queries_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON queries "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
