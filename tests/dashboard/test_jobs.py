"""Jobs: the list, its filters, and the way back to them."""

from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl, urlsplit

from core.console import Console
from core.domain.jobs import JobStatus
from core.store import jobs
from tests.dashboard.reading import Open, no_traceback, words
from tests.factories import ALICE, submitted


def test_failures_stand_above_the_list_one_line_per_cause(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Two documents that failed for one reason are one line; it narrows the list to them."""
    console = make_console()
    ids = submitted(console, {f"{n}.txt": b"%d" % n for n in range(3)}).job_ids
    with console.store.write() as tx:
        for job_id in ids[:2]:
            for after in (JobStatus.PARSING, JobStatus.FAILED_PARSE):
                jobs.change_job(
                    tx, job_id, after, ALICE, "t", console.clock(), reason="The page is torn."
                )
    app = open_screen(console, "screens/jobs.py")
    assert "The page is torn" in words(app)
    app.button(key="cause-0-show").click().run()
    no_traceback(app)
    assert "2 jobs · filters" in words(app)


def test_the_way_back_from_a_job_keeps_the_filters(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Who opened a job from a filtered list comes back to the same list."""
    console = make_console()
    submitted(console, {"a.txt": b"words"})
    listed = open_screen(console, "screens/jobs.py", text="a", time="last hour")
    address = listed.dataframe[0].value["open"][0]
    query = parse_qs(urlsplit(address).query)
    assert dict(parse_qsl(query["back"][0])) == {"text": "a", "time": "last hour"}
    opened = open_screen(console, "screens/job.py", job=query["job"][0], back=query["back"][0])
    no_traceback(opened)
    back = opened.get("page_link")[0].proto
    assert dict(parse_qsl(back.query_string)) == {"text": "a", "time": "last hour"}
