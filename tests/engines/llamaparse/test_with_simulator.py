"""The client and the look-alike together, over real HTTP."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx
import pytest
from pydantic import SecretStr

from core.clock import utc_now
from core.domain.money import Tier
from core.engines.llamaparse import LlamaParseEngine
from core.engines.protocol import EngineJob, EngineStatus, ParseEngine, ParseOrder, WebhookTarget
from core.errors import UpstreamError, UpstreamKind
from core.simulator import SimulatorConfig, create_simulator
from core.webhooks.signatures import SigningSecret, verify
from tests.simulator.cast import Mailbox, Memory, an_order, read_lines
from tests.simulator.serving import Serving

T = TypeVar("T")


def _run(url: str, use: Callable[[LlamaParseEngine], Awaitable[T]], **options: Any) -> T:
    async def run() -> T:
        settings: dict[str, Any] = {"simulated": True, "retry_pause_s": 0.01, **options}
        engine = LlamaParseEngine(url, SecretStr("llx-test"), **settings)
        try:
            return await use(engine)
        finally:
            await engine.close()

    return asyncio.run(run())


async def _finished(engine: ParseEngine, job: EngineJob) -> EngineJob:
    while not job.status.is_final:
        await asyncio.sleep(0.02)
        job = await engine.status(job.vendor_job_id)
    return job


def _ledger(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{url}/__simulator/ledger").json()
    return answer


@pytest.mark.parametrize("tier", list(Tier))
def test_a_document_becomes_markdown(tmp_path: Path, tier: Tier) -> None:
    """Submit, wait, fetch: pages in order, the failed one marked, the credits of the tier."""
    order = an_order("one\nfail\nthree", tier=tier)

    async def use(engine: ParseEngine) -> Any:
        job = await _finished(engine, await engine.submit(order))
        return job, await engine.fetch(job.vendor_job_id, order)

    with Serving(create_simulator(SimulatorConfig(), tmp_path, read_lines)) as simulator:
        job, document = _run(simulator.url, use)
        billed = _ledger(simulator.url)["totals"]["credits"]
    assert job.attempt_id == order.attempt_id
    assert [page.number for page in document.pages] == [1, 2, 3]
    assert [page.text for page in document.pages] == ["one", "fail", "three"]
    assert {page.tier for page in document.pages} == {tier.value}
    # the fast tier has text only, in which no page is marked
    assert document.failed_pages == (() if tier is Tier.FAST else (2,))
    assert document.pages[0].markdown == ("one" if tier is Tier.FAST else "# one")
    assert document.credits == billed


@pytest.mark.parametrize(
    "fault", ["server_error=1", "quota_out=1", "key_revoked=1", "malformed=1", "lost_request=1"]
)
def test_what_the_simulator_refuses_is_not_told_of_llamaparse(tmp_path: Path, fault: str) -> None:
    """MOCK is never passed off as REAL: its refusals name the simulator."""
    config = SimulatorConfig(faults=(f"{fault}@submit",))
    with (
        Serving(create_simulator(config, tmp_path, read_lines)) as simulator,
        pytest.raises(UpstreamError) as refused,
    ):
        _run(simulator.url, lambda engine: engine.submit(an_order()))
    assert "LlamaParse" not in f"{refused.value} {refused.value.what} {refused.value.next_step}"
    assert "simulator" in refused.value.what


def test_a_job_that_fails_in_the_simulator_is_not_told_of_llamaparse(tmp_path: Path) -> None:
    """The reason on a MOCK job names the simulator, in our words and as the one who said it."""

    async def use(engine: ParseEngine) -> EngineJob:
        return await _finished(engine, await engine.submit(an_order("refuse:unsupported")))

    with Serving(create_simulator(SimulatorConfig(), tmp_path, read_lines)) as simulator:
        job = _run(simulator.url, use)
    assert job.error_message.startswith(
        "The simulator cannot read this type of file. The simulator"
    )
    assert "LlamaParse" not in f"{job.error_message} {job.next_step}"


def test_the_webhook_announces_the_job(tmp_path: Path) -> None:
    """The event carries the job that the submit returned, signed with the order's secret."""
    box, secret = Mailbox(), SigningSecret("order", "whsec_test")
    simulator = create_simulator(SimulatorConfig(events=("parse.success",)), tmp_path, read_lines)
    with Serving(box.app) as receiver, Serving(simulator) as served:
        order = an_order(webhook=WebhookTarget(receiver.url, secret.value))
        job = _run(served.url, lambda engine: engine.submit(order))
        headers, body = box.wait_for(1)[0]
    assert verify(headers, body, [secret]) is secret
    assert job.vendor_job_id.encode() in body


class _LosesAnswers(httpx.AsyncHTTPTransport):
    """Delivers every submit and then loses its answer."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.method != "POST":
            return response
        await response.aread()
        await response.aclose()
        message = "connection reset"
        raise httpx.ReadError(message)


def test_a_lost_answer_is_found_again(tmp_path: Path) -> None:
    """The job whose answer was lost is adopted by the attempt's id: one document, one bill."""
    began = utc_now() - timedelta(seconds=1)
    order = an_order(attempt_id="att-lost")

    async def use(engine: ParseEngine) -> EngineJob:
        with pytest.raises(UpstreamError) as caught:
            await engine.submit(order)
        assert caught.value.outcome_unknown
        assert await engine.find("att-other", began) is None
        found = await engine.find(order.attempt_id, began)
        assert found is not None
        return await _finished(engine, found)

    with Serving(create_simulator(SimulatorConfig(), tmp_path, read_lines)) as simulator:
        job = _run(simulator.url, use, transport=_LosesAnswers())
        ledger = _ledger(simulator.url)
    assert job.status is EngineStatus.COMPLETED
    assert [entry["id"] for entry in ledger["jobs"]] == [job.vendor_job_id]


def test_find_pages_through_many_jobs(tmp_path: Path) -> None:
    """The first of more jobs than fit on one page of the listing is found."""
    began = utc_now() - timedelta(seconds=1)

    async def use(engine: ParseEngine) -> EngineJob | None:
        for number in range(105):
            await engine.submit(an_order(f"{number}", attempt_id=f"att-{number}"))
        return await engine.find("att-0", began)

    config = SimulatorConfig(pending_s=3600)
    with Serving(create_simulator(config, tmp_path, read_lines)) as simulator:
        found = _run(simulator.url, use)
    assert found is not None
    assert found.attempt_id == "att-0"


def test_a_broken_document_fails_with_a_sentence(tmp_path: Path) -> None:
    """The operator reads what is wrong with the file and what to do, and pays nothing."""

    async def use(engine: ParseEngine) -> EngineJob:
        return await _finished(engine, await engine.submit(an_order("refuse:broken")))

    with Serving(create_simulator(SimulatorConfig(), tmp_path, read_lines)) as simulator:
        job = _run(simulator.url, use)
    assert (job.status, job.error_code) == (EngineStatus.FAILED, "PDF_IS_BROKEN")
    assert "save it anew" in job.next_step


def test_a_cancelled_job_stays_cancelled(tmp_path: Path) -> None:
    """Cancel is confirmed by the answer and holds; a second one says the same."""

    async def use(engine: ParseEngine) -> list[EngineStatus]:
        job = await engine.submit(an_order())
        answers = [await engine.cancel(job.vendor_job_id), await engine.cancel(job.vendor_job_id)]
        return [answer.status for answer in (*answers, await engine.status(job.vendor_job_id))]

    config = SimulatorConfig(pending_s=3600)
    with Serving(create_simulator(config, tmp_path, read_lines)) as simulator:
        assert _run(simulator.url, use) == [EngineStatus.CANCELLED] * 3


def test_an_upload_of_many_chunks_arrives_whole(tmp_path: Path) -> None:
    """What was streamed is, byte for byte, what was received, binary and large."""
    data = os.urandom(5 * 1024 * 1024 + 17)
    order = ParseOrder("att-1", "naïve 文.pdf", "application/pdf", Memory(data, 10_007), Tier.FAST)
    config = SimulatorConfig(pending_s=3600)
    with Serving(create_simulator(config, tmp_path, read_lines)) as simulator:
        _run(simulator.url, lambda engine: engine.submit(order))
        entry = _ledger(simulator.url)["jobs"][0]
    assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert entry["name"] == order.name


def test_the_probe_needs_the_right_key(tmp_path: Path) -> None:
    """A probe answers with its latency, and a wrong key is not taken for a slow service."""
    config = SimulatorConfig(api_key="llx-other")
    keyed = create_simulator(config, tmp_path, read_lines)
    with Serving(keyed) as simulator, pytest.raises(UpstreamError) as caught:
        _run(simulator.url, lambda engine: engine.probe())
    assert caught.value.kind is UpstreamKind.UNAUTHORIZED
    with Serving(create_simulator(SimulatorConfig(), tmp_path, read_lines)) as simulator:
        assert 0 < _run(simulator.url, lambda engine: engine.probe()) < 5


def test_nobody_listening_is_explained() -> None:
    """A service that cannot be reached is asked again, then reported as such."""
    with pytest.raises(UpstreamError, match="cannot be reached") as caught:
        _run("http://127.0.0.1:1", lambda engine: engine.submit(an_order()))
    assert (caught.value.kind, caught.value.outcome_unknown) == (UpstreamKind.CONNECTION, False)
