"""How Alembic reaches the database: through the engine that ``Store.open`` hands over."""

from alembic import context
from sqlmodel import SQLModel

from core.store import tables  # noqa: F401 - fills the metadata

config = context.config
with config.attributes["engine"].begin() as connection:
    if connection.dialect.name == "postgresql":
        # two processes that start together must not both create the tables
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(736173)")
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()
