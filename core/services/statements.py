"""The month as the service would bill it: what was used by tier, the plan's fee, what goes beyond."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from core.clock import Clock
from core.domain.budgets import book_of
from core.domain.money import PriceKind, usd_from_micros
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.terms import Rules
from core.store import Store, prices, rollups
from core.store import settings as stored

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PLAN", "Statement", "StatementLine", "Statements"]

PLAN = "plan"
"""The stored setting that names the vendor's plan."""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What was settled at one tier, at the dated prices of the ledger."""

    tier: str
    pages: int
    credits: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """One month: its use by tier, the plan's fee, and what goes beyond the plan's credits."""

    month: date
    plan: str
    is_simulated: bool
    lines: tuple[StatementLine, ...]
    included: int
    fee_usd: Decimal
    usd_per_credit: Decimal

    @property
    def credits(self) -> int:
        """Credits settled in all."""
        return sum(line.credits for line in self.lines)

    @property
    def over_credits(self) -> int:
        """Credits that the plan does not include."""
        return max(0, self.credits - self.included)

    @property
    def over_usd(self) -> Decimal:
        """What goes beyond, at the plan's rate."""
        return self.over_credits * self.usd_per_credit

    @property
    def total_usd(self) -> Decimal:
        """Fee and what goes beyond."""
        return self.fee_usd + self.over_usd

    def frame(self) -> "pd.DataFrame":
        """The statement as a table, one line per item; dollars as text, so that no digit is lost.

        The dollars of a tier are what the ledger counts against limits; what is paid is the total.
        """
        import pandas as pd  # noqa: PLC0415 - it takes half a second; most commands draw nothing

        used = [(f"used: {x.tier}", x.pages, x.credits, x.usd) for x in self.lines]
        metered = sum((line.usd for line in self.lines), Decimal(0))
        pages = sum(line.pages for line in self.lines)
        rows = [
            *used,
            ("used in all", pages, self.credits, metered),
            (f"included in plan {self.plan}", None, self.included, None),
            ("beyond what is included", None, self.over_credits, self.over_usd),
            (f"fee of plan {self.plan}", None, None, self.fee_usd),
            ("total", None, None, self.total_usd),
        ]
        return pd.DataFrame(
            {
                "month": [f"{self.month:%Y-%m}"] * len(rows),
                "money": ["simulated" if self.is_simulated else "real"] * len(rows),
                "item": [item for item, *_ in rows],
                "pages": pd.array([row[1] for row in rows], dtype="Int64"),
                "credits": pd.array([row[2] for row in rows], dtype="Int64"),
                "usd": ["" if row[3] is None else f"{row[3]:f}" for row in rows],
            }
        )

    def as_json(self) -> dict[str, object]:
        """For scripts: money as text."""
        return {
            "month": f"{self.month:%Y-%m}",
            "simulated": self.is_simulated,
            "plan": self.plan,
            "tiers": [
                {"tier": x.tier, "pages": x.pages, "credits": x.credits, "usd": str(x.usd)}
                for x in self.lines
            ],
            "credits": self.credits,
            "included_credits": self.included,
            "over_credits": self.over_credits,
            "usd_per_credit": str(self.usd_per_credit),
            "fee_usd": str(self.fee_usd),
            "total_usd": str(self.total_usd),
        }


class Statements:
    """Reads the roll-ups month by month."""

    def __init__(self, store: Store, rules: Callable[[], Rules], clock: Clock) -> None:
        self._store = store
        self._rules = rules
        self._clock = clock

    def months(self, *, back: int = 12) -> tuple[date, ...]:
        """The first days of this month and of those before it, newest first."""
        found = [self._today().replace(day=1)]
        while len(found) < back:
            found.append((found[-1] - timedelta(days=1)).replace(day=1))
        return tuple(found)

    def month_of(self, text: str) -> date:
        """A month as typed, such as 2026-11; this one when it is empty.

        Raises ``NotAllowed`` for what is no month, and for one that has not begun.
        """
        today = self._today()
        if not text.strip():
            return today.replace(day=1)
        try:
            month = date.fromisoformat(f"{text.strip()}-01")
        except ValueError:
            raise NotAllowed(f"{text!r} is no month.", "Write it like 2026-11.") from None
        if month > today:
            raise NotAllowed(
                f"{text.strip()} has not begun.", "Choose this month or an earlier one."
            )
        return month

    def of(self, mode: Mode, month: date) -> Statement:
        """The month that ``month`` is in, by the plan that was set (free when none was).

        A day is one of the configured time zone. Raises ``PriceMissing``.
        """
        first = month.replace(day=1)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        # what will hold later this month does not hold yet
        day = min(last, max(first, self._today()))
        with self._store.read() as tx:
            setting = stored.all_settings(tx).get(PLAN)
            plan = setting.value if setting is not None else "free"
            book = prices.book(tx)
            sums = rollups.by_window(tx, book_of(mode), f"day:{first}", f"day:{last}~", "tier")
            fee = book.entry(PriceKind.PLAN_FEE, day, plan)
            included = book.entry(PriceKind.PLAN_CREDITS, day, plan)
            price = book.on(day, region=self._rules().region, plan=plan)
        tiers = {s.value for s in sums if s.settled_credits}
        return Statement(
            first,
            plan,
            mode is Mode.MOCK,
            tuple(_line(tier, [s for s in sums if s.value == tier]) for tier in sorted(tiers)),
            int(included.amount or 0) if included is not None else 0,
            (fee.amount or Decimal(0)) if fee is not None else Decimal(0),
            price.usd_per_credit,
        )

    def _today(self) -> date:
        return self._clock().astimezone(ZoneInfo(self._rules().timezone)).date()


def _line(tier: str, sums: list[rollups.Sums]) -> StatementLine:
    return StatementLine(
        tier,
        sum(s.pages for s in sums),
        sum(s.settled_credits for s in sums),
        usd_from_micros(sum(s.settled_micros for s in sums)),
    )
