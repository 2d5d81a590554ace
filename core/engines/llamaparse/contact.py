"""First contact: what the service really says, beside what the fact sheet expects of it.

Free calls only, on a job that is done; the last of them deletes it there. Nothing in the client depends
on these facts holding; they are told so that whoever relies on more than the client does, knows.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.domain.money import Tier
from core.engines.llamaparse.calls import Calls, Params
from core.engines.llamaparse.wire import ATTEMPT_KEY
from core.errors import UpstreamError, UpstreamKind

__all__ = ["LiveFact", "Verdict", "removal_fact", "wire_facts"]

_JOBS = "/api/v2/parse"
_STATUSES = {"PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"}


class Verdict(StrEnum):
    """How a fact of the sheet fared."""

    CONFIRMED = "confirmed"
    DIFFERENT = "different"
    UNKNOWN = "not seen"


@dataclass(frozen=True, slots=True)
class LiveFact:
    """One fact of the sheet, and what was found."""

    topic: str
    verdict: Verdict
    what: str

    @classmethod
    def judged(cls, topic: str, fine: str, problem: str) -> "LiveFact":
        """Confirmed with ``fine``, unless there is a problem to tell instead."""
        verdict = Verdict.DIFFERENT if problem else Verdict.CONFIRMED
        return cls(topic, verdict, problem or fine)


async def wire_facts(calls: Calls, vendor_job_id: str, attempt_id: str) -> tuple[LiveFact, ...]:
    """Ask for versions, the listing and the job, and judge the answers by section 1 of the sheet."""
    job: Params = {"expand": ["markdown", "text", "items", "usage", "job_metadata"]}
    by_comma: Params = {"expand": "markdown,text"}
    questions: tuple[tuple[str, str, Params, _Judge], ...] = (
        ("versions", f"{_JOBS}/versions", {}, _versions),
        ("listing", _JOBS, {"page_size": 1}, _listing),
        ("job", f"{_JOBS}/{vendor_job_id}", job, lambda b: _job(b, attempt_id)),
        ("result", f"{_JOBS}/{vendor_job_id}", job, _result),
        ("expand by comma", f"{_JOBS}/{vendor_job_id}", by_comma, _result),
    )
    return tuple([await _asked(calls, *question) for question in questions])


async def removal_fact(
    delete: Callable[[], Awaitable[object]], ask: Callable[[], Awaitable[object]]
) -> LiveFact:
    """Delete the job, then ask for it: whether the service forgets what it is told to."""
    try:
        await delete()
    except UpstreamError as error:
        words = " ".join(filter(None, (error.what, error.vendor_message)))
        what = f"The job stays at LlamaParse: {words} {_BY_HAND}"
        return LiveFact(_DELETE, Verdict.DIFFERENT, what)
    try:
        await ask()
    except UpstreamError as error:
        if error.kind is UpstreamKind.NOT_FOUND:
            what = "The job and its result are gone at LlamaParse."
            return LiveFact(_DELETE, Verdict.CONFIRMED, what)
        what = f"It was accepted; whether the job is gone could not be asked: {error.what}"
        return LiveFact(_DELETE, Verdict.UNKNOWN, what)
    what = f"It was accepted, but LlamaParse still knows the job. {_BY_HAND}"
    return LiveFact(_DELETE, Verdict.DIFFERENT, what)


_DELETE = "delete"
_BY_HAND = "Delete it in LlamaCloud's own console."
_Judge = Callable[[Mapping[str, Any]], tuple[str, str]]


async def _asked(calls: Calls, topic: str, path: str, params: Params, judge: _Judge) -> LiveFact:
    try:
        body = (await calls.get("contact", path, params)).json()
    except UpstreamError as error:
        return LiveFact(topic, Verdict.DIFFERENT, f"{error.what} {error.vendor_message}".strip())
    except ValueError:
        return LiveFact(topic, Verdict.DIFFERENT, "The answer is not JSON.")
    if not isinstance(body, dict):
        return LiveFact(topic, Verdict.DIFFERENT, "The answer is not a JSON object.")
    fine, problem = judge(body)
    return LiveFact.judged(topic, fine, problem)


def _missing(found: object, names: set[str]) -> str:
    missing = names - set(found) if isinstance(found, Mapping) else names
    return f"Keys are missing: {', '.join(sorted(missing))}." if missing else ""


def _versions(body: Mapping[str, Any]) -> tuple[str, str]:
    tiers = {tier.value for tier in Tier}
    latest: Any = body.get("latest")
    problem = _missing(body, {*tiers, "latest"}) or _missing(latest, tiers)
    if problem:
        return "", problem
    newest = ", ".join(f"{tier} {latest[tier]}" for tier in Tier)
    unsorted = [tier for tier in tiers if body[tier][:1] != [latest[tier]]]
    return (
        f"Newest first, as documented: {newest}.",
        f"Not newest first: {unsorted}." if unsorted else "",
    )


def _listing(body: Mapping[str, Any]) -> tuple[str, str]:
    problem = _missing(body, {"items", "next_page_token"})
    return "Pages of items with a token for the next.", problem


def _job(body: Mapping[str, Any], attempt_id: str) -> tuple[str, str]:
    job = body.get("job")
    if not isinstance(job, Mapping):
        return "", "The job does not stand under the key job."
    problem = _missing(job, {"id", "project_id", "status"})
    if not problem and job["status"] not in _STATUSES:
        problem = f"An unknown status: {str(job['status'])[:40]}."
    if not problem and (job.get("user_metadata") or {}).get(ATTEMPT_KEY) != attempt_id:
        problem = "The user_metadata of the submit does not come back: a lost answer is not found."
    return "Wrapped in job, with its project, status and our mark in user_metadata.", problem


def _result(body: Mapping[str, Any]) -> tuple[str, str]:
    for section in ("markdown", "text"):
        pages = (body.get(section) or {}).get("pages")
        if not isinstance(pages, list) or not pages:
            return "", f"There is no {section}.pages in the answer."
        problem = _missing(pages[0], {"page_number"})
        if problem:
            return "", f"{section}: {problem}"
    first = body["markdown"]["pages"][0]["page_number"]
    sections = ", ".join(name for name in body if name != "job")
    return f"Sections {sections}; pages count from {first}.", "" if first == 1 else "Not from 1."
