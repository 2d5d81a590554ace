"""Indexes for looking through hand-offs by state and by endpoint."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes; the one on the moment alone becomes one in the order of the list."""
    op.drop_index("ix_handoff_created", "handoff")
    order, counted = ["created_at", "id"], ["status", "event_type"]
    op.create_index("ix_handoff_created", "handoff", [*order, *counted])
    op.create_index("ix_handoff_status_created", "handoff", ["status", *order, "event_type"])
    op.create_index("ix_handoff_downstream", "handoff", ["downstream_id", *order, *counted])
