"""Rules of HYBRID, attempts that only stand in for LlamaParse, and how engines do."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the column."""
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(
            sa.Column("is_provisional", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    # until now the local engine made nothing but stand-ins
    op.execute("UPDATE attempt SET is_provisional = TRUE WHERE engine = 'local'")
    op.create_table(
        "policy",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    _health()


def _health() -> None:
    op.create_table(
        "health",
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("since", UTCDateTime(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("until", UTCDateTime(), nullable=True),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("granted_at", UTCDateTime(), nullable=True),
        sa.Column("passed", sa.Integer(), nullable=False),
        sa.Column("next_probe_at", UTCDateTime(), nullable=True),
        sa.Column("prober", sa.String(), nullable=False),
        sa.Column("hold_until", UTCDateTime(), nullable=True),
        sa.Column("hold_by", sa.String(), nullable=False),
        sa.Column("hold_reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("engine"),
    )
    op.create_table(
        "outcome",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("operation", sa.String(), nullable=False),
        sa.Column("signal", sa.String(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_outcome_engine_at", "outcome", ["engine", "at"])
    op.create_table(
        "healthchange",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("before", sa.String(), nullable=False),
        sa.Column("after", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_healthchange_engine", "healthchange", ["engine"])
