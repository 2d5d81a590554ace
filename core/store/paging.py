"""Pages of a list, newest first, that cost the same at every depth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, and_, or_
from sqlalchemy.orm import Mapped

from core.store.engine import Transaction

__all__ = ["Cursor", "Page", "page_of", "rows_at"]

Line = TypeVar("Line")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list, newest first: just after this line, or just before it."""

    at: datetime
    id: str
    is_backwards: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[Line]):
    """One page of a list, and where it goes on in both directions."""

    lines: tuple[Line, ...]
    older: Cursor | None
    newer: Cursor | None


def rows_at(  # noqa: PLR0913 - what, ordered by what, from where
    tx: Transaction,
    query: Select[Any],
    moment: Mapped[datetime],
    key: Mapped[str],
    at: Cursor | None,
    limit: int,
) -> list[Any]:
    """The rows next to a place in the list, newest first; from its top without one.

    The database begins at the cursor instead of counting up to it.
    """
    is_backwards = at is not None and at.is_backwards
    if at is not None:
        beyond = moment > at.at if is_backwards else moment < at.at
        beside = key > at.id if is_backwards else key < at.id
        # said twice, so that the index on the moment alone can be used from here on
        begins = moment >= at.at if is_backwards else moment <= at.at
        query = query.where(or_(beyond, and_(moment == at.at, beside)), begins)
    order = (moment, key) if is_backwards else (moment.desc(), key.desc())
    found = list(tx.execute(query.order_by(*order).limit(limit)))
    return found[::-1] if is_backwards else found


def page_of(
    lines: Sequence[Line],
    at: Cursor | None,
    limit: int,
    place: Callable[[Line], tuple[datetime, str]],
) -> Page[Line]:
    """The page that begins at ``at``, of at most one line more than it holds: whether there are more."""
    is_backwards = at is not None and at.is_backwards
    has_more = len(lines) > limit
    shown = tuple(lines[-limit:] if is_backwards else lines[:limit])
    if not shown:
        return Page((), None, None)
    older = Cursor(*place(shown[-1])) if has_more or is_backwards else None
    has_newer = at is not None and (has_more or not is_backwards)
    newer = Cursor(*place(shown[0]), is_backwards=True) if has_newer else None
    return Page(shown, older, newer)
