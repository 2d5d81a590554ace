"""Indexes of deliveries that grow at their end; processes that only receive are on record too."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_PARTIAL = {
    "waiting": ("received_at", "applied_at IS NULL AND verdict = 'accepted'"),
    "attempt_id": ("attempt_id", "attempt_id IS NOT NULL"),
    "job_id": ("job_id", "job_id IS NOT NULL"),
}


def upgrade() -> None:
    """Make the indexes anew, and say of each process what it is for."""
    with op.batch_alter_table("worker") as worker:
        worker.add_column(sa.Column("role", sa.String(), nullable=False, server_default="worker"))
    for name, (column, condition) in _PARTIAL.items():
        op.drop_index(f"ix_delivery_{name}", "delivery")
        where = sa.text(condition)
        op.create_index(
            f"ix_delivery_{name}",
            "delivery",
            [column],
            sqlite_where=where,
            postgresql_where=where,
        )
