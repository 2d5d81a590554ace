"""What the clock said when turns were taken, so that one that is set back is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows that are there say nothing of it, and are taken at their word once."""
    op.add_column("pace", sa.Column("asked_at", sa.Float(), nullable=False, server_default="0"))
