"""The database: tables, migrations, and one module of functions per aggregate."""

from core.store.engine import Store, Transaction

__all__ = ["Store", "Transaction"]
