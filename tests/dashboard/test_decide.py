"""The dialog about a document that a limit holds."""

from collections.abc import Callable
from datetime import timedelta

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from core.domain.routing import Mode
from core.pipeline.admission import release_held
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
    app.session_state["decide"] = last
    app.button(key="decide-approve").click().run()
    no_traceback(app)
    assert "An approval needs a reason" in words(app)
    assert console.jobs.view(last).job.status is JobStatus.HELD


def test_a_lead_raises_the_limit_in_place_for_some_hours(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Just enough for this document, with a reason and an end, on record; without a reason nothing changes."""
    console = make_console()
    daily = ("all", Window.DAY, Unit.USD)
    console.limits.change("mock", daily, "0.02", ALICE, "for the test")
    files = {f"{n}.txt": b"%d" % n for n in range(2)}
    _first, last = submitted(console, files).job_ids
    app = open_screen(console, "screens/overview.py")

    def press(key: str) -> None:
        # a dialog is a part of its own, which this harness keeps open only when it is asked for again
        app.session_state["decide"] = last
        app.button(key=key).click().run()
        no_traceback(app)

    app.button(key=f"needs-decide-{last}").click().run()
    press("decide-raise")
    assert "needs a reason" in words(app)
    app.text_input(key="decide-reason").input("the board meets")
    press("decide-raise")
    raised = console.limits.history(Mode.MOCK)[0]
    assert (raised.before, raised.after, raised.reason) == (20_000, 25_000, "the board meets")
    assert raised.expires_at is not None
    assert raised.expires_at - console.clock() <= timedelta(hours=4)
    release_held(console.store, console.rules(), ALICE, console.clock())
    assert console.jobs.view(last).job.status is JobStatus.PARSE_QUEUED
