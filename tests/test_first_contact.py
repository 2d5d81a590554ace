"""``parsedeck doctor --live``, with the simulator in the service's place, its name taken off."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.api import ingress_app
from core.console import Console
from core.domain.documents import ParsedDocument
from core.domain.routing import Mode
from core.engines.llamaparse import LiveFact, Verdict
from core.engines.local import LocalEngine
from core.errors import DocumentRefused, NotAllowed, RefusalReason
from core.serving import Served
from core.simulator import SimulatorConfig, create_simulator
from core.simulator.config import Reader
from tests.factories import ALICE
from tests.pipeline.vendor import Vendor
from tests.vendor import paid

PARSEDECK = Path(sys.executable).with_name("parsedeck")
PUBLIC = b"https://console.test"
NAME = b"x-parsedeck-simulator"


class _Anonymous:
    """The simulator without its name, which REAL would refuse, calling back to a port of this machine."""

    def __init__(self, app: ASGIApp, call_back: str = "") -> None:
        self._app = app
        self._call_back = call_back.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes everything on, with two changes."""

        async def nameless(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message["headers"] if pair[0].lower() != NAME]
                message = {**message, "headers": headers}
            await send(message)

        async def rerouted() -> Message:
            message = await receive()
            if message["type"] == "http.request" and self._call_back:
                body = message["body"].replace(PUBLIC, self._call_back)
                message = {**message, "body": body}
            return message

        await self._app(scope, rerouted, nameless)


@contextmanager
def _service(
    folder: Path,
    call_back: str = "",
    config: SimulatorConfig | None = None,
    reader: Reader | None = None,
) -> Iterator[str]:
    folder.mkdir()
    local = LocalEngine()
    known = config or SimulatorConfig(billed_after_s=1)
    app = create_simulator(known, folder, reader or local.read)
    try:
        with Served(_Anonymous(app, call_back)) as served:
            yield served.url
    finally:
        local.close_workers()


def _by_topic(facts: list[LiveFact]) -> dict[str, Verdict]:
    return {fact.topic: fact.verdict for fact in facts}


def test_every_fact_is_confirmed_where_the_service_is_as_documented(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """One page is parsed and paid, and each fact of the sheet is judged, webhooks and bill included."""
    settings = {"public_url": PUBLIC.decode(), "webhook_secrets": "whsec_contact"}
    receiving = make_console(api_key="llx-key", **settings)
    with (
        Served(ingress_app(receiving)) as ingress,
        _service(tmp_path / "service", ingress.url) as url,
    ):
        console = make_console(worker=True, api_key="llx-key", base_url=url, **settings)
        quote = console.first_contact.quote()
        assert (quote.credits, len(quote.lines)) == (3, 1)
        facts = console.first_contact.run(quote, ALICE, billed_within_s=30)
        spent = console.spend.today(Mode.REAL)
        console.close()
        (trial,) = paid(url)
    verdicts = _by_topic(facts)
    assert verdicts.pop("region") is Verdict.UNKNOWN
    assert set(verdicts.values()) == {Verdict.CONFIRMED}, facts
    told = {"auth", "signature", "body format", "event names", "usage", "job", "delete"}
    assert told <= verdicts.keys()
    assert spent.credits == 3
    assert trial["is_deleted"], "the trial was left behind"


def test_what_is_not_billed_yet_is_not_deleted(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """A job that is gone could not say any more what it cost, so it stays, and the report says so."""
    unbilled = SimulatorConfig(billed_after_s=3600)
    with _service(tmp_path / "service", config=unbilled) as url:
        console = make_console(worker=True, api_key="llx-key", base_url=url)
        quote = console.first_contact.quote()
        facts = console.first_contact.run(quote, ALICE, billed_within_s=0)
        console.close()
        (trial,) = paid(url)
    (told,) = [fact for fact in facts if fact.topic == "delete"]
    assert told.verdict is Verdict.UNKNOWN
    assert "stays at LlamaParse" in told.what
    assert not trial["is_deleted"]


def test_a_trial_that_failed_is_deleted_too(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Where the page could not be parsed nothing is left behind either."""

    async def broken(_path: Path, _name: str, _pages: str) -> ParsedDocument:
        raise DocumentRefused(RefusalReason.BROKEN, "torn")

    with _service(tmp_path / "service", reader=broken) as url:
        console = make_console(worker=True, api_key="llx-key", base_url=url)
        quote = console.first_contact.quote()
        facts = console.first_contact.run(quote, ALICE, billed_within_s=30)
        console.close()
        (trial,) = paid(url)
    assert _by_topic(facts) == {"parse": Verdict.DIFFERENT, "delete": Verdict.CONFIRMED}
    assert trial["is_deleted"]


def test_what_is_different_is_told(make_console: Callable[..., Console]) -> None:
    """A service that answers otherwise than documented is parsed all the same, and each difference named."""
    vendor = Vendor(end_as=[("COMPLETED", "")])
    with Served(vendor.app) as service:
        console = make_console(worker=True, api_key="llx-key", base_url=service.url)
        facts = console.first_contact.run(console.first_contact.quote(), ALICE, billed_within_s=20)
        console.close()
    verdicts = _by_topic(facts)
    assert verdicts["versions"] is Verdict.DIFFERENT
    assert verdicts["usage"] is Verdict.DIFFERENT
    assert verdicts["signature"] is Verdict.UNKNOWN
    assert verdicts["delete"] is Verdict.DIFFERENT
    assert verdicts["job"] is Verdict.CONFIRMED
    assert all(fact.what for fact in facts)


def test_a_refused_key_ends_in_one_sentence(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """Where nothing can be parsed, the reason is the report, and nothing stays reserved."""
    with _service(tmp_path / "service", config=SimulatorConfig(credit_budget=0)) as url:
        console = make_console(worker=True, api_key="llx-key", base_url=url)
        facts = console.first_contact.run(console.first_contact.quote(), ALICE)
        console.close()
    assert [(f.topic, f.verdict) for f in facts] == [("parse", Verdict.DIFFERENT)]
    assert "no credits left" in facts[0].what


def test_without_a_key_there_is_no_first_contact(make_console: Callable[..., Console]) -> None:
    """The message names the variable."""
    with pytest.raises(NotAllowed, match="LLAMAPARSE_API_KEY"):
        make_console().first_contact.quote()


def test_the_command_shows_the_price_and_asks(tmp_path: Path) -> None:
    """Without a yes nothing is sent; with --yes a script gets the facts as JSON."""
    with _service(tmp_path / "service", config=SimulatorConfig()) as url:
        environment = {**os.environ, "LLAMAPARSE_API_KEY": "llx-key", "LLAMAPARSE_BASE_URL": url}

        def run(*arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [str(PARSEDECK), "doctor", "--live", *arguments],
                input=answer,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                env=environment,
            )

        refused = run(answer="n\n")
        assert refused.returncode == 1
        assert "3 credits, $0.0037" in refused.stderr.replace("$0.0038", "$0.0037")
        assert "Nothing was sent" in refused.stderr
        done = run("--yes", "--json", "--wait", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {fact["topic"]: fact["verdict"] for fact in json.loads(done.stdout)}
    assert verdicts["job"] == verdicts["usage"] == verdicts["delete"] == "confirmed"
    assert "llx-key" not in done.stdout + done.stderr
