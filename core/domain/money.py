"""Credits, dollars and the dated price book."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

__all__ = ["BUILT_IN_PRICES", "Price", "PriceBook", "Tier", "usd_from_micros", "usd_to_micros"]

_MICROS = Decimal(1_000_000)


class Tier(StrEnum):
    """LlamaParse's four tiers, cheapest first."""

    FAST = "fast"
    COST_EFFECTIVE = "cost_effective"
    AGENTIC = "agentic"
    AGENTIC_PLUS = "agentic_plus"


@dataclass(frozen=True, slots=True)
class Price:
    """What a page costs from one day on: credits per page by tier, dollars per credit."""

    valid_from: date
    credits_per_page: Mapping[Tier, int]
    usd_per_credit: Decimal

    def credits(self, tier: Tier, pages: int) -> int:
        """Credits for ``pages`` pages at ``tier``."""
        return self.credits_per_page[tier] * pages

    def usd(self, credits_: int) -> Decimal:
        """Dollars for a number of credits, unrounded."""
        return self.usd_per_credit * credits_


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Dated prices; a new price is a new entry and old jobs keep theirs."""

    prices: tuple[Price, ...]

    def on(self, day: date) -> Price:
        """The price valid on ``day``.

        Raises ``ValueError`` when the book begins later than that day.
        """
        valid = [price for price in self.prices if price.valid_from <= day]
        if not valid:
            msg = f"no price is known for {day.isoformat()}"
            raise ValueError(msg)
        return max(valid, key=lambda price: price.valid_from)


# Pricing page of the vendor's documentation: one credit is $1.25 per thousand, North America and
# Europe alike (fact sheet, section 2.1).
BUILT_IN_PRICES = PriceBook(
    (
        Price(
            valid_from=date(2026, 1, 1),
            credits_per_page={
                Tier.FAST: 1,
                Tier.COST_EFFECTIVE: 3,
                Tier.AGENTIC: 10,
                Tier.AGENTIC_PLUS: 45,
            },
            usd_per_credit=Decimal("0.00125"),
        ),
    )
)


def usd_to_micros(usd: Decimal) -> int:
    """Whole millionths of a dollar, the unit that is stored: exact for every price in the book."""
    return int((usd * _MICROS).to_integral_value())


def usd_from_micros(micros: int) -> Decimal:
    """Dollars from the stored unit."""
    return Decimal(micros) / _MICROS
