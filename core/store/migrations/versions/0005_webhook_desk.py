"""What a delivery's page, its search and its replay need; the secret an attempt's webhook was given."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXTS = ("secret_fingerprint", "signature", "attempt_before", "replay_of", "actor")
_WAITING = sa.text("applied_at IS NULL AND verdict = 'accepted'")


def upgrade() -> None:
    """Add the columns, and indexes for the ways in which deliveries are looked up."""
    with op.batch_alter_table("delivery") as delivery:
        for name in _TEXTS:
            delivery.add_column(sa.Column(name, sa.String(), nullable=False, server_default=""))
        delivery.add_column(sa.Column("steps", sa.JSON(), nullable=False, server_default="[]"))
        for gone in ("applied_at", "received_at"):
            delivery.drop_index(f"ix_delivery_{gone}")
        delivery.drop_index("ix_delivery_verdict_received")
    op.create_index("ix_delivery_received", "delivery", ["received_at", "id"])
    for name, column in (("verdict", "verdict"), ("type", "event_type")):
        op.create_index(f"ix_delivery_{name}_received", "delivery", [column, "received_at", "id"])
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["vendor_job_id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(
            sa.Column("webhook_secret", sa.String(), nullable=False, server_default="")
        )
