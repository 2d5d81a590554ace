"""When the vendor last said where an attempt stands."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(sa.Column("asked_at", UTCDateTime(), nullable=True))
