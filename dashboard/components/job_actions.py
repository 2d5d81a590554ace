"""What can be done to jobs, and what it would do and cost before it is done."""

from collections.abc import Sequence
from decimal import Decimal

import streamlit as st

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.counts import counted
from core.domain.jobs import Actor, Job, JobStatus
from core.domain.money import usd_from_micros, usd_left
from core.domain.routing import Mode
from dashboard.boundary import carry_out
from dashboard.components import uploads
from dashboard.wording import money, plain

__all__ = ["price_of", "show"]

_RETRYABLE = {JobStatus.FAILED_PARSE, JobStatus.CANCELLED, JobStatus.PARTLY_PARSED, JobStatus.HELD}
_NAMED = 5


def show(jobs: Sequence[Job], console: Console, actor: Actor) -> None:
    """Retry, cancel, parse again, download; each names the documents it is for."""
    if not jobs:
        st.caption("Select rows to retry, cancel, parse again or download them.")
        return
    again = [job for job in jobs if job.status in _RETRYABLE]
    running = [job for job in jobs if not job.status.is_settled]
    ready = [job for job in jobs if job.status.has_result]
    with st.container(horizontal=True, key="actions"):
        if again:
            _retry(again, console, actor)
        if running:
            _cancel(running, console, actor)
        if stand_ins := [job for job in ready if job.is_provisional and job.status.is_final]:
            _replace_stand_ins(stand_ins, console, actor)
        if ready and st.button(
            f"Parse {len(ready)} again…" if len(ready) > 1 else "Parse again…",
            key="parse-again",
            icon=":material/refresh:",
        ):
            # Submit shows the price and asks, as for any other document
            uploads.preload([job.id for job in ready])
            st.switch_page("screens/submit.py")
        if len(ready) > 1:
            st.download_button(
                f"Download {len(ready)}",
                data=lambda: console.jobs.zip_of(ready),
                file_name=f"results{_simulated(ready)}.zip",
                mime="application/zip",
                on_click="ignore",
                key="zip",
                icon=":material/download:",
            )


def _retry(again: Sequence[Job], console: Console, actor: Actor) -> None:
    price = price_of(again)
    with st.popover(f"Retry {len(again)}…", icon=":material/replay:", key="retry-what"):
        books = {job.mode is Mode.MOCK for job in again}
        use = console.spend.today(again[0].mode).use(Window.DAY, Unit.USD)
        left = ""
        if use is not None and len(books) == 1:
            left = f" of the {usd_left(usd_from_micros(use.left))} left today"
        st.markdown(f"Sent again, for about {price}{left}:".replace("$", "\\$"))
        _names(again)
        label = f"Retry for about {price}".replace("$", "\\$")
        if st.button(label, key="retry", type="primary"):
            carry_out(lambda: console.jobs.retry([job.id for job in again], actor))


def _replace_stand_ins(found: Sequence[Job], console: Console, actor: Actor) -> None:
    label = f"Replace stand-ins of {len(found)}…" if len(found) > 1 else "Replace the stand-ins…"
    with st.popover(label, icon=":material/published_with_changes:", key="stand-ins-what"):
        wanted = [console.again.stand_ins(job) for job in found]
        price = money(sum((each.usd for each in wanted), Decimal(0))).replace("$", "\\$")
        pages = sum(each.count for each in wanted)
        st.markdown(f"LlamaParse parses {counted(pages, 'provisional page')} again, for {price}:")
        _names(found)
        if st.button(
            f"Parse {counted(pages, 'page')} for {price}", key="stand-ins", type="primary"
        ):
            carry_out(lambda: [console.again.order(each, actor) for each in wanted])


def _cancel(running: Sequence[Job], console: Console, actor: Actor) -> None:
    with st.popover(f"Cancel {len(running)}…", icon=":material/cancel:", key="cancel-what"):
        st.markdown(
            "What was not sent yet costs nothing. What was sent is asked to stop; pages that are "
            "done already may be billed."
        )
        _names(running)
        if st.button(f"Cancel {len(running)} now", key="cancel"):
            carry_out(lambda: console.jobs.cancel([job.id for job in running], actor))


def price_of(jobs: Sequence[Job]) -> str:
    """What real and simulated work costs, never in one sum."""
    sums: dict[bool, Decimal] = {}
    for job in jobs:
        is_mock = job.mode is Mode.MOCK
        sums[is_mock] = sums.get(is_mock, Decimal(0)) + job.estimated_usd
    return " and ".join(
        f"{money(sums[is_mock])}{' simulated' if is_mock else ''}" for is_mock in sorted(sums)
    )


def _simulated(jobs: Sequence[Job]) -> str:
    return ".simulated" if any(job.mode is Mode.MOCK for job in jobs) else ""


def _names(jobs: Sequence[Job]) -> None:
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    st.caption(plain(", ".join(job.name for job in jobs[:_NAMED])) + more)
