"""The hours that are over, summed: what a week's chart reads."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; the next hour fills it."""
    op.create_table(
        "availability",
        sa.Column("engine", sa.String(), primary_key=True),
        sa.Column("start", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("slow", sa.Integer(), nullable=False),
        sa.Column("p50_s", sa.Float()),
        sa.Column("p95_s", sa.Float()),
    )
