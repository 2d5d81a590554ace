"""Until when whoever sends a hand-off has it, apart from when its next try is due."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import UTCDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What is being sent while this runs counts as waiting, and is sent once its old lease is over."""
    op.add_column("handoff", sa.Column("leased_until", UTCDateTime(), nullable=True))
