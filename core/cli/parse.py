"""``parsedeck parse``: the console's own pipeline without a browser."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console as Terminal
from rich.progress import Progress

from core.clock import new_id
from core.console import Console, local_actor
from core.domain.jobs import Job, JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.errors import ConsoleError
from core.services.jobs import SubmissionView, file_stem
from core.services.quotes import Quote, Upload

__all__ = ["parse_files"]

_POLL_S = 0.2
_HELD = 3


def parse_files(  # noqa: PLR0913 - the command's options
    console: Console,
    files: Sequence[str],
    mode: Mode | None,
    tier: Tier,
    out: Path,
    *,
    max_pages: int,
    as_json: bool,
) -> int:
    """Parse and write; the exit code. Uses a live worker when there is one, else works itself.

    A file that begins with ``https://`` or ``http://`` is a link, of which ``max_pages`` at most are
    parsed.
    """
    chosen = mode or console.modes.current()
    uploads, unreadable = _uploads(console, files, max_pages)
    quote = console.submissions.quote(uploads, tier, chosen, parse_again=True)
    report = [*unreadable, *_refusals(quote)]
    view: SubmissionView | None = None
    if quote.parsable:
        if not console.has_worker():
            console.run_worker()
        submission = console.submissions.submit(quote, local_actor(), new_id("cli"))
        view = _wait(console, submission.id, quiet=as_json)
        report += _written(console, view, out)
    _print(report, as_json=as_json)
    if view is not None and any(job.status is JobStatus.HELD for job in view.jobs):
        return _HELD
    return 0 if all(line["ok"] for line in report) else 1


def _uploads(
    console: Console, files: Sequence[str], max_pages: int
) -> tuple[list[Upload], list[dict[str, object]]]:
    uploads, unreadable = [], []
    for file_or_link in files:
        if file_or_link.startswith(("https://", "http://")):
            uploads.append(console.submissions.link(file_or_link, max_pages))
            continue
        path = Path(file_or_link)
        try:
            with path.open("rb") as file:
                uploads.append(console.submissions.preflight(path.name, file))
        except OSError as error:
            unreadable.append(
                _line(path.name, ok=False, what=f"It cannot be read ({error.strerror}).")
            )
        except ConsoleError as error:
            unreadable.append(_line(path.name, ok=False, what=str(error)))
    return uploads, unreadable


def _refusals(quote: Quote) -> list[dict[str, object]]:
    return [
        _line(line.upload.name, ok=bool(line.upload.same_as), what=line.note)
        for line in quote.lines
        if not line.will_parse
    ]


def _wait(console: Console, submission_id: str, *, quiet: bool) -> SubmissionView:
    with Progress(console=Terminal(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("Parsing", total=None)
        while True:
            view = console.jobs.submission(submission_id)
            at_rest = [
                job for job in view.jobs if job.status.is_settled or job.status is JobStatus.HELD
            ]
            progress.update(task, total=len(view.jobs), completed=len(at_rest))
            if len(at_rest) == len(view.jobs):
                return view
            time.sleep(_POLL_S)


def _written(console: Console, view: SubmissionView, out: Path) -> list[dict[str, object]]:
    taken: set[str] = set()
    return [_write(console, job, out, taken) for job in view.jobs]


def _write(console: Console, job: Job, out: Path, taken: set[str]) -> dict[str, object]:
    if not job.status.has_result:
        return _line(job.name, ok=False, what=f"{job.reason} {job.next_step}".strip(), job=job)
    stem = file_stem(job, taken, is_marked=False)
    markdown, data = out / f"{stem}.md", out / f"{stem}.json"
    markdown.write_bytes(console.jobs.markdown_of(job))
    data.write_bytes(console.jobs.json_of(job))
    is_whole = job.status is not JobStatus.PARTLY_PARSED
    what = f"{job.page_count} pages" if is_whole else "some pages failed"
    return _line(job.name, ok=is_whole, what=what, job=job, files=[str(markdown), str(data)])


def _line(
    name: str, *, ok: bool, what: str, job: Job | None = None, files: Sequence[str] = ()
) -> dict[str, object]:
    facts: dict[str, object] = {}
    if job:
        facts = {"job": job.id, "status": job.status.value, "mode": job.mode.value}
        facts["provisional"] = job.is_provisional
    return {"document": name, "ok": ok, "what": what, "files": list(files), **facts}


def _print(report: Sequence[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report, indent=2))  # noqa: T201 - the command's answer
        return
    for line in report:
        mark = "ok    " if line["ok"] else "failed"
        simulated = " (simulated)" if line.get("mode") == "mock" else ""
        simulated += " (provisional)" if line.get("provisional") else ""
        files = f" -> {', '.join(map(str, line['files']))}" if line["files"] else ""  # type: ignore[call-overload]
        print(f"{mark} {line['document']}{simulated}: {line['what']}{files}")  # noqa: T201 - as above
