"""Submission: one press of Parse, its title and its actions."""

from collections.abc import Callable

from core.console import Console
from core.domain.jobs import JobStatus
from core.store import jobs
from dashboard.wording import plain
from tests.dashboard.reading import Open, words
from tests.factories import ALICE, finished, submitted, wait_until


def test_a_submission_is_titled_by_its_documents_and_leads_back(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """The screen of one press of Parse names what was sent, as text, and has a way back to the jobs."""
    console = make_console()
    one = submitted(console, {"a_b.txt": b"one", "b.txt": b"two", "c.txt": b"three"})
    app = open_screen(console, "screens/submission.py", submission=one.id)
    assert [t.value for t in app.title] == [plain("a_b.txt and 2 more")]
    assert any("All jobs" in link.proto.label for link in app.get("page_link"))


def test_a_submission_says_who_when_and_what_it_cost(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """One press of Parse has its quote, its bill so far, who pressed, and when."""
    console = make_console(worker=True)
    one = submitted(console, {"a.txt": b"one", "b.txt": b"two"})
    finished(console, one.id)
    wait_until(lambda: all(j.billed_credits for j in console.jobs.submission(one.id).jobs))
    app = open_screen(console, "screens/submission.py", submission=one.id)
    assert f"Quoted $0.03 simulated, billed 20 credits · by {ALICE} · just now" in words(app)


def test_what_a_person_called_off_did_not_fail(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Cancelled documents are counted and tried again as what they are, beside those that failed."""
    console = make_console()
    view = submitted(console, {"a.txt": b"words", "b.txt": b"other", "c.txt": b"third"})
    with console.store.write() as tx:
        for after in (JobStatus.PARSING, JobStatus.FAILED_PARSE):
            jobs.change_job(tx, view.job_ids[0], after, ALICE, "test", console.clock())
        for job_id in view.job_ids[1:]:
            jobs.change_job(tx, job_id, JobStatus.CANCELLED, ALICE, "test", console.clock())
    app = open_screen(console, "screens/submission.py", submission=view.id)
    assert app.get("progress")[0].proto.text == "3 of 3 finished, 1 failed, 2 cancelled"
    label = app.button(key="retry-failed").label.replace("\\", "")
    assert label == "Retry 3 failed or cancelled for about $0.04 simulated"


def test_trying_failed_documents_again_names_its_price(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A retry costs a new submit, so its button says about how much, and that MOCK's is simulated."""
    console = make_console()
    view = submitted(console, {"a.txt": b"words", "b.txt": b"other"})
    with console.store.write() as tx:
        for job_id in view.job_ids:
            for after in (JobStatus.PARSING, JobStatus.FAILED_PARSE):
                jobs.change_job(tx, job_id, after, ALICE, "test", console.clock())
    app = open_screen(console, "screens/submission.py", submission=view.id)
    assert app.button(key="retry-failed").label.replace("\\", "") == (
        "Retry 2 failed for about $0.03 simulated"
    )
