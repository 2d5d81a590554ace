"""Time and identity, passed in so that tests can move the one and predict the other."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "new_id", "utc_now"]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment as an aware UTC datetime."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """A new identifier such as ``job-3f2a…``: unique, unguessable, safe in file names and URLs."""
    return f"{prefix}-{uuid.uuid4().hex[:20]}"
