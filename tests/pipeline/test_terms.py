"""What a submission is judged by: read once for all its documents, and as it stands when it is their turn."""

import io
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus, Submission
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.quotes import Quote
from core.store import ledger, limits
from core.store.limits import LimitChange
from tests.factories import ALICE, wait_until
from tests.store.work import statements_of

_TERMS = ("limit_change", "price", "setting", "team")


def _quoted(console: Console, names: Sequence[str]) -> Quote:
    uploads = [console.submissions.preflight(n, io.BytesIO(n.encode())) for n in names]
    return console.submissions.quote(uploads, Tier.AGENTIC, Mode.REAL, parse_again=True, team="law")


def _asked(console: Console, count: int) -> tuple[Counter[str], int]:
    """How often each of the terms was read while so many documents were handed over; all statements."""
    quote = _quoted(console, [f"{n} of {count}.txt" for n in range(count)])
    sent = statements_of(
        console.store, lambda: console.submissions.submit(quote, ALICE, f"press-{count}")
    )
    return Counter(t for s in sent for t in _TERMS if f"FROM {t}" in " ".join(s.split())), len(sent)


def test_more_documents_do_not_ask_more_often_what_is_in_force(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """Prices, settings, limits and teams cost as many queries for nine documents as for one."""
    console = make_console(api_key="llx-key", database_url=database_url)
    console.limits.add_team("law", ALICE)
    one, all_of_one = _asked(console, 1)
    nine, all_of_nine = _asked(console, 9)
    assert set(one) == set(_TERMS), "each of them is asked for"
    assert nine == one
    assert all_of_nine - all_of_one <= 8 * 30, "queries that each further document costs"


def test_a_limit_that_is_lowered_while_a_submission_waits_for_its_turn_counts(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """Nobody else posts from the moment the limits are read: what came before that moment holds."""
    console = make_console(api_key="llx-key", database_url=database_url)
    console.limits.add_team("law", ALICE)
    quote = _quoted(console, ["a.txt", "b.txt"])
    made: list[Submission] = []
    press = threading.Thread(
        target=lambda: made.append(console.submissions.submit(quote, ALICE, "press"))
    )
    with console.store.write() as tx:
        ledger.lock(tx, "real")
        press.start()
        if not console.store.is_sqlite:  # there whoever writes waits before its first statement
            wait_until(lambda: _waits_for_the_book(console))
        lowered = LimitChange(
            "real",
            "all",
            Window.HOUR,
            Unit.SUBMITS,
            before=None,
            after=0,
            actor="bob",
            reason="enough",
            at=console.clock(),
        )
        limits.record(tx, lowered, 0)
    press.join()
    view = console.jobs.submission(made[0].id)
    assert [job.status for job in view.jobs] == [JobStatus.HELD] * 2


def _waits_for_the_book(console: Console) -> bool:
    query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with console.store.read() as tx:
        return bool(tx.connection().exec_driver_sql(query).scalar_one())
