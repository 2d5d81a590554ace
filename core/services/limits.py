"""Limits: what holds now, who changed what and why, and changing it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

from core.clock import Clock
from core.domain import times
from core.domain.budgets import (
    EVERYTHING,
    Limit,
    LimitUse,
    Unit,
    Window,
    book_of,
    next_start,
    scope_words,
)
from core.domain.jobs import Actor
from core.domain.money import usd_to_micros
from core.errors import NotAllowed
from core.pipeline.terms import Rules
from core.store import Store, Transaction, ledger, limits, teams
from core.store.limits import Approval, LimitChange

__all__ = ["LimitLine", "Limits", "amount_of", "limit_words"]

_MOST = 1_000_000
_LONGEST_RAISE = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class LimitLine:
    """A limit, what is used of it now, and the revision that whoever edits it has seen.

    ``stored`` is the change in force, None while the setting of the environment counts.
    """

    use: LimitUse
    revision: int
    stored: LimitChange | None


class Limits:
    """Reads and changes limits; every change is on record."""

    def __init__(self, store: Store, rules: Callable[[], Rules], clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def lines(self, mode: str) -> tuple[LimitLine, ...]:
        """Every limit of the mode's book with its use, the ones over everything first."""
        rules, now, book = self._rules(), self._clock(), book_of(mode)
        with self._store.read() as tx:
            in_force = limits.in_force(tx, book, rules.limits, now)
            uses = ledger.uses(tx, mode, in_force, now, rules.timezone)
            found = [
                LimitLine(
                    use,
                    limits.revision_of(tx, book, *use.limit.key),
                    _stored(tx, book, use.limit, now),
                )
                for use in uses
            ]
        order = list(Window)
        return tuple(
            sorted(
                found,
                key=lambda line: (
                    line.use.limit.scope != EVERYTHING,
                    line.use.limit.scope,
                    order.index(line.use.limit.window),
                    line.use.limit.unit,
                ),
            )
        )

    def history(self, mode: str, *, limit: int = 100) -> tuple[LimitChange, ...]:
        """The changes of the mode's book, newest first."""
        with self._store.read() as tx:
            return limits.changes(tx, book_of(mode), limit=limit)

    def approvals(self) -> tuple[Approval, ...]:
        """Jobs that leads let pass the limits, newest first."""
        with self._store.read() as tx:
            return limits.approvals(tx)

    def teams(self) -> tuple[str, ...]:
        """All teams by name."""
        with self._store.read() as tx:
            return teams.names(tx)

    def add_team(self, name: str, actor: Actor) -> None:
        """A new team. Raises ``NotAllowed`` for a name that cannot be shown or is too long."""
        cleaned = " ".join(name.split())
        if not cleaned or len(cleaned) > 60 or not cleaned.isprintable() or ":" in cleaned:  # noqa: PLR2004 - fits a column
            raise NotAllowed(
                "A team needs a name of 1 to 60 characters without a colon.", "Choose another name."
            )
        with self._store.write() as tx:
            teams.add(tx, cleaned, str(actor), self._clock())

    def change(  # noqa: PLR0913 - which limit, to what, by whom, why, until when, knowing what
        self,
        mode: str,
        limit: tuple[str, Window, Unit],
        amount: str | None,
        actor: Actor,
        reason: str,
        *,
        hours: float | None = None,
        seen_revision: int | None = None,
    ) -> str:
        """Set a limit (None: no limit any more), for a number of hours or until it is changed again.

        Answers what the person should know, or nothing. Raises ``NotAllowed`` for a wrong amount or no
        reason, ``Overtaken`` when somebody else changed the limit after ``seen_revision``.
        """
        scope, window, unit = limit
        _checked_reason(reason)
        after = None if amount is None else amount_of(unit, amount)
        now, rules, book = self._clock(), self._rules(), book_of(mode)
        with self._store.write() as tx:
            _checked_scope(tx, scope)
            before = _amount_in_force(tx, book, limit, rules, now)
            if after is None and limit in {first.key for first in rules.limits}:
                raise NotAllowed(
                    "This limit always holds.", "Set it to another amount instead of removing it."
                )
            change = LimitChange(
                book=book,
                scope=scope,
                window=window,
                unit=unit,
                before=before,
                after=after,
                actor=str(actor),
                reason=reason.strip(),
                at=now,
                expires_at=_expiry(hours, now),
            )
            revision = limits.revision_of(tx, book, *limit)
            limits.record(tx, change, revision if seen_revision is None else seen_revision)
            return _warning(tx, mode, change, rules, now)


def amount_of(unit: Unit, text: str) -> int:
    """An amount as typed, in the stored unit: millionths of a dollar, or submits.

    Raises ``NotAllowed`` for what is no number, not above zero, absurdly large, or finer than counts.
    """
    typed = text.strip().removeprefix("$").replace(",", "").replace("_", "")
    try:
        number = Decimal(typed)
    except InvalidOperation:
        raise NotAllowed(
            f"{text.strip()!r} is not a number.", "Write it like 25 or 7.50."
        ) from None
    what = "dollars" if unit is Unit.USD else "submits"
    if not number.is_finite() or number > _MOST:
        raise NotAllowed(
            f"A limit of {text.strip()} {what} is no limit.", f"Stay at or below {_MOST:,}."
        )
    if number <= 0:
        raise NotAllowed(
            f"A limit must be above zero, and {text.strip()} is not.",
            "To stop work, switch to MOCK or cancel what waits.",
        )
    if unit is Unit.SUBMITS and number != number.to_integral_value():
        raise NotAllowed("Submits are counted in whole numbers.", "Write it without decimals.")
    micros = usd_to_micros(number)
    if unit is Unit.USD and Decimal(micros) != number * 1_000_000:
        raise NotAllowed("Dollars are counted to six decimals.", "Write it with fewer decimals.")
    return micros if unit is Unit.USD else int(number)


def limit_words(scope: str, window: Window, unit: Unit) -> str:
    """`` dollars a day for the team sales``: a limit's name as people say it."""
    return f"{'dollars' if unit is Unit.USD else 'submits'} {_A[window]}{scope_words(scope)}"


_A = {Window.HOUR: "an hour", Window.DAY: "a day", Window.MONTH: "a month"}


def _checked_reason(reason: str) -> None:
    if not reason.strip():
        raise NotAllowed(
            "A change of a limit needs a reason.", "Say why, so that others understand it later."
        )


def _checked_scope(tx: Transaction, scope: str) -> None:
    kind, _, name = scope.partition(":")
    if scope in {EVERYTHING, "service:llamaparse"} or (kind == "team" and teams.exists(tx, name)):
        return
    raise NotAllowed(
        f"There is nothing to limit under {scope!r}.",
        "Choose all, a service or a team that exists.",
    )


def _expiry(hours: float | None, now: datetime) -> datetime | None:
    if hours is None:
        return None
    longest = _LONGEST_RAISE / timedelta(hours=1)
    if not 0 < hours <= longest:
        raise NotAllowed(
            f"A raise for {hours:g} hours is not possible.", f"Choose up to {longest:g} hours."
        )
    return now + timedelta(hours=hours)


def _amount_in_force(
    tx: Transaction, book: str, key: tuple[str, Window, Unit], rules: Rules, now: datetime
) -> int | None:
    in_force = limits.in_force(tx, book, rules.limits, now)
    return next((limit.amount for limit in in_force if limit.key == key), None)


def _stored(tx: Transaction, book: str, limit: Limit, now: datetime) -> LimitChange | None:
    return next(
        (
            change
            for change in limits.changes(tx, book, limit=1000)
            if (change.scope, change.window, change.unit) == limit.key
            and (change.expires_at is None or change.expires_at > now)
        ),
        None,
    )


def _warning(tx: Transaction, mode: str, change: LimitChange, rules: Rules, now: datetime) -> str:
    """A limit under what is used already is a way to stop; whoever sets it is told what it does."""
    if change.after is None:
        return ""
    limit = Limit(change.window, change.unit, change.after, change.scope)
    use = ledger.uses(tx, mode, [limit], now, rules.timezone)[0]
    if use.used <= limit.amount:
        return ""
    opens = next_start(change.window, now, rules.timezone)
    return (
        "More than that is spent or reserved already: nothing new starts until "
        f"{times.short(opens, rules.timezone)}; what runs goes on."
    )
