"""Routes: every page goes to one engine, nothing passes as what it is not, and the price is the sum."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.budgets import Limit, LimitUse, Unit, Window
from core.domain.documents import EngineName, PageClass, PageProfile, Thresholds, page_class
from core.domain.money import BUILT_IN_PRICES, Price, Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy
from core.domain.routing import Mode, OtherEngine, RouteFacts, RoutePlan, plan_route

PRICE = BUILT_IN_PRICES.on(date(2026, 11, 24))
TOY = EngineName("toy")
OCR = ["scanned", "no-text", "sparse-text", "embedded-images", "garbled", "vector-text"]
LAYOUT = ["multi-column", "table-likely", "dense-graphics", "something-new"]


@st.composite
def _pages(draw: st.DrawFn) -> tuple[PageProfile, ...]:
    count = draw(st.integers(0, 12))
    found = []
    for number in range(1, count + 1):
        ocr = draw(st.lists(st.sampled_from(OCR), unique=True, max_size=2))
        layout = draw(st.lists(st.sampled_from(LAYOUT), unique=True, max_size=2))
        found.append(
            PageProfile(
                number,
                draw(st.integers(0, 3000)),
                needs_ocr=bool(ocr),
                is_complex=bool(layout),
                reasons=(*ocr, *layout),
                columns=draw(st.none() | st.integers(0, 4)),
                figure_share=draw(st.none() | st.floats(0, 1)),
            )
        )
    return tuple(found)


@st.composite
def _policies(draw: st.DrawFn) -> RoutePolicy:
    tiers = st.sampled_from(list(Tier))
    places = tiers | st.sampled_from([TOY, EngineName("gone")])
    table = {
        kind: draw(places if kind in {PageClass.SCAN, PageClass.GARBLED} else st.none() | places)
        for kind in PageClass
    }
    thresholds = Thresholds(
        draw(st.integers(0, 500)), draw(st.integers(2, 5)), draw(st.floats(0, 1))
    )
    return RoutePolicy(
        draw(st.sampled_from(HybridPolicy)),
        table,
        thresholds,
        draw(st.booleans()),
        draw(st.booleans()),
    )


@st.composite
def _facts(draw: st.DrawFn) -> RouteFacts:
    pages = draw(_pages())
    count = len(pages) or draw(st.none() | st.integers(1, 50))
    target: tuple[int, ...] = ()
    wants_some = draw(st.booleans())
    if pages and wants_some:
        target = tuple(sorted(draw(st.sets(st.integers(1, len(pages)), min_size=1))))
    day = Limit(Window.DAY, Unit.USD, draw(st.integers(0, 10_000_000)))
    hour = Limit(Window.HOUR, Unit.SUBMITS, draw(st.integers(0, 5)))
    return RouteFacts(
        mode=draw(st.sampled_from(Mode)),
        tier=draw(st.sampled_from(Tier)),
        page_count=count,
        price=PRICE,
        target_pages=target,
        vendor_is_configured=draw(st.booleans()),
        pages=pages,
        policy=draw(_policies()),
        vendor_trouble=draw(st.sampled_from(["", "LlamaParse does not answer"])),
        local_trouble=draw(st.sampled_from(["", "Its probes fail."])),
        limits=(LimitUse(day, 0, 0), LimitUse(hour, 0, 0)),
        others=(_toy(draw(st.sampled_from(["", "Toy reads no PDF."]))),),
    )


def _toy(in_the_way: str = "") -> OtherEngine:
    return OtherEngine(TOY, "Toy", lambda _price, _tier, pages: 2 * pages, in_the_way)


def _numbers(facts: RouteFacts) -> list[int]:
    return list(facts.target_pages or range(1, (facts.page_count or facts.max_pages) + 1))


def _planned(facts: RouteFacts, plan: RoutePlan) -> dict[int, list[EngineName]]:
    found: dict[int, list[EngineName]] = {number: [] for number in _numbers(facts)}
    for attempt in plan.attempts:
        for number in attempt.target_pages or _numbers(facts):
            found[number].append(attempt.engine)
    return found


@given(_facts())
def test_every_page_is_planned_exactly_once(facts: RouteFacts) -> None:
    """No page is left out and none is paid twice, whatever the mode, the policy and the weather."""
    engines = _planned(facts, plan_route(facts))
    assert all(len(found) == 1 for found in engines.values())


@given(_facts())
def test_a_stand_in_is_hybrid_only_and_says_so(facts: RouteFacts) -> None:
    """REAL and MOCK never get a stand-in; in HYBRID a page that only lacks LlamaParse is provisional."""
    plan = plan_route(facts)
    if facts.mode is not Mode.HYBRID:
        assert {a.engine for a in plan.attempts} == {EngineName.LLAMAPARSE}
        assert not plan.is_provisional
        return
    for attempt in plan.attempts:
        if attempt.engine is EngineName.LLAMAPARSE:
            assert not attempt.is_provisional
            assert facts.vendor_is_configured
            assert not facts.vendor_trouble
        elif attempt.engine is TOY:
            assert not attempt.is_provisional
            assert not facts.others[0].in_the_way
        elif not attempt.is_provisional:
            assert facts.policy.hybrid is HybridPolicy.ECONOMY
            assert "free" in attempt.reason
        else:
            assert "stands in" in attempt.reason
    assert plan.reason


@given(_facts())
def test_no_page_goes_to_a_local_engine_in_trouble_unless_nobody_else_can_read_it(
    facts: RouteFacts,
) -> None:
    """What LlamaParse can take it takes; what stays here all the same says what speaks against it."""
    plan = plan_route(facts)
    if not (facts.local_trouble and plan.is_local):
        return
    local = [attempt for attempt in plan.attempts if attempt.engine is EngineName.LOCAL]
    assert all(facts.local_trouble in attempt.reason for attempt in local)
    # LlamaParse has no key, is in trouble, or a limit is in the way
    assert not facts.vendor_is_configured or facts.vendor_trouble or facts.policy.local_over_limit


@given(_facts())
def test_no_page_that_needs_ocr_is_local_for_good(facts: RouteFacts) -> None:
    """Whatever the table and the thresholds say, a scan stays with the local engine only as a stand-in."""
    known = {page.number: page for page in facts.pages}
    for attempt in plan_route(facts).attempts:
        if attempt.engine is EngineName.LOCAL and not attempt.is_provisional:
            numbers = attempt.target_pages or _numbers(facts)
            assert not any(known[number].needs_ocr for number in numbers)


@given(_facts())
def test_the_price_is_the_sum_and_never_above_the_tier_asked_for(facts: RouteFacts) -> None:
    """What is quoted is what each page costs with its engine, never more than all pages at the tier."""
    plan = plan_route(facts)
    of_toy, of_tiers = 0, 0
    for attempt in plan.attempts:
        pages = len(attempt.target_pages or _numbers(facts))
        of_toy += 2 * pages if attempt.engine is TOY else 0
        is_vendor = attempt.engine is EngineName.LLAMAPARSE
        of_tiers += PRICE.credits(attempt.tier, pages) if is_vendor else 0
    assert plan.credits == sum(a.credits for a in plan.attempts) == of_toy + of_tiers
    assert of_tiers <= PRICE.credits(facts.tier, len(_numbers(facts)))


@given(_policies())
def test_rules_come_back_from_the_store(policy: RoutePolicy) -> None:
    """Rules that are stored are read as they were."""
    assert RoutePolicy.from_json(policy.as_json()) == policy


@given(_pages(), st.integers(0, 500), st.integers(2, 5), st.floats(0, 1))
def test_what_needs_ocr_is_never_plain(
    pages: tuple[PageProfile, ...], chars: int, columns: int, share: float
) -> None:
    """No threshold makes a page plain that has no sound text layer."""
    for page in pages:
        kind = page_class(page, Thresholds(chars, columns, share))
        assert not (page.needs_ocr and kind in {PageClass.PLAIN, PageClass.TABLE})


@pytest.mark.parametrize("kind", [PageClass.SCAN, PageClass.GARBLED])
def test_rules_that_lose_text_are_refused(kind: PageClass) -> None:
    """Nobody can set rules that leave a scan to the local engine."""
    with pytest.raises(ValueError, match="cannot be read"):
        RoutePolicy(table={**RoutePolicy().table, kind: None})


def _page(number: int, *reasons: str, needs_ocr: bool = False) -> PageProfile:
    return PageProfile(number, 900, needs_ocr, is_complex=bool(reasons), reasons=reasons)


ECONOMY = RoutePolicy(HybridPolicy.ECONOMY, local_over_limit=True)
MIXED = (
    _page(1),
    _page(2),
    _page(3, "table-likely"),
    _page(4, "scanned", needs_ocr=True),
    _page(5, "multi-column"),
)


def _mixed(**facts: object) -> RoutePlan:
    given_ = {"mode": Mode.HYBRID, "tier": Tier.AGENTIC, "page_count": 5, "price": PRICE}
    return plan_route(RouteFacts(**{**given_, "pages": MIXED, "policy": ECONOMY, **facts}))  # type: ignore[arg-type]


def test_economy_sends_each_page_to_the_cheapest_that_suffices() -> None:
    """Plain pages stay here for free, tables take 3 credits, a scan takes 10, each with its reason."""
    plan = _mixed()
    assert [(a.engine, a.tier, a.target_pages, a.credits) for a in plan.attempts] == [
        (EngineName.LOCAL, Tier.AGENTIC, (1, 2), 0),
        (EngineName.LLAMAPARSE, Tier.COST_EFFECTIVE, (3, 5), 6),
        (EngineName.LLAMAPARSE, Tier.AGENTIC, (4,), 10),
    ]
    assert "Pages 3,5 (table): LlamaParse, cost effective." in plan.reason
    assert not plan.is_provisional


def test_pages_leave_a_local_engine_in_trouble_for_what_suffices() -> None:
    """While its own probe fails, plain pages go to LlamaParse at the tier that tables need, with the reason."""
    plan = _mixed(local_trouble="5 calls in a row to Local engine failed.")
    assert [(a.engine, a.tier, a.target_pages, a.credits) for a in plan.attempts] == [
        (EngineName.LLAMAPARSE, Tier.COST_EFFECTIVE, (1, 2, 3, 5), 12),
        (EngineName.LLAMAPARSE, Tier.AGENTIC, (4,), 10),
    ]
    assert "5 calls in a row to Local engine failed." in plan.reason
    fast = _mixed(local_trouble="It failed.", tier=Tier.FAST)
    assert {attempt.tier for attempt in fast.attempts} == {Tier.FAST}


def test_pages_stay_with_a_local_engine_in_trouble_where_nobody_else_can_read_them() -> None:
    """In an outage of LlamaParse what is local by plan stays final and free, and the plan says how it stands."""
    plan = _mixed(local_trouble="Its probes fail.", vendor_trouble="LlamaParse is down.")
    assert [(a.target_pages, a.is_provisional) for a in plan.attempts] == [
        ((1, 2), False),
        ((3, 5), True),
        ((4,), True),
    ]
    assert all("Its probes fail." in attempt.reason for attempt in plan.attempts)
    cent = (LimitUse(Limit(Window.DAY, Unit.USD, 23_000), 0, 0),)
    within = _mixed(local_trouble="Its probes fail.", limits=cent)
    # with the plain pages it would pass the limit, without them it does not
    assert [(a.target_pages, a.credits) for a in within.attempts] == [
        ((1, 2), 0),
        ((3, 5), 6),
        ((4,), 10),
    ]


def test_without_a_key_only_the_pages_meant_for_llamaparse_are_provisional() -> None:
    """HYBRID without a key: what is local by plan stays final, the rest is a stand-in."""
    plan = _mixed(vendor_is_configured=False)
    assert [(a.target_pages, a.is_provisional) for a in plan.attempts] == [
        ((1, 2), False),
        ((3, 5), True),
        ((4,), True),
    ]
    assert plan.credits == 0


def test_over_a_limit_the_team_decides_whether_the_local_engine_helps() -> None:
    """What would pass a limit stays here where the rules allow it, and is planned in full where not."""
    cent = (LimitUse(Limit(Window.DAY, Unit.USD, 100_000), 0, 90_000),)
    assert "limit" in _mixed(limits=cent).reason
    assert _mixed(limits=cent).is_provisional
    strict = RoutePolicy(HybridPolicy.ECONOMY)
    assert _mixed(limits=cent, policy=strict).credits == 16


def test_a_document_that_nobody_looked_into_is_not_guessed_at() -> None:
    """An office file has no page profiles before it is parsed: LlamaParse takes all of it."""
    plan = _mixed(pages=(), page_count=7)
    assert [(a.engine, a.target_pages) for a in plan.attempts] == [(EngineName.LLAMAPARSE, ())]
    assert "not known" in plan.reason


def test_another_price_is_another_sum() -> None:
    """The price of a plan follows the price book."""
    dear = Price(date(2027, 1, 1), dict.fromkeys(Tier, 7), Decimal(1))
    assert _mixed(price=dear).credits == 21


def test_the_table_may_name_an_engine_that_was_added() -> None:
    """Its pages cost what it costs; what it cannot take goes to LlamaParse, and the plan says why."""
    policy = RoutePolicy(
        HybridPolicy.ECONOMY, {**RoutePolicy().table, PageClass.PLAIN: TOY, PageClass.SCAN: TOY}
    )
    plan = _mixed(policy=policy, others=(_toy(),))
    assert [(a.engine, a.target_pages, a.credits) for a in plan.attempts] == [
        (TOY, (1, 2, 4), 6),
        (EngineName.LLAMAPARSE, (3, 5), 6),
    ]
    plan = _mixed(policy=policy, others=(_toy("Toy reads no PDF."),))
    assert (plan.credits, "Toy reads no PDF." in plan.reason) == (36, True)


@pytest.mark.parametrize("name", ["", "Toy", "a b", "x" * 33, "toy\n"])
def test_an_engine_has_a_name_that_can_be_shown_and_stored(name: str) -> None:
    """What is no name of an engine is refused where it comes in."""
    with pytest.raises(ValueError, match="no name"):
        EngineName(name)
