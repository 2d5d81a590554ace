"""Progress of one submission: a bar, a line per document, and what can be done about it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import streamlit as st

from core.console import Console
from core.domain.counts import counted
from core.domain.jobs import Actor, AttemptStatus, Job, JobStatus
from core.domain.routing import Mode
from core.services.jobs import SubmissionView
from dashboard.boundary import carry_out
from dashboard.components import job_links
from dashboard.components.job_actions import price_of
from dashboard.wording import STAGE_WORDS, ago, duration, money, plain

__all__ = ["show", "title"]

_SHOWN = 50
_ENOUGH = 3
_A_MOMENT = timedelta(seconds=1)
_NEEDS_A_PERSON = {
    JobStatus.FAILED_PARSE,
    JobStatus.FAILED_HANDOFF,
    JobStatus.HELD,
    JobStatus.PARTLY_PARSED,
}
_UNPARSED = {JobStatus.FAILED_PARSE: "failed", JobStatus.CANCELLED: "cancelled"}


def show(view: SubmissionView, console: Console, actor: Actor) -> None:
    """Everything about the submission."""
    done = sum(job.status.is_settled for job in view.jobs)
    now = console.clock()
    ends = [f", {count:,} {word}" for word, count in _unparsed(view.jobs).items()]
    words = f"{done} of {len(view.jobs)} finished{''.join(ends)}{_left(view, done, now)}"
    st.progress(done / max(1, len(view.jobs)), text=words)
    simulated = " simulated" if view.submission.mode is Mode.MOCK else ""
    price = money(view.submission.estimated_usd).replace("$", "\\$")
    who = f"by {plain(view.submission.actor)} · {ago(view.submission.created_at, now)}"
    st.caption(f"Quoted {price}{simulated}, {_billed(view.jobs)} · {who}")
    shown = sorted(view.jobs, key=_urgency)[:_SHOWN]
    job_links.show(shown, key="submission", notes={job.id: _stage(view, job, now) for job in shown})
    if len(view.jobs) > len(shown):
        st.caption(f"{len(view.jobs) - len(shown):,} more; all are under Jobs.")
    with st.container(horizontal=True):
        _actions(view, console, actor)


def title(view: SubmissionView) -> str:
    """The document's name; of several the first one's, and how many more."""
    first, more = view.jobs[0].name, len(view.jobs) - 1
    return f"{first} and {more:,} more" if more else first


def _urgency(job: Job) -> int:
    """What needs a person first, then what moves, then what is done; each in the order of the files."""
    if job.status in _NEEDS_A_PERSON:
        return 0
    return 2 if job.status.is_settled else 1


def _stage(view: SubmissionView, job: Job, now: datetime) -> str:
    """How far an unfinished document is, and how long documents like it take."""
    if job.status.is_settled:
        return ""
    stage = view.stages.get(job.id, AttemptStatus.PLANNED)
    words = STAGE_WORDS[stage]
    is_stored = stage is AttemptStatus.DONE
    if view.typical is None or is_stored or job.status is not JobStatus.PARSING:
        return words
    left = view.typical - (now - job.created_at)
    return f"{words}, about {duration(left)} left" if left > _A_MOMENT else f"{words}, nearly done"


def _unparsed(jobs: Sequence[Job]) -> dict[str, int]:
    """How many failed, and how many a person called off."""
    return dict(Counter(_UNPARSED[job.status] for job in jobs if job.status in _UNPARSED))


def _billed(jobs: Sequence[Job]) -> str:
    """What its documents were billed, and of how many the bill has not come."""
    known = [job.billed_credits for job in jobs if job.billed_credits is not None]
    waits = sum(job.billed_credits is None and job.status.has_result for job in jobs)
    if not known:
        return "nothing billed yet"
    return f"billed {counted(sum(known), 'credit')}" + (
        f", {waits:,} not billed yet" if waits else ""
    )


def _left(view: SubmissionView, done: int, now: datetime) -> str:
    """The rest of the submission at the pace it had so far."""
    if done < _ENOUGH or done == len(view.jobs):
        return ""
    pace = (now - view.submission.created_at) / done
    return f", about {duration(pace * (len(view.jobs) - done))} left"


def _actions(view: SubmissionView, console: Console, actor: Actor) -> None:
    open_ids = [job.id for job in view.jobs if not job.status.is_settled]
    again = [job for job in view.jobs if job.status in _UNPARSED]
    what = " or ".join(_unparsed(again))
    label = plain(f"Retry {len(again)} {what} for about {price_of(again)}")
    if again and st.button(label, key="retry-failed"):
        carry_out(lambda: console.jobs.retry([job.id for job in again], actor))
    if open_ids and st.button(f"Cancel {len(open_ids)} unfinished", key="cancel-open"):
        carry_out(lambda: console.jobs.cancel(open_ids, actor))
    if any(job.status.has_result for job in view.jobs):
        name = (
            f"{view.submission.id}{'.simulated' if view.submission.mode is Mode.MOCK else ''}.zip"
        )
        st.download_button(
            "Download all results",
            data=lambda: console.jobs.zip_of(view.jobs),
            file_name=name,
            mime="application/zip",
            on_click="ignore",
            key="zip",
        )
