"""Events in any order, repeated, under old and new names, in both forms: the job goes one way, to the same end."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.console import Console
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.routing import Mode
from core.serving import Served
from core.store import deliveries
from core.webhooks.signatures import sign
from tests.pipeline.vendor import Vendor, World

SECRET = "whsec_of_the_vendor"
NAMES = (
    "parse.pending",
    "parse.running",
    "parse.success",
    "parse.done",
    "parse.partial_success",
    "flat.processing",
    "flat.parsed",
    "flat.failed",
    "parse.error",
)
ATTEMPT = [status.value for status in AttemptStatus]
JOB = ("parse_queued", "parsing", "parsed", "handing_off", "complete")


@st.composite
def _stories(draw: st.DrawFn) -> list[tuple[str, bool]]:
    """Names with whether the event is encoded twice: each at most three times, in any order.

    The service finishes the job at the empty name, whatever it has told before.
    """
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
    repeated = names + draw(st.lists(st.sampled_from(names), max_size=3))
    shuffled = draw(st.permutations([*repeated, ""]))
    return [(name, draw(st.booleans())) for name in shuffled]


def test_events_in_any_order_never_turn_a_job_back_and_end_as_in_order(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """Whatever comes when and how often, the job ends complete, each event once on its timeline."""
    vendor, numbers = Vendor(), count(1)

    with Served(vendor.app) as service:
        console = make_console(
            api_key="llx-key",
            base_url=service.url,
            webhook_secrets=SECRET,
            daily_limit_usd=1000,
            database_url=database_url,
        )

        @given(story=_stories())
        @settings(
            max_examples=8,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            database=None,
        )
        def check(story: list[tuple[str, bool]]) -> None:
            asyncio.run(_one(console, vendor, service.url, next(numbers), story))

        check()


async def _one(
    console: Console, vendor: Vendor, url: str, number: int, story: list[tuple[str, bool]]
) -> None:
    world = World(console, vendor, url, mode=Mode.REAL, key=f"press-{number}")
    try:
        await world.look()
        seen = [_where(world)]
        for name, is_twice in story:
            if name:
                await _deliver(console, vendor.jobs[-1]["id"], name, number, is_twice=is_twice)
            else:
                vendor.jobs[-1].update(status="COMPLETED", usage={"credits": 10})
            # each event wakes the workflow, which asks the service
            await world.look()
            seen.append(_where(world))
        await world.to_the_end()
    finally:
        await world.engine.close()
    assert seen == sorted(seen)
    assert world.job.status is JobStatus.COMPLETE
    assert [attempt.status for attempt in world.attempts] == [AttemptStatus.DONE]
    _each_event_once(console, world, {name for name, _ in story if name})


def _where(world: World) -> tuple[int, int]:
    """How far the job and its attempt are."""
    return JOB.index(world.job.status.value), ATTEMPT.index(world.attempts[0].status.value)


async def _deliver(
    console: Console, vendor_job_id: str, name: str, number: int, *, is_twice: bool
) -> None:
    form, _, what = name.partition(".")
    event: dict[str, Any] = {"event_id": f"{number}:{name}", "event_type": name}
    event["data"] = {"job_id": vendor_job_id}
    if form == "flat":
        event = {"status": what, "parse_job_id": vendor_job_id, "job_id": "theirs"}
    text = json.dumps(event)
    # a repeat of the flat form is the same bytes, whichever way it came first
    body = (json.dumps(text) if is_twice and form != "flat" else text).encode()
    receipt = await console.receiver.receive({"LC-Signature": sign(SECRET, body)}, body)
    assert receipt.status_code == 200


def _each_event_once(console: Console, world: World, names: set[str]) -> None:
    vendor_job_id = world.attempts[0].vendor_job_id or ""
    with console.store.read() as tx:
        recorded = deliveries.of_job(tx, [vendor_job_id])
    accepted = [one for one in recorded if one.verdict == deliveries.ACCEPTED]
    assert sorted(one.event_type for one in accepted) == sorted(names)
