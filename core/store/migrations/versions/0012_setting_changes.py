"""Who changed which setting from the console, from what to what."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "setting_change",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("before", AutoString(), nullable=True),
        sa.Column("after", AutoString(), nullable=True),
        sa.Column("actor", AutoString(), nullable=False),
        sa.Column("at", UTCDateTime(), nullable=False),
    )
