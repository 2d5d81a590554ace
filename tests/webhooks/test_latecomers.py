"""An event and its job that are recorded at one moment, where two transactions can be: neither sees the other."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from core.clock import utc_now
from core.console import Console
from core.store import jobs
from core.telemetry import Metrics
from core.webhooks.receiver import Receiver
from core.webhooks.signatures import SigningSecret, sign
from tests.factories import submitted, wait_until
from tests.pristine import PristineServer
from tests.webhooks.conftest import an_event

SECRET = SigningSecret("mock", "whsec_made_up")


def test_a_job_that_becomes_known_while_its_event_is_recorded_is_woken(
    make_console: Callable[..., Console], postgres: PristineServer
) -> None:
    """Its event was parked for want of a job; that job does not wait for the next poll."""
    postgres.empty()
    console = make_console(database_url=postgres.url)
    (job_id,) = submitted(console, {"a.txt": b"one"}).job_ids
    store, woken = console.store, list[str]()
    with store.read() as tx:
        (attempt,) = jobs.attempts(tx, job_id)
        workflow_id = jobs.job(tx, job_id).workflow_id
    receiver = Receiver(
        store,
        lambda: [("mock", SECRET)],
        woken.append,
        max_bytes=1000,
        clock=utc_now,
        metrics=Metrics(),
    )
    body = json.dumps(an_event(job="pjb-known-late")).encode()
    headers = {"Content-Type": "application/json", "LC-Signature": sign(SECRET, body)}
    with ThreadPoolExecutor(1) as pool:
        with store.write() as tx:
            # reads go on, so the event finds no job; then it waits to be written
            tx.execute(text("LOCK TABLE delivery IN SHARE MODE"))
            answer = pool.submit(receiver.replay, headers, body, "dlv-0", "alice")
            wait_until(lambda: _somebody_waits(console))
            with store.write() as other:
                jobs.update_attempt(other, attempt.id, vendor_job_id="pjb-known-late")
        assert answer.result().status == "parked"
    wait_until(lambda: woken == [workflow_id])
    receiver.close()


def _somebody_waits(console: Console) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with console.store.read() as tx:
        return bool(tx.execute(waiting).scalar_one())
