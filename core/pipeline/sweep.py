"""Proving that the ledger fits the work: what a crash or an older version left behind is put right, aloud."""

from collections.abc import Sequence
from datetime import datetime

from core.domain.jobs import Actor
from core.pipeline.admission import reservation_of
from core.pipeline.terms import Rules, Terms
from core.store import Store, alerts, balances, jobs, ledger, orphans, prices, queue
from core.telemetry import log

__all__ = ["sweep_orphans", "sweep_sums"]


def sweep_orphans(store: Store, rules: Rules, actor: Actor, now: datetime) -> tuple[str, ...]:
    """Give back what nothing will settle, and reserve for what spends without; what was found, in words."""
    with store.read() as tx:
        found = (*orphans.forgotten(tx), *orphans.unreserved(tx))
    if not found:
        return ()
    said: list[str] = []
    with store.write() as tx:
        queue.lock_attempts(tx, [orphan.job_id for orphan in found])
        ledger.lock_all(tx)
        # looked at again now that nobody else can move them
        for orphan in orphans.forgotten(tx):
            outcome = (
                orphan.status if orphan.status in {"done", "failed", "cancelled"} else "cancelled"
            )
            what = ledger.Bill(
                0, outcome, was_sent=orphan.was_sent, cause="swept: nothing will settle it"
            )
            if ledger.bill(tx, orphan.attempt_id, what, prices.book(tx), now) is not None:
                said.append(
                    f"The reservation of attempt {orphan.attempt_id} was left behind and is given back."
                )
                if orphan.status:
                    jobs.note(
                        tx,
                        orphan.job_id,
                        "money",
                        "swept",
                        actor,
                        said[-1],
                        now,
                        attempt_id=orphan.attempt_id,
                    )
        terms = Terms(tx, rules, now)
        for orphan in orphans.unreserved(tx):
            attempt = jobs.attempt(tx, orphan.attempt_id)
            job = jobs.job(tx, orphan.job_id)
            wanted = reservation_of(terms, job, attempt, actor)
            # under no limit: what is being spent must be seen by whoever comes next
            ledger.reserve(tx, wanted, (), now, rules.timezone)
            said.append(f"Attempt {orphan.attempt_id} had no reservation; it is reserved for now.")
            jobs.note(
                tx,
                orphan.job_id,
                "money",
                "swept",
                actor,
                said[-1],
                now,
                attempt_id=orphan.attempt_id,
            )
    _say(store, said, now)
    return tuple(said)


def sweep_sums(store: Store, now: datetime) -> tuple[str, ...]:
    """Compare balances and roll-ups with the ledger, and sum it anew where they differ; what was wrong."""
    with store.read() as tx:
        if not balances.differences(tx):
            return ()
    with store.write() as tx:
        ledger.lock_all(tx)
        # while nobody posts: what differed a moment ago may only have been on its way
        said = tuple(str(difference) for difference in balances.differences(tx))
        if said:
            balances.rebuild(tx)
    _say(store, [f"Summed anew from the ledger: {words}" for words in said], now)
    return said


def _say(store: Store, said: Sequence[str], now: datetime) -> None:
    for words in said:
        log("sweep").warning("the ledger was put right", what=words)
        with store.write() as tx:
            key = f"sweep:{now.isoformat()}:{words}"
            alerts.record(
                tx, alerts.Alert(key, "real", "sweep", words, "Nothing is to be done.", now)
            )
