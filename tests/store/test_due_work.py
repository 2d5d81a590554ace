"""What is due is found without reading all that was done before, also where nobody gathered statistics."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from core.store import (
    Store,
    Transaction,
    availability,
    deliveries,
    expectations,
    health,
    jobs,
    ledger,
    queue,
)
from core.store.jobs import JobFilter

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Look = Callable[[Transaction], object]


def _apply(tx: Transaction) -> object:
    facts = {"job_id": "j", "attempt_id": "a", "outcome": "asked", "at": NOW}
    return deliveries.apply(tx, "pjb-1", "mock", **facts)  # type: ignore[arg-type]


LOOKS: dict[str, tuple[Look, set[str]]] = {
    "events that wait": (deliveries.applicable, {"ix_delivery_waiting"}),
    "an event that waits for its job": (
        lambda tx: deliveries.is_waiting(tx, "pjb-1"),
        {"ix_delivery_vendor_job"},
    ),
    "events of a job": (_apply, {"ix_delivery_vendor_job"}),
    "submits without an event": (
        lambda tx: expectations.unheard(tx, NOW),
        {"ix_attempt_submitted_at", "ix_delivery_vendor_job"},
    ),
    "how long an event takes": (
        lambda tx: expectations.usual_wait(tx, "mock", "fast"),
        {"ix_attempt_submitted_at", "ix_delivery_attempt_id"},
    ),
    "bills that are open": (ledger.unsettled, {"sqlite_autoindex_attempt_1"}),
    "results with stand-ins": (
        lambda tx: jobs.oldest(tx, JobFilter(is_provisional=True)),
        {"ix_job_stand_ins"},
    ),
    "documents that wait for room": (
        lambda tx: queue.waiting(tx, "real"),
        {"ix_job_status_created"},
    ),
    "documents that wait for LlamaParse": (
        lambda tx: (queue.for_vendor(tx, 2), queue.count_for_vendor(tx)),
        {"ix_job_status_created"},
    ),
    "what calls came to lately": (
        lambda tx: health.outcomes(tx, "llamaparse", NOW, newest=500),
        {"ix_outcome_engine_at"},
    ),
    "calls that failed": (
        lambda tx: availability.failures(tx, "llamaparse", NOW, NOW, limit=8),
        {"ix_outcome_engine_at"},
    ),
    "the newest probe": (
        lambda tx: health.several(tx, ["llamaparse", "local"], NOW),
        {"ix_outcome_engine_at"},
    ),
}


@pytest.mark.parametrize("which", LOOKS)
def test_what_is_due_is_found_by_its_index(tmp_path: Path, which: str) -> None:
    """A round of the care costs what there is to do, not what was ever done."""
    look, indexes = LOOKS[which]
    store = Store.open(f"sqlite:///{tmp_path / 'test.sqlite'}")
    asked: list[tuple[str, Any]] = []

    def remember(*call: Any) -> None:
        asked.append((call[2], call[3]))

    event.listen(Engine, "before_cursor_execute", remember)
    try:
        with store.read() as tx:
            look(tx)
    finally:
        event.remove(Engine, "before_cursor_execute", remember)
    with store.read() as tx:
        plan = [
            str(line[-1])
            for statement, parameters in asked
            if statement.startswith("SELECT")
            for line in tx.connection().exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
        ]
    store.close()
    taken = {index for index in indexes for line in plan if index in line}
    read_whole = [
        line
        for line in plan
        if line.startswith(("SCAN attempt", "SCAN delivery", "SCAN job", "SCAN outcome"))
        and not any(index in line for index in indexes)
    ]
    assert (taken, read_whole) == (indexes, [])
