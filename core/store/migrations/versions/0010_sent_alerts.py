"""Which alerts were sent."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("alert") as alert:
        alert.add_column(sa.Column("sent_at", UTCDateTime(), nullable=True))
        alert.create_index("ix_alert_sent_at", ["sent_at"])
