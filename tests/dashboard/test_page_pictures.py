"""The Job screen shows the page that LlamaParse saw where this machine cannot draw it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from streamlit.testing.v1 import AppTest

import dashboard.runtime
from core.console import Console
from core.domain.jobs import Job
from core.pipeline.results import dump
from core.store import jobs
from tests.factories import finished, submitted

_APP = str(Path(dashboard.runtime.__file__).with_name("app.py"))


def _opened(console: Console, job: Job) -> AppTest:
    dashboard.runtime.get_console.clear()
    dashboard.runtime.install(console)
    app = AppTest.from_file(_APP, default_timeout=30).run()
    app.query_params["job"] = job.id
    app.switch_page("screens/job.py").run()
    assert not app.exception, app.exception
    return app


def test_the_picture_stands_beside_the_markdown(make_console: Callable[..., Console]) -> None:
    """A web page has its picture, said to be the simulator's; a damaged one is a sentence, not a traceback."""
    console = make_console(worker=True)
    files = {"terms.html": b"<html><h1>Terms</h1></html>"}
    job = finished(console, submitted(console, files).id).jobs[0]
    app = _opened(console, job)
    assert len(app.get("image")) == 1
    assert "Page picture made by the simulator" in [caption.value for caption in app.caption]

    result = console.jobs.result(job)
    damaged = console.blobs.put(b"\xff\xd8\xff and then nothing that is a picture")
    page = replace(result.pages[0], picture_blob=damaged)
    with console.store.write() as tx:
        blob = console.blobs.put_pieces(dump(replace(result, pages=(page,))))
        jobs.update_job(tx, job.id, result_blob=blob)
    captions = [caption.value for caption in _opened(console, job).caption]
    assert "The page cannot be shown: its picture is damaged." in captions
