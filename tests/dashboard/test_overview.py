"""Overview: what happened, and what waits for a person."""

from collections.abc import Callable
from datetime import timedelta

import dashboard.runtime
from core.console import Console
from core.domain.jobs import JobStatus
from core.domain.routing import Mode
from core.store import jobs, visits
from tests.dashboard.reading import Open, words
from tests.factories import ALICE, finished, submitted


def test_whoever_comes_back_reads_what_happened_meanwhile(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Overview says what finished, failed and was spent since the person was last here."""
    console = make_console(worker=True)
    actor = dashboard.runtime.actor()
    with console.store.write() as tx:
        visits.record(tx, str(actor), console.clock() - timedelta(hours=2))
    finished(console, submitted(console, {"a.txt": b"one", "b.txt": b"two"}).id)
    app = open_screen(console, "screens/overview.py")
    assert "Since you left 2 h ago: **2 finished**, 0 failed" in words(app)


def test_simulated_jobs_among_real_ones_are_marked(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """What waits for a person says MOCK of simulated documents, also while the mode is REAL."""
    console = make_console(api_key="llx-key", mode="real")
    (job_id,) = submitted(console, {"a.txt": b"one"}).job_ids
    with console.store.write() as tx:
        for after in (JobStatus.PARSING, JobStatus.FAILED_PARSE):
            jobs.change_job(tx, job_id, after, ALICE, "t", console.clock(), reason="Torn.")
    app = open_screen(console, "screens/overview.py")
    assert console.jobs.view(job_id).job.mode is Mode.MOCK
    assert any("MOCK" in m.value for m in app.markdown)
