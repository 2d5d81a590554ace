"""What is due is found without reading all that was done before."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes; two take the place of ones that no query took."""
    waits = sa.text("applied_at IS NULL AND coalesce(verdict, '') = 'accepted'")
    op.drop_index("ix_delivery_waiting", "delivery")
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["received_at"],
        sqlite_where=waits,
        postgresql_where=waits,
    )
    op.create_index("ix_attempt_submitted_at", "attempt", ["submitted_at"])
    op.create_index("ix_delivery_vendor_job", "delivery", ["vendor_job_id", "verdict"])
    op.drop_index("ix_delivery_vendor_job_id", "delivery")
