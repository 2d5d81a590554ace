"""Switching, an outage and its end as a person sees them, in a real Chromium."""

import io
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from core.console import Console
from core.domain.health import HealthPolicy
from core.domain.money import Tier
from core.domain.routing import Mode
from core.serving import Served
from dashboard.asgi import create_app
from dashboard.runtime import get_console
from tests.factories import ALICE, finished, wait_until
from tests.vendor import Switches, a_vendor, pages_that

pytestmark = pytest.mark.browser


@pytest.fixture
def page() -> Iterator[Page]:
    """A fresh window."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        window.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        yield window
        browser.close()


def test_an_outage_from_the_switch_to_the_real_result(
    make_console: Callable[..., Console], tmp_path: Path, page: Page
) -> None:
    """REAL says it waits; HYBRID is chosen with a reason; a stand-in is marked, then replaced."""
    switches = Switches(status=401)
    quick = HealthPolicy(open_s=1, longest_open_s=1)
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(1))) as vendor:
        console = make_console(
            worker=True,
            api_key="llx-k",
            base_url=vendor.url,
            mode="real",
            health=quick,
            health_interval_s=1,
            requests_per_minute=600,  # a probe each second would take every turn of sixty a minute
        )
        wait_until(lambda: console.health.trouble() != "")
        # the one of an earlier test in this process
        get_console.clear()
        with Served(create_app(console)) as served:
            page.goto(served.url)
            banner = page.locator(".st-key-outage")
            expect(banner).to_contain_text("New documents wait")
            banner.get_by_text("Modes and health").click()
            page.locator(".st-key-switch-hybrid button").click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Why").fill("outage")
            dialog.get_by_label("Why").press("Enter")
            dialog.get_by_role("button", name="Switch to HYBRID").click()
            expect(page.get_by_role("dialog")).to_have_count(0)
            expect(page.locator(".st-key-card-hybrid")).to_contain_text("in force")
            assert console.modes.history()[0].reason == "outage"
            _parse_and_replace(console, switches, served.url, page)


def _parse_and_replace(console: Console, switches: Switches, url: str, page: Page) -> None:
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"some words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    job = finished(console, console.submissions.submit(quote, ALICE, "press").id).jobs[0]
    page.goto(f"{url}/job?job={job.id}")
    expect(page.get_by_text("made by local engine, no tier, provisional")).to_be_visible()
    switches.status = 0
    wait_until(lambda: console.health.trouble() == "", within_s=60)
    page.get_by_text("Replace the stand-ins…").click()
    page.get_by_role("button", name=re.compile(r"Parse 1 page for \$0\.01")).click()
    wait_until(lambda: not console.jobs.view(job.id).job.is_provisional, within_s=100)
    expect(page.get_by_text("made by LlamaParse, agentic")).to_be_visible(timeout=15_000)
