"""``parsedeck parse``: the console's own pipeline without a browser."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console as Terminal
from rich.progress import Progress

from core.clock import new_id
from core.console import Console, local_actor
from core.domain.budgets import Unit
from core.domain.jobs import Job, JobStatus
from core.domain.money import Tier, usd_to_micros
from core.domain.routing import DEFAULT_MAX_PAGES, Mode
from core.errors import ConsoleError, NotAllowed
from core.services.jobs import SubmissionView, file_stem
from core.services.limits import amount_of, limit_words
from core.services.quotes import Quote, Upload, limit_shares, share_sentence

__all__ = ["Wishes", "parse_files"]

_POLL_S = 0.2
_HELD = 3


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the documents are to be parsed, on whose account, and for at most how much.

    Of a document whose length nobody knows, such as a link, ``max_pages`` at most are parsed.
    """

    tier: Tier
    mode: Mode | None = None
    team: str = ""
    max_usd: str = ""
    max_pages: int = DEFAULT_MAX_PAGES
    quote_only: bool = False
    wait: bool = False


def parse_files(
    console: Console, files: Sequence[str], wishes: Wishes, out: Path, *, as_json: bool
) -> int:
    """Parse and write; the exit code. Uses a live worker when there is one, else works itself.

    A file that begins with ``https://`` or ``http://`` is a link.
    """
    chosen = wishes.mode or console.modes.current()
    uploads, unreadable = _uploads(console, files, wishes.max_pages)
    quote = console.submissions.quote(
        uploads, wishes.tier, chosen, parse_again=True, team=wishes.team
    )
    report = [*unreadable, *_refusals(quote)]
    if wishes.quote_only:
        _print_quote(quote, report, as_json=as_json)
        return 0 if all(line["ok"] for line in report) else 1
    _refuse_above(wishes.max_usd, quote)
    view: SubmissionView | None = None
    if quote.parsable:
        if not console.has_worker():
            console.run_worker()
        submission = console.submissions.submit(quote, local_actor(), new_id("cli"))
        view = _wait(console, submission.id, quiet=as_json, for_held=wishes.wait)
        report += _written(console, view, out)
    _print(report, as_json=as_json)
    held = [job for job in view.jobs if job.status is JobStatus.HELD] if view is not None else []
    if held:
        ids = " ".join(job.id for job in held)
        print(f"held: {ids}", file=sys.stderr)  # noqa: T201 - for scripts
        return _HELD
    return 0 if all(line["ok"] for line in report) else 1


def _refuse_above(max_usd: str, quote: Quote) -> None:
    if not max_usd:
        return
    most = amount_of(Unit.USD, max_usd)
    if usd_to_micros(quote.usd) > most:
        raise NotAllowed(
            f"This would cost ${quote.usd:.4f}, more than ${max_usd.removeprefix('$')}.",
            "Nothing was parsed: choose a cheaper --tier, or raise --max-usd.",
        )


def _print_quote(quote: Quote, report: Sequence[dict[str, object]], *, as_json: bool) -> None:
    lines: list[dict[str, object]] = [
        {
            "document": line.upload.name,
            "pages": line.upload.document.page_count,
            "max_pages": line.upload.max_pages,
            "credits": line.credits,
            "usd": str(line.usd),
            "note": line.note,
            "by_tier": {tier.value: str(usd) for tier, usd in line.by_tier.items()},
        }
        for line in quote.parsable
    ]
    shares = [
        {
            "limit": limit_words(*use.limit.key),
            "share_of_what_is_left": None if share is None else round(share, 4),
        }
        for use, _asked, share in limit_shares(quote)
    ]
    if as_json:
        facts = {
            "mode": quote.mode.value,
            "simulated": quote.mode is Mode.MOCK,
            "tier": quote.tier.value,
            "credits": quote.credits,
            "usd": str(quote.usd),
            "lines": lines,
            "refused": list(report),
            "limits": shares,
        }
        print(json.dumps(facts, indent=2))  # noqa: T201 - the command's answer
        return
    simulated = " (simulated)" if quote.mode is Mode.MOCK else ""
    for line in lines:
        pages = line["pages"] or f"at most {line['max_pages']:,}"
        words = f"{line['document']}{simulated}: {pages} pages"
        print(f"${line['usd']:<10} {words}")  # noqa: T201 - as above
    _print(report, as_json=False)
    print(f"${quote.usd} in all, {quote.credits} credits. {share_sentence(quote)}")  # noqa: T201 - as above


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
                uploads.append(console.submissions.preflight(path.name, file, max_pages))
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


def _wait(console: Console, submission_id: str, *, quiet: bool, for_held: bool) -> SubmissionView:
    with Progress(console=Terminal(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("Parsing", total=None)
        while True:
            view = console.jobs.submission(submission_id)
            at_rest = [
                job
                for job in view.jobs
                if job.status.is_settled or (job.status is JobStatus.HELD and not for_held)
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
    what = (
        f"{job.page_count} page{'' if job.page_count == 1 else 's'}"
        if is_whole
        else "some pages failed"
    )
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
