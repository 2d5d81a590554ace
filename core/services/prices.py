"""The price book: what holds today, what held before, and a new dated price."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from core.clock import Clock
from core.domain.jobs import Actor
from core.domain.money import ANY, PriceEntry, PriceKind, Tier
from core.errors import NotAllowed
from core.pipeline.terms import Rules
from core.store import Store, prices
from core.store.prices import PriceChange

__all__ = ["KEYS", "Prices"]

KEYS: dict[PriceKind, tuple[str, ...]] = {
    PriceKind.PAGE: tuple(tier.value for tier in Tier),
    PriceKind.SHEET: (ANY,),
    PriceKind.CREDIT: tuple(
        f"{region}/{plan}"
        for region in (ANY, "na", "eu")
        for plan in (ANY, "free", "starter", "pro", "enterprise")
    ),
    PriceKind.PLAN_FEE: ("free", "starter", "pro", "enterprise"),
    PriceKind.PLAN_CREDITS: ("free", "starter", "pro", "enterprise"),
}
"""What each kind of price can be for: what can be ordered here, and nothing else."""

_MOST = 1_000_000


class Prices:
    """Reads the price book and adds to it; nothing in it is ever changed."""

    def __init__(self, store: Store, rules: Callable[[], Rules], clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def today(self) -> date:
        """The day by whose prices is quoted now."""
        return self._clock().astimezone(ZoneInfo(self._rules().timezone)).date()

    def current(self) -> tuple[PriceEntry, ...]:
        """The entry in force today for each thing that has a price, in the order of the kinds."""
        today = self.today()
        with self._store.read() as tx:
            book = prices.book(tx)
        # an earlier version priced what was never ordered
        known = [e for e in book.entries if e.key in KEYS.get(e.kind, ())]
        things = sorted({(e.kind, e.key, e.version) for e in known})
        found = [book.entry(kind, today, key, version=version) for kind, key, version in things]
        order = list(PriceKind)
        return tuple(
            sorted(
                (e for e in found if e is not None),
                key=lambda e: (order.index(e.kind), KEYS[e.kind].index(e.key), e.version),
            )
        )

    def history(self) -> tuple[PriceChange, ...]:
        """Every entry with who made it, newest first."""
        with self._store.read() as tx:
            return prices.history(tx)

    def add(  # noqa: PLR0913 - a price is for what, from when, how much, by whom, why
        self,
        kind: PriceKind,
        key: str,
        amount: str | None,
        valid_from: date,
        actor: Actor,
        reason: str,
        *,
        version: str = ANY,
    ) -> None:
        """A new price from a day on; None says that from then on none is known.

        Raises ``NotAllowed`` for a wrong amount, a day that is over, or no reason.
        """
        keys = KEYS.get(kind, ())
        if key not in keys:
            raise NotAllowed(f"There is no price for {key!r}.", f"Use {', '.join(keys)}.")
        if not reason.strip():
            raise NotAllowed("A new price needs a reason.", "Say where it comes from.")
        if valid_from < self.today():
            raise NotAllowed(
                f"{valid_from.isoformat()} is over: what was quoted then keeps its price.",
                "Let the new price begin today or later.",
            )
        change = PriceChange(
            kind=kind,
            key=key,
            version=_checked_version(version),
            valid_from=valid_from,
            amount=None if amount is None else _checked_amount(kind, amount),
            actor=str(actor),
            reason=reason.strip(),
            at=self._clock(),
        )
        with self._store.write() as tx:
            prices.add(tx, change)


def _checked_amount(kind: PriceKind, text: str) -> Decimal:
    typed = text.strip().removeprefix("$").replace(",", "")
    try:
        number = Decimal(typed)
    except InvalidOperation:
        raise NotAllowed(
            f"{text.strip()!r} is not a number.", "Write it like 10 or 0.00125."
        ) from None
    if not number.is_finite() or not 0 <= number <= _MOST:
        raise NotAllowed(f"{text.strip()} is no price.", f"Stay between 0 and {_MOST:,}.")
    step = Decimal("0.000001") if kind.is_money else Decimal(1)
    if number % step:
        finest = "six decimals" if kind.is_money else "whole credits"
        raise NotAllowed(f"{text.strip()} is too fine.", f"Prices here are counted in {finest}.")
    return number


def _checked_version(version: str) -> str:
    cleaned = version.strip() or ANY
    if cleaned != ANY:
        try:
            date.fromisoformat(cleaned)
        except ValueError:
            raise NotAllowed(
                f"{cleaned!r} is not the version of a tier.", "Versions are dates, like 2026-10-16."
            ) from None
    return cleaned
