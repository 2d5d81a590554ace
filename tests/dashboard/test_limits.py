"""Limits: what waits for a lead."""

from collections.abc import Callable

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from tests.dashboard.reading import Open, no_traceback
from tests.factories import ALICE, submitted


def test_a_lead_answers_in_place_what_was_asked(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Overview counts who waits for a lead; Limits names who asked and why, and takes the answer."""
    console = make_console()
    daily = ("all", Window.DAY, Unit.USD)
    console.limits.change("mock", daily, "0.01", ALICE, "for the test")
    job_id = submitted(console, {"large.txt": b"one"}).job_ids[0]
    console.holds.ask(job_id, "the board meets", ALICE)
    assert len(console.holds.asked()) == 1
    app = open_screen(console, "screens/limits.py")
    assert any("the board meets" in words.value for words in app.markdown)
    app.button(key=f"asked-approve-{job_id}").click().run()
    assert any("needs a reason" in error.value for error in app.error)
    app.text_input(key=f"asked-reason-{job_id}").input("so be it").run()
    app.button(key=f"asked-approve-{job_id}").click().run()
    no_traceback(app)
    assert console.jobs.view(job_id).job.status is JobStatus.PARSE_QUEUED
    assert any("Nobody waits" in caption.value for caption in app.caption)
