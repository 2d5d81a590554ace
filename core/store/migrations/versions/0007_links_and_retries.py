"""Documents behind a link with their page ceiling; the version ordered, and what a retry is for."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("document") as document:
        document.add_column(sa.Column("source_url", sa.String(), nullable=False, server_default=""))
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("max_pages", sa.Integer(), nullable=True))
    with op.batch_alter_table("attempt") as attempt:
        attempt.add_column(sa.Column("version", sa.String(), nullable=False, server_default=""))
        attempt.add_column(sa.Column("retry_of", sa.String(), nullable=False, server_default=""))
