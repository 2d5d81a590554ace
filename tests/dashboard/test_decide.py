"""The dialog about a document that a limit holds."""

from collections.abc import Callable

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from tests.dashboard.reading import Open, no_traceback, words
from tests.factories import ALICE, submitted


def test_the_choice_reads_as_people_say_it(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """What waits takes so much of each limit, its unit said once; a refused answer leaves the document held."""
    console = make_console(hourly_request_limit=1)
    console.limits.change("mock", ("all", Window.DAY, Unit.USD), "1", ALICE, "for the test")
    files = {f"{n}.txt": b"%d" % n for n in range(3)}
    *_ahead, last = submitted(console, files).job_ids
    app = open_screen(console, "screens/overview.py")
    app.button(key=f"needs-decide-{last}").click().run()
    no_traceback(app)
    told = words(app)
    assert "at the latest; 1 waits before it." in told
    assert "take of the next window: $0.01 of $1.00 a day; 1 submit of 1 submit an hour." in told
    app.button(key="decide-approve").click().run()
    no_traceback(app)
    assert console.jobs.view(last).job.status is JobStatus.HELD
