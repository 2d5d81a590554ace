"""The rule that has stand-ins parsed again finds every one of them, at any number."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import insert

from core.console import Console
from core.domain.documents import EngineName, ParsedDocument, ParsedPage
from core.domain.jobs import AttemptStatus, Job, JobStatus
from core.domain.money import Tier
from core.domain.route_policy import RoutePolicy
from core.domain.routing import Mode
from core.pipeline.again import Again
from core.pipeline.driver import SYSTEM
from core.pipeline.results import dump
from core.store import jobs, ledger
from core.store.tables import AttemptRow, JobRow
from tests.factories import ALICE

Maker = Callable[..., Console]


def _with_a_stand_in(console: Console) -> Job:
    """A document of which the local engine made the only page, as LlamaParse could not parse it."""
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.HYBRID)
    job_id = console.submissions.submit(quote, ALICE, "press").job_ids[0]
    page = ParsedPage(1, "made here", "made here", EngineName.LOCAL, is_provisional=True)
    now = console.clock()
    with console.store.write() as tx:
        first = jobs.attempts(tx, job_id)[0]
        jobs.change_attempt(
            tx, first.id, AttemptStatus.FAILED, SYSTEM, "t", now, error_kind="vendor_failure"
        )
        ledger.release(tx, first.id, now, "t", "failed")
        local = replace(
            first,
            id=f"{job_id}-local",
            number=2,
            engine=EngineName.LOCAL,
            status=AttemptStatus.DONE,
            is_provisional=True,
        )
        jobs.add_attempt(tx, local, SYSTEM, "t")
        jobs.change_job(tx, job_id, JobStatus.PARSING, SYSTEM, "t", now)
        blob = console.blobs.put_pieces(dump(ParsedDocument((page,))))
        facts = {"result_blob": blob, "is_provisional": True}
        jobs.change_job(tx, job_id, JobStatus.PARSED, SYSTEM, "t", now, **facts)
        return jobs.change_job(tx, job_id, JobStatus.COMPLETE, SYSTEM, "t", now)


def _copy(console: Console, job: Job, count: int, began: datetime) -> list[str]:
    """So many more of them, a second apart, oldest first; their ids."""
    ids = [f"job-{n:05}" for n in range(count)]
    with console.store.write() as tx:
        row = tx.get_one(JobRow, job.id).model_dump()
        tried = [tx.get_one(AttemptRow, a.id).model_dump() for a in jobs.attempts(tx, job.id)]
        moments = [began + timedelta(seconds=n) for n in range(count)]
        copies = [
            {**row, "id": id_, "created_at": at, "position": n + 1, "workflow_id": id_}
            for n, (id_, at) in enumerate(zip(ids, moments, strict=True))
        ]
        tx.execute(insert(JobRow), copies)
        tx.execute(
            insert(AttemptRow),
            [{**a, "id": f"{id_}.{a['number']}", "job_id": id_} for id_ in ids for a in tried],
        )
    return ids


def test_no_stand_in_is_overlooked(make_console: Maker) -> None:
    """Of many documents the ones that only lacked LlamaParse are parsed again, the oldest too, and no other."""
    console = make_console(api_key="llx-k", base_url="http://127.0.0.1:1")
    console.routes.save(RoutePolicy(parse_again=True), ALICE, "real results, please")
    job = _with_a_stand_in(console)
    ids = _copy(console, job, 1_050, console.clock() - timedelta(days=1))
    lacking = [ids[0], ids[777], ids[-1]]
    with console.store.write() as tx:
        for id_ in lacking:
            jobs.update_attempt(tx, f"{id_}.1", error_kind="unavailable")
    enqueued: list[str] = []
    clock = console.clock
    again = Again(
        console.store,
        console.blobs.get,
        lambda at_most: at_most,
        console.rules,
        lambda _workflow, job_id, _generation: enqueued.append(job_id),
        timedelta(0),
        clock,
    )
    again.care()
    again.care()
    assert enqueued == lacking
    again.care()
    assert enqueued == lacking
