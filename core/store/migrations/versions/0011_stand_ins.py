"""Jobs with stand-ins in their result are found without reading the others."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.create_index(
        "ix_job_stand_ins",
        "job",
        ["created_at", "id"],
        sqlite_where=sa.text("is_provisional IS 1"),
        postgresql_where=sa.text("is_provisional IS true"),
    )
