"""Stopping in the middle of the work: nobody waits in vain, and all of it goes on later."""

import gc
import threading
import warnings
from collections.abc import Callable

from core.console import Console
from tests.factories import submitted, wait_until

Maker = Callable[..., Console]


def test_a_stop_while_documents_are_taken_up_is_orderly(make_console: Maker) -> None:
    """What the queue was just handing out when the process stopped was begun or left, and is done by the next."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    ids = [f"look-{n}" for n in range(80)]
    for workflow_id in ids:
        # of a run that is not the job's: it looks at the job, and there is nothing to do
        console.queue.enqueue(workflow_id, job_id, 99)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        console.run_worker()
        wait_until(lambda: not all(console.queue.alive(ids).values()), within_s=90)
        console.close()
        gc.collect()
    assert [str(one.message) for one in said if "never awaited" in str(one.message)] == []
    assert [t.name for t in threading.enumerate() if t.name.startswith("queue-worker")] == []
    next_ = make_console(worker=True)
    wait_until(lambda: not any(next_.queue.alive(ids).values()), within_s=90)
