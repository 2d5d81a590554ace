"""The ledger: one transaction grants a reservation over all limits, or refuses; nothing is ever changed.

Four kinds of entries. ``reserve`` takes what an attempt may cost out of every window it falls in;
``settle`` puts what was billed in its place, ``release`` gives it back; ``adjust`` corrects what was
settled or released. All of them post to the windows of the reservation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import func, select, text
from sqlmodel import col

from core.domain.budgets import (
    Ask,
    Limit,
    LimitUse,
    Refusal,
    Window,
    book_of,
    refusal_of,
    scopes_of,
    window_key,
)
from core.domain.money import PriceBook, Tier, usd_from_micros, usd_to_micros
from core.store import balances
from core.store.engine import Transaction
from core.store.repeats import was_paid_before
from core.store.tables import AttemptRow, LedgerRow, OpenReservationRow, RollupRow

__all__ = [
    "NEVER_BILLED",
    "Bill",
    "Entry",
    "Reservation",
    "bill",
    "billed_credits",
    "by_hour",
    "credits_of_day",
    "entries_of",
    "is_reserved",
    "lock",
    "lock_all",
    "note_avoided",
    "quoted_credits",
    "release",
    "reserve",
    "spent_since",
    "unsettled",
    "uses",
]

NEVER_BILLED = "never billed: taken as quoted"
"""The cause of a settlement that no bill stands behind; a bill that comes after all adjusts it."""

_LOCK = 736_174  # the first of two numbers that name our advisory locks on Postgres
_BOOKS = ("real", "mock")


@dataclass(frozen=True, slots=True)
class Reservation:
    """What an attempt asks for. ``submits`` is how many paid requests it makes: none for local work."""

    job_id: str
    attempt_id: str
    mode: str
    tier: str
    actor: str
    credits: int
    micros: int
    submits: int = 1
    service: str = "llamaparse"
    engine: str = "llamaparse"
    team: str = ""
    pages: int = 0
    page_price_id: int | None = None
    credit_price_id: int | None = None

    @property
    def ask(self) -> Ask:
        """How much of which limits it takes."""
        return Ask(self.micros, self.submits, scopes_of(self.service, self.team))


@dataclass(frozen=True, slots=True)
class Bill:
    """What became of an attempt: its outcome, and the credits it was billed in all.

    ``was_sent`` says that a request left for it, which counts as a submit whatever it cost.
    """

    credits: int
    outcome: str
    was_sent: bool
    cause: str
    pages: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it was written; money in millionths of a dollar, changes signed."""

    id: int
    kind: str
    mode: str
    engine: str
    tier: str
    team: str
    actor: str
    job_id: str
    attempt_id: str
    outcome: str
    is_repeat: bool
    pages: int
    reserved_credits: int
    reserved_micros: int
    reserved_submits: int
    settled_credits: int
    settled_micros: int
    settled_submits: int
    saved_micros: int
    day: str
    page_price_id: int | None
    credit_price_id: int | None
    approval_id: int | None
    cause: str
    reserved_at: datetime
    at: datetime

    @property
    def over_micros(self) -> int:
        """By how much a settlement is above its reservation; zero when it is not."""
        return max(0, self.settled_micros + self.reserved_micros) if self.kind == "settle" else 0


def uses(
    tx: Transaction, mode: str, limits: Sequence[Limit], at: datetime, timezone: str
) -> tuple[LimitUse, ...]:
    """How much of each limit is used in the window of ``at``."""
    return balances.uses(tx, book_of(mode), limits, at, timezone)


def lock(tx: Transaction, book: str) -> None:
    """Be the only one who posts to a book until the transaction ends.

    SQLite's write transactions are alone already. Whoever also locks attempts locks them first.
    """
    if tx.get_bind().dialect.name == "postgresql":
        key = _BOOKS.index(book)
        tx.execute(text("SELECT pg_advisory_xact_lock(:one, :two)"), {"one": _LOCK, "two": key})


def lock_all(tx: Transaction) -> None:
    """The same for all books: for whoever posts to several, always in this order."""
    for book in _BOOKS:
        lock(tx, book)


def reserve(  # noqa: PLR0913 - what, under which limits, in which calendar, past them by whose leave
    tx: Transaction,
    wanted: Reservation,
    limits: Sequence[Limit],
    at: datetime,
    timezone: str,
    approval_id: int | None = None,
) -> Refusal | None:
    """Reserve, or say which limit stands in the way. None means granted.

    Granting twice for one attempt is one reservation. Must run in a write transaction: nobody else
    posts to the book between the look at the balances and the commit, so no two grants can both see
    the last free dollar. An approval lets it pass the limits, and stands on the entry.
    """
    book = book_of(wanted.mode)
    lock(tx, book)
    if _first(tx, wanted.attempt_id) is not None:
        return None
    if approval_id is None:
        refusal = refusal_of(balances.uses(tx, book, limits, at, timezone), wanted.ask)
        if refusal is not None:
            return refusal
    hour = window_key(Window.HOUR, at, timezone).removeprefix("hour:")
    row = LedgerRow(
        kind="reserve",
        book=book,
        mode=wanted.mode,
        service=wanted.service,
        engine=wanted.engine,
        tier=wanted.tier,
        team=wanted.team,
        actor=wanted.actor,
        job_id=wanted.job_id,
        attempt_id=wanted.attempt_id,
        outcome="open",
        is_repeat=False,  # known when it is billed
        pages=wanted.pages,
        reserved_credits=wanted.credits,
        reserved_micros=wanted.micros,
        reserved_submits=wanted.submits,
        settled_credits=0,
        settled_micros=0,
        settled_submits=0,
        saved_micros=0,
        hour=hour,
        day=hour[:10],
        page_price_id=wanted.page_price_id,
        credit_price_id=wanted.credit_price_id,
        approval_id=approval_id,
        cause="approved" if approval_id else "within the limits",
        reserved_at=at,
        at=at,
    )
    balances.post(tx, row)
    tx.add(OpenReservationRow(attempt_id=wanted.attempt_id, entry_id=row.id or 0))
    tx.flush()
    return None


def is_reserved(tx: Transaction, attempt_id: str) -> bool:
    """Whether a reservation was made for this attempt, open or not."""
    return _first(tx, attempt_id) is not None


def quoted_credits(tx: Transaction, attempt_id: str) -> int:
    """Credits that were reserved for this attempt."""
    first = _first(tx, attempt_id)
    return first.reserved_credits if first is not None else 0


def bill(
    tx: Transaction, attempt_id: str, what: Bill, prices: PriceBook, at: datetime
) -> Entry | None:
    """Bring the ledger to what the attempt was billed: settle or release, later adjust.

    Said again it changes nothing. None when nothing was posted: there was no reservation, or the
    ledger says so already.
    """
    first = _first(tx, attempt_id)
    if first is None:
        return None
    # the ledger is looked at again once nobody else can post
    lock(tx, first.book)
    micros = usd_to_micros(_usd_per_credit(first, prices) * what.credits)
    opened = tx.get(OpenReservationRow, attempt_id, populate_existing=True)
    if opened is not None:
        tx.delete(opened)
        return _close(tx, first, what, micros, _saved(first, what, prices), at)
    sums = _settled(tx, attempt_id)
    if what.credits == sums.credits:
        return None
    adjust = _following(first, "adjust", sums.outcome, what.cause, at)
    adjust.settled_credits = what.credits - sums.credits
    adjust.settled_micros = micros - sums.micros
    balances.post(tx, adjust)
    return _entry(adjust)


def release(
    tx: Transaction, attempt_id: str, at: datetime, cause: str, outcome: str = "cancelled"
) -> bool:
    """Give an open reservation back, of which nothing was sent. False when none is open."""
    if tx.get(OpenReservationRow, attempt_id) is None:
        return False
    what = Bill(0, outcome, was_sent=False, cause=cause)
    return bill(tx, attempt_id, what, PriceBook(()), at) is not None


def note_avoided(  # noqa: PLR0913 - whose saving, how much of it, when and where it counts
    tx: Transaction, wanted: Reservation, saved_micros: int, at: datetime, timezone: str, cause: str
) -> None:
    """Put on record what was not parsed because its result was there: nothing is reserved or settled."""
    book = book_of(wanted.mode)
    lock(tx, book)
    hour = window_key(Window.HOUR, at, timezone).removeprefix("hour:")
    nothing = dict.fromkeys(
        (n for n in LedgerRow.model_fields if n.startswith(("reserved_", "settled_"))), 0
    )
    whose = {
        name: getattr(wanted, name)
        for name in ("job_id", "attempt_id", "mode", "service", "engine", "tier", "team", "actor")
    }
    row = LedgerRow(
        **{
            **nothing,
            **whose,
            "kind": "release",
            "book": book,
            "outcome": "avoided",
            "is_repeat": False,
            "pages": wanted.pages,
            "saved_micros": saved_micros,
            "hour": hour,
            "day": hour[:10],
            "cause": cause,
            "reserved_at": at,
            "at": at,
        }
    )
    balances.post(tx, row)


def billed_credits(tx: Transaction, job_id: str) -> int | None:
    """What a job was billed in all; None while one of its paid attempts is not billed yet."""
    is_open = (
        select(col(OpenReservationRow.attempt_id))
        .join(LedgerRow, col(LedgerRow.id) == col(OpenReservationRow.entry_id))
        .where(col(LedgerRow.job_id) == job_id, col(LedgerRow.reserved_credits) > 0)
        .limit(1)
    )
    if tx.execute(is_open).first() is not None:
        return None
    query = select(func.sum(col(LedgerRow.settled_credits))).where(
        col(LedgerRow.job_id) == job_id, col(LedgerRow.kind) != "reserve"
    )
    credits_ = tx.execute(query).scalar()
    return None if credits_ is None else int(credits_)


def entries_of(tx: Transaction, job_id: str) -> tuple[Entry, ...]:
    """All entries of a job, oldest first."""
    query = select(LedgerRow).where(col(LedgerRow.job_id) == job_id).order_by(col(LedgerRow.id))
    return tuple(_entry(row) for row in tx.execute(query).scalars())


def spent_since(tx: Transaction, mode: str, since: datetime) -> Decimal:
    """Dollars settled or still reserved of what was reserved since a moment."""
    query = select(func.sum(col(LedgerRow.reserved_micros) + col(LedgerRow.settled_micros))).where(
        col(LedgerRow.book) == book_of(mode),
        # the first is a wider net, but has an index
        col(LedgerRow.at) >= since,
        col(LedgerRow.reserved_at) >= since,
    )
    return usd_from_micros(int(tx.execute(query).scalar() or 0))


def by_hour(
    tx: Transaction, mode: str, hours: Sequence[datetime], timezone: str
) -> tuple[tuple[int, int], ...]:
    """Micro-dollars and submits, reserved or settled, in the hour of each of these moments."""
    windows = [window_key(Window.HOUR, hour, timezone) for hour in hours]
    found = balances.totals(tx, book_of(mode), windows)
    return tuple(found.get(window, (0, 0)) for window in windows)


def credits_of_day(tx: Transaction, mode: str, at: datetime, timezone: str) -> int:
    """Credits settled of what was reserved on the day of ``at``."""
    query = select(func.sum(col(RollupRow.settled_credits))).where(
        col(RollupRow.book) == book_of(mode),
        col(RollupRow.window) == window_key(Window.DAY, at, timezone),
    )
    return int(tx.execute(query).scalar() or 0)


def unsettled(tx: Transaction, *, limit: int = 5000) -> tuple[tuple[str, datetime], ...]:
    """Attempts that ended at the vendor while their reservation is still open, and when; oldest first."""
    opened = select(col(OpenReservationRow.attempt_id))
    query = select(
        col(AttemptRow.id),
        col(AttemptRow.status),
        col(AttemptRow.vendor_job_id),
        col(AttemptRow.finished_at),
        col(AttemptRow.created_at),
    ).where(col(AttemptRow.id).in_(opened))
    # judged here: asked about the status the database begins with all attempts that ever ended
    ended = (
        (attempt_id, finished_at or created_at)
        for attempt_id, status, vendor_job_id, finished_at, created_at in tx.execute(query)
        if vendor_job_id is not None and status in {"done", "failed", "cancelled"}
    )
    return tuple(sorted(ended, key=lambda one: one[1])[:limit])


@dataclass(frozen=True, slots=True)
class _Settled:
    credits: int
    micros: int
    outcome: str


def _settled(tx: Transaction, attempt_id: str) -> _Settled:
    query = (
        select(LedgerRow)
        .where(col(LedgerRow.attempt_id) == attempt_id, col(LedgerRow.kind) != "reserve")
        .order_by(col(LedgerRow.id))
    )
    rows = list(tx.execute(query).scalars())
    return _Settled(
        sum(row.settled_credits for row in rows),
        sum(row.settled_micros for row in rows),
        rows[0].outcome if rows else "done",
    )


def _first(tx: Transaction, attempt_id: str) -> LedgerRow | None:
    query = select(LedgerRow).where(
        col(LedgerRow.attempt_id) == attempt_id, col(LedgerRow.kind) == "reserve"
    )
    return tx.execute(query).scalar_one_or_none()


def _close(  # noqa: PLR0913 - a reservation, what became of it, in money, and when
    tx: Transaction, first: LedgerRow, what: Bill, micros: int, saved_micros: int, at: datetime
) -> Entry:
    kind = "settle" if what.credits else "release"
    is_repeat = what.outcome == "done" and what.credits > 0
    is_repeat = is_repeat and was_paid_before(tx, first.attempt_id, first.book)
    row = _following(first, kind, _outcome(first, what, is_repeat=is_repeat), what.cause, at)
    row.is_repeat = is_repeat
    row.reserved_credits = -first.reserved_credits
    row.reserved_micros = -first.reserved_micros
    row.reserved_submits = -first.reserved_submits
    row.settled_credits = what.credits
    row.settled_micros = micros
    row.settled_submits = first.reserved_submits if what.was_sent else 0
    row.saved_micros = saved_micros
    row.pages = first.pages if what.pages is None else what.pages
    balances.post(tx, row)
    return _entry(row)


def _outcome(first: LedgerRow, what: Bill, *, is_repeat: bool) -> str:
    """What the Spend screen counts it under: a cached result and a repeat are outcomes of their own."""
    if what.outcome != "done":
        return what.outcome
    if first.reserved_credits and not what.credits:
        return "cached"
    return "repeat" if is_repeat else "done"


def _saved(first: LedgerRow, what: Bill, prices: PriceBook) -> int:
    """What a result that cost nothing would have cost: from the vendor's cache, or made locally."""
    if what.outcome != "done" or what.credits:
        return 0
    if first.reserved_micros:
        return first.reserved_micros
    pages = first.pages if what.pages is None else what.pages
    price = prices.on(date.fromisoformat(first.day))
    per_page = price.credits_per_page.get(Tier(first.tier), 0)
    return usd_to_micros(price.usd(per_page * pages))


def _usd_per_credit(first: LedgerRow, prices: PriceBook) -> Decimal:
    """What a credit cost when it was reserved: old jobs keep their price."""
    for entry in prices.entries:
        if entry.id == first.credit_price_id and entry.amount is not None:
            return entry.amount
    if not prices.entries:
        return Decimal(0)
    return prices.on(date.fromisoformat(first.day)).usd_per_credit


def _following(first: LedgerRow, kind: str, outcome: str, cause: str, at: datetime) -> LedgerRow:
    """An entry in the windows of the reservation that changes nothing yet."""
    facts = {name: getattr(first, name) for name in LedgerRow.model_fields if name != "id"}
    zero = dict.fromkeys((n for n in facts if n.startswith(("reserved_", "settled_"))), 0)
    zero["reserved_at"] = first.reserved_at  # type: ignore[assignment]
    changed = {"kind": kind, "outcome": outcome, "cause": cause, "at": at}
    return LedgerRow(**{**facts, **zero, "pages": 0, "saved_micros": 0, **changed})


def _entry(row: LedgerRow) -> Entry:
    return Entry(**{field.name: getattr(row, field.name) for field in fields(Entry)})
