"""What an outage cost, told from the ledger and the attempts."""

import io
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from core.console import Console
from core.domain.health import Hold
from core.domain.money import Tier
from core.domain.routing import Mode
from core.serving import Served
from tests.factories import ALICE, finished, wait_until
from tests.vendor import Switches, a_vendor, pages_that


def test_stand_ins_cost_nothing_until_they_are_replaced(
    make_console: Callable[..., Console], tmp_path: Path, database_url: str
) -> None:
    """First they wait at the price of their pages, then that is what the outage cost; what is not billed is 0."""
    with Served(a_vendor(tmp_path / "vendor", Switches(), pages_that(1))) as vendor:
        console = make_console(
            worker=True,
            api_key="llx-k",
            base_url=vendor.url,
            mode="hybrid",
            database_url=database_url,
        )
        console.watch.hold(Hold(console.clock() + timedelta(hours=1), "alice", "an outage"))
        upload = console.submissions.preflight("a.txt", io.BytesIO(b"some words"))
        quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
        job = finished(console, console.submissions.submit(quote, ALICE, "press").id).jobs[0]
        cost = console.outage_costs.lately()
        assert (cost.waiting_pages, cost.waiting_usd) == (1, Decimal("0.0125"))
        assert (cost.replaced_jobs, cost.replaced_usd) == (0, Decimal(0))
        console.watch.release("alice", "over")
        console.again.order(console.again.stand_ins(console.jobs.view(job.id).job), ALICE)
        wait_until(lambda: console.outage_costs.lately().replaced_usd == Decimal("0.0125"))
        wait_until(lambda: console.outage_costs.lately().waiting_pages == 0)
        cost = console.outage_costs.lately()
        assert (cost.replaced_jobs, cost.waiting_usd) == (1, Decimal(0))
        assert (cost.failed_usd, cost.repeated_usd) == (Decimal(0), Decimal(0))
