"""Credits, dollars and the dated price book."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from enum import StrEnum

from core.errors import PriceMissing

__all__ = [
    "ANY",
    "BUILT_IN_PRICES",
    "Price",
    "PriceBook",
    "PriceEntry",
    "PriceKind",
    "Tier",
    "usd_exact",
    "usd_from_micros",
    "usd_left",
    "usd_to_micros",
    "usd_words",
]

_MICROS = Decimal(1_000_000)
_CENT = Decimal("0.01")
_UNDER_A_CENT = Decimal("0.0001")
ANY = "*"
"""Stands in a price entry's key or version for all that have no entry of their own."""


class Tier(StrEnum):
    """LlamaParse's four tiers, cheapest first."""

    FAST = "fast"
    COST_EFFECTIVE = "cost_effective"
    AGENTIC = "agentic"
    AGENTIC_PLUS = "agentic_plus"


class PriceKind(StrEnum):
    """What an entry of the price book prices, and in which unit."""

    PAGE = "page"
    """Credits for a page; key: the tier, version: the tier's version date."""
    SHEET = "sheet"
    """Credits for a sheet of a spreadsheet, on top of the page that it is."""
    AUDIO_MINUTE = "audio_minute"
    """Only in books of earlier versions: sound is not taken, since its minutes are not known before."""
    OPTION = "option"
    """Only in books of earlier versions: no option that adds credits is ever ordered."""
    CREDIT = "credit"
    """Dollars for a credit; key: region/plan."""
    PLAN_FEE = "plan_fee"
    """Dollars a month; key: the plan."""
    PLAN_CREDITS = "plan_credits"
    """Credits a month that the plan includes; key: the plan."""

    @property
    def is_money(self) -> bool:
        """Whether the amount is in dollars; else it is in credits."""
        return self in {PriceKind.CREDIT, PriceKind.PLAN_FEE}


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """One price from one day on. ``amount`` None says that from then on no price is known."""

    kind: PriceKind
    key: str
    valid_from: date
    amount: Decimal | None
    version: str = ANY
    id: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """What holds on one day: credits per page by tier, credits per sheet, dollars per credit."""

    day: date = field(compare=False)
    credits_per_page: Mapping[Tier, int]
    usd_per_credit: Decimal
    credits_per_sheet: int = 0
    page_ids: Mapping[Tier, int] = field(default_factory=dict)
    credit_id: int = 0

    def credits(self, tier: Tier, pages: int) -> int:
        """Credits for ``pages`` pages at ``tier``.

        Raises ``PriceMissing`` when the tier has no price, so that nothing is spent unquoted.
        """
        if tier not in self.credits_per_page:
            raise PriceMissing(f"the tier {tier.value.replace('_', ' ')}", self.day)
        return self.credits_per_page[tier] * pages

    def of_sheets(self, *, has_sheets: bool) -> "Price":
        """The same for a document whose pages are sheets, each of which costs its own on top.

        Unchanged for any other. Whether the service bills a sheet on top of the tier or in its place
        is not documented: on top is the safe side.
        """
        if not has_sheets or not self.credits_per_sheet:
            return self
        pages = {t: c + self.credits_per_sheet for t, c in self.credits_per_page.items()}
        return replace(self, credits_per_page=pages)

    def usd(self, credits_: int) -> Decimal:
        """Dollars for a number of credits, unrounded."""
        return self.usd_per_credit * credits_


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Dated entries; a new price is a new entry, and what was reserved under an old one keeps it."""

    entries: tuple[PriceEntry, ...]

    def entry(
        self, kind: PriceKind, day: date, *keys: str, version: str = ANY
    ) -> PriceEntry | None:
        """The entry valid on ``day`` for the first of ``keys`` that has one.

        An entry for the version beats the one for any version; of two for one day the later one
        made counts.
        """
        for key in keys or (ANY,):
            for wanted in dict.fromkeys((version, ANY)):
                valid = [
                    e
                    for e in self.entries
                    if (e.kind, e.key, e.version) == (kind, key, wanted) and e.valid_from <= day
                ]
                if valid:
                    return max(valid, key=lambda e: (e.valid_from, e.id))
        return None

    def on(
        self,
        day: date,
        *,
        region: str = ANY,
        plan: str = ANY,
        versions: Mapping[Tier, str] | None = None,
    ) -> Price:
        """The prices valid on ``day`` in a region, under a plan, for these versions of the tiers.

        Raises ``PriceMissing`` when a credit has no price in dollars on that day. A tier without a
        price is left out.
        """
        keys = dict.fromkeys(
            (f"{region}/{plan}", f"{region}/{ANY}", f"{ANY}/{plan}", f"{ANY}/{ANY}")
        )
        credit = self.entry(PriceKind.CREDIT, day, *keys)
        if credit is None or credit.amount is None:
            raise PriceMissing("a credit", day)
        pages = self._pages(day, versions or {})
        return Price(
            day=day,
            credits_per_page={tier: int(e.amount or 0) for tier, e in pages.items()},
            usd_per_credit=credit.amount,
            credits_per_sheet=self._credits(PriceKind.SHEET, day),
            page_ids={tier: e.id for tier, e in pages.items()},
            credit_id=credit.id,
        )

    def _pages(self, day: date, versions: Mapping[Tier, str]) -> dict[Tier, PriceEntry]:
        found = {
            tier: self.entry(PriceKind.PAGE, day, tier, version=versions.get(tier, ANY))
            for tier in Tier
        }
        return {t: e for t, e in found.items() if e is not None and e.amount is not None}

    def _credits(self, kind: PriceKind, day: date, key: str = ANY) -> int:
        entry = self.entry(kind, day, key)
        return int(entry.amount) if entry is not None and entry.amount is not None else 0


def _built_in(kind: PriceKind, key: str, amount: str) -> PriceEntry:
    return PriceEntry(kind, key, date(2026, 1, 1), Decimal(amount))


# Pricing and billing pages of the vendor's documentation (fact sheet, sections 2.1 and 2.2): one
# credit is $1.25 per thousand, North America and Europe alike.
BUILT_IN_PRICES = PriceBook(
    (
        _built_in(PriceKind.PAGE, Tier.FAST, "1"),
        _built_in(PriceKind.PAGE, Tier.COST_EFFECTIVE, "3"),
        _built_in(PriceKind.PAGE, Tier.AGENTIC, "10"),
        _built_in(PriceKind.PAGE, Tier.AGENTIC_PLUS, "45"),
        _built_in(PriceKind.SHEET, ANY, "1"),
        _built_in(PriceKind.CREDIT, f"{ANY}/{ANY}", "0.00125"),
        _built_in(PriceKind.PLAN_FEE, "free", "0"),
        _built_in(PriceKind.PLAN_FEE, "starter", "50"),
        _built_in(PriceKind.PLAN_FEE, "pro", "500"),
        _built_in(PriceKind.PLAN_CREDITS, "free", "10000"),
        _built_in(PriceKind.PLAN_CREDITS, "starter", "40000"),
        _built_in(PriceKind.PLAN_CREDITS, "pro", "400000"),
    )
)


def usd_to_micros(usd: Decimal) -> int:
    """Whole millionths of a dollar, the unit that is stored: exact for every price in the book."""
    return int((usd * _MICROS).to_integral_value())


def usd_from_micros(micros: int) -> Decimal:
    """Dollars from the stored unit."""
    return Decimal(micros) / _MICROS


def usd_words(usd: Decimal) -> str:
    """``$3.41``, as every screen and sentence says it; four decimals under a cent, half of the last one goes up."""
    return _words(usd, ROUND_HALF_UP)


def usd_left(usd: Decimal) -> str:
    """What is left of a limit, rounded down: used and left, as said, never come to more than there is."""
    return _words(usd, ROUND_DOWN)


def usd_exact(usd: Decimal) -> str:
    """A limit, not rounded: ``$0.01`` would not be what holds when it is ``$0.0125``."""
    cents = usd.quantize(_CENT)
    return f"${cents if cents == usd else usd.normalize():,f}"


def _words(usd: Decimal, rounding: str) -> str:
    step = _UNDER_A_CENT if 0 < abs(usd) < _CENT else _CENT
    return f"{'-' if usd < 0 else ''}${abs(usd).quantize(step, rounding):,}"
