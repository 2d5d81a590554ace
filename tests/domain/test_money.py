"""The price book and the rules of granting, without a database."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.budgets import Ask, Limit, LimitUse, Unit, Window, in_order, refusal_of
from core.domain.money import (
    ANY,
    BUILT_IN_PRICES,
    PriceBook,
    PriceEntry,
    PriceKind,
    Tier,
    usd_exact,
    usd_from_micros,
    usd_left,
    usd_words,
)
from core.errors import PriceMissing

TODAY = date(2026, 11, 24)
DAY = Limit(Window.DAY, Unit.USD, 1000)
ASKS = st.lists(st.integers(0, 1500).map(lambda micros: Ask(micros, 1)), max_size=12)


def _entry(amount: str | None, day: date = TODAY, **facts: object) -> PriceEntry:
    values: dict[str, object] = {"kind": PriceKind.PAGE, "key": Tier.AGENTIC, "id": 99, **facts}
    amount_ = None if amount is None else Decimal(amount)
    return PriceEntry(valid_from=day, amount=amount_, **values)  # type: ignore[arg-type]


def _with(*entries: PriceEntry) -> PriceBook:
    return PriceBook((*BUILT_IN_PRICES.entries, *entries))


def test_a_new_price_holds_from_its_day_on() -> None:
    """Before its day the old price holds, on it and after it the new one."""
    book = _with(_entry("12"))
    pages = [book.on(date(2026, 11, day)).credits(Tier.AGENTIC, 2) for day in (23, 24, 25)]
    assert pages == [20, 24, 24]


def test_a_tier_whose_price_is_not_known_is_not_spent_on() -> None:
    """From the day on which no price is known, asking for it says so; the other tiers keep theirs."""
    price = _with(_entry(None)).on(TODAY)
    with pytest.raises(PriceMissing, match="agentic on 2026-11-24"):
        price.credits(Tier.AGENTIC, 1)
    assert price.credits(Tier.FAST, 3) == 3


def test_a_version_can_have_a_price_of_its_own() -> None:
    """The price of a tier's version beats the one for all versions."""
    book = _with(_entry("20", version="2026-10-16"))
    dear = book.on(TODAY, versions={Tier.AGENTIC: "2026-10-16"})
    assert (dear.credits(Tier.AGENTIC, 1), book.on(TODAY).credits(Tier.AGENTIC, 1)) == (20, 10)


def test_a_credit_costs_what_region_and_plan_say() -> None:
    """The closest of region and plan counts, then region, then plan, then the price for all."""
    book = _with(
        _entry("0.003", kind=PriceKind.CREDIT, key=f"eu/{ANY}"),
        _entry("0.001", kind=PriceKind.CREDIT, key="eu/pro"),
    )
    prices = [
        book.on(TODAY, region=region, plan=plan).usd_per_credit
        for region, plan in (("eu", "pro"), ("eu", "free"), ("na", "pro"))
    ]
    assert prices == [Decimal("0.001"), Decimal("0.003"), Decimal("0.00125")]


def test_a_sheet_costs_its_own_on_top_of_its_page() -> None:
    """The sheets of a spreadsheet are priced as the vendor's page says, and no other pages are."""
    price = BUILT_IN_PRICES.on(TODAY)
    assert price.of_sheets(has_sheets=True).credits(Tier.AGENTIC, 3) == 3 * (10 + 1)
    assert price.of_sheets(has_sheets=False) == price


def test_what_cannot_be_ordered_has_no_price() -> None:
    """The book claims no price for sound or options, which nobody can submit here."""
    kinds = {entry.kind for entry in BUILT_IN_PRICES.entries}
    assert kinds.isdisjoint({PriceKind.AUDIO_MINUTE, PriceKind.OPTION})


def test_before_the_first_price_there_is_none() -> None:
    """A day before the book begins has no price, and says so."""
    with pytest.raises(PriceMissing, match="a credit on 2025-12-31"):
        BUILT_IN_PRICES.on(date(2025, 12, 31))


@given(ASKS, st.integers(0, 1000))
def test_in_order_nothing_passes_the_limit_and_nothing_that_fits_is_refused(
    asks: list[Ask], used: int
) -> None:
    """First come, first served; what does not fit is passed over by the smaller ones behind it."""
    uses = (LimitUse(DAY, used, 0),)
    granted, after = in_order(uses, asks)
    room = 1000 - used
    for ask, is_granted in zip(asks, granted, strict=True):
        assert is_granted == (ask.micros <= room or ask.micros == 0)
        room -= ask.micros if is_granted else 0
    assert after[0].used <= 1000


def test_what_is_larger_than_a_window_is_told_so() -> None:
    """No waiting helps against a limit that is smaller than the whole job; another one is not named."""
    hour = Limit(Window.HOUR, Unit.SUBMITS, 5)
    uses = (LimitUse(hour, 5, 0), LimitUse(DAY, 0, 0))
    refusal = refusal_of(uses, Ask(2000, 1))
    assert refusal is not None
    assert not refusal.fits_a_window
    assert "a lead must approve it" in refusal.words


def test_a_limit_of_another_team_is_not_asked() -> None:
    """A team's limit stands in nobody else's way."""
    full = (LimitUse(Limit(Window.DAY, Unit.USD, 10, "team:a"), 10, 0),)
    assert refusal_of(full, Ask(5, 1, ("all", "team:b"))) is None
    assert refusal_of(full, Ask(5, 1, ("all", "team:a"))) is not None


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        ("0", "$0.00"),
        ("3.41", "$3.41"),
        ("4.755", "$4.76"),
        ("5.245", "$5.25"),
        ("0.0038", "$0.0038"),
        ("1234.5", "$1,234.50"),
        ("-0.005", "-$0.0050"),
        ("-3", "-$3.00"),
    ],
)
def test_an_amount_reads_the_same_everywhere(usd: str, words: str) -> None:
    """Two decimals, four under a cent, half a cent up: not to the even cent, as a format string would."""
    assert usd_words(Decimal(usd)) == words


@given(used=st.integers(0, 20_000_000), limit=st.integers(0, 20_000_000))
def test_what_is_left_is_never_said_larger_than_it_is(used: int, limit: int) -> None:
    """Used and left, as shown, never come to more than the limit."""
    left = usd_from_micros(max(0, limit - used))
    assert usd_of(usd_left(left)) <= left
    assert left - usd_of(usd_left(left)) < Decimal("0.01")


def test_a_limit_is_not_rounded() -> None:
    """What holds is what is shown: $0.0125 is not $0.01."""
    shown = [usd_exact(Decimal(usd)) for usd in ("10", "0.0125", "1234.5", "0.000001")]
    assert shown == ["$10.00", "$0.0125", "$1,234.50", "$0.000001"]


def usd_of(words: str) -> Decimal:
    """The amount that a person reads."""
    return Decimal(words.removeprefix("$").replace(",", ""))
