"""Downstreams, what is handed to them, and each attempt to do so."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=False)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "downstream",
        _text("id"),
        _text("url"),
        _text("secret"),
        _text("actor"),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("failing_since", UTCDateTime(), nullable=True),
        sa.Column("disabled_at", UTCDateTime(), nullable=True),
        _text("disabled_reason"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "handoff",
        _text("id"),
        _text("message_id"),
        _text("downstream_id"),
        _text("job_id"),
        sa.Column("generation", sa.Integer(), nullable=False),
        _text("event_type"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        _text("status"),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("next_at", UTCDateTime(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        _text("actor"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_handoff_job_id", "handoff", ["job_id"])
    op.create_index("ix_handoff_created", "handoff", ["created_at"])
    op.create_index("ix_handoff_due", "handoff", ["status", "next_at"])
    op.create_table(
        "handoff_try",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("handoff_id"),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        _text("answer"),
        _text("error"),
        sa.Column("took_ms", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_handoff_try_handoff_id", "handoff_try", ["handoff_id"])
