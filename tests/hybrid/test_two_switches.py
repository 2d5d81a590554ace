"""Switching the mode while others do: nobody waits for nobody, and nobody pays what they did not see."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from threading import Barrier, BrokenBarrierError

import pytest

from core.console import Console
from core.domain.documents import EngineName
from core.domain.health import Hold
from core.domain.money import Price, PriceKind, Tier
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.terms import Rules
from core.services.replans import Replans
from tests.factories import ALICE


def _press(console: Console, mode: Mode, name: str = "a.txt") -> str:
    upload = console.submissions.preflight(name, io.BytesIO(f"words of {name}".encode()))
    quote = console.submissions.quote([upload], Tier.AGENTIC, mode, parse_again=True)
    return console.submissions.submit(quote, ALICE, name).job_ids[0]


def test_two_opposite_switches_do_not_wait_for_each_other(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """One person plans again for MOCK what waits in REAL, another the reverse, at once: both get through."""
    consoles = [make_console(api_key="llx-k", database_url=database_url) for _ in range(2)]
    real, mock = _press(consoles[0], Mode.REAL), _press(consoles[0], Mode.MOCK, "b.txt")
    halfway = Barrier(2)

    def switching(console: Console, mode: Mode) -> Callable[[], int]:
        def rules() -> Rules:
            known = console.rules()

            def cost(engine: EngineName, price: Price, tier: Tier, pages: int) -> int:
                # what it had is given back, what it takes is not reserved yet
                with suppress(BrokenBarrierError):
                    halfway.wait(timeout=1)
                return known.cost(engine, price, tier, pages)

            return replace(known, cost=cost)

        replans = Replans(
            console.store,
            console.queue.enqueue,
            rules,
            console.routes.policy,
            console.watches.trouble,
            lambda _document: True,
            console.engines_view.others,
            is_configured=True,
            clock=console.clock,
        )
        replan = replans.quote(mode)
        return lambda: replans.apply(replan, ALICE)

    both = [switching(consoles[0], Mode.MOCK), switching(consoles[1], Mode.REAL)]
    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(switch) for switch in both]
        assert [one.result(timeout=60) for one in done] == [1, 1]
    modes = {job_id: consoles[0].jobs.view(job_id).job.mode for job_id in (real, mock)}
    assert modes == {real: Mode.MOCK, mock: Mode.REAL}


def test_what_waits_is_not_planned_again_at_a_price_that_nobody_saw(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """The hold that made stand-ins free ends while the dialog is open: refused, with the new price."""
    console = make_console(api_key="llx-k", database_url=database_url)
    job_id = _press(console, Mode.MOCK)
    console.watch.hold(Hold(console.clock() + timedelta(hours=1), "bob", "a test"))
    shown = console.replans.quote(Mode.HYBRID)
    assert (shown.usd, shown.provisional) == (Decimal(0), 1)
    console.watch.release("bob", "it was only a test")
    with pytest.raises(NotAllowed, match=r"now \$0\.0125, not \$0\.00: "):
        console.replans.apply(shown, ALICE)
    assert console.jobs.view(job_id).job.mode is Mode.MOCK
    now = console.replans.quote(Mode.HYBRID)
    assert (now.usd, now.provisional) == (Decimal("0.0125"), 0)
    assert console.replans.apply(now, ALICE) == 1


def test_a_new_price_book_is_shown_before_it_is_paid(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """A price that was entered while the dialog is open is not paid unseen."""
    console = make_console(database_url=database_url)
    job_id = _press(console, Mode.MOCK)
    shown = console.replans.quote(Mode.REAL)
    tier, today = Tier.AGENTIC, console.prices.today()
    console.prices.add(PriceKind.PAGE, tier, "20", today, ALICE, "their page")
    with pytest.raises(NotAllowed, match="while you decided"):
        console.replans.apply(shown, ALICE)
    assert console.jobs.view(job_id).job.mode is Mode.MOCK
