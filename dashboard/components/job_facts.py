"""The line under a job's title: state, engine, price, who, when; and what can be done."""

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.services.jobs import JobView, file_stem
from dashboard.components import decide, job_actions
from dashboard.wording import ago, duration, engine_name, money, plain, sign_of, tier_name

__all__ = ["show"]


def show(view: JobView, console: Console, actor: Actor) -> None:
    """State and facts; downloads when there is a result, actions when not."""
    job = view.job
    sign = sign_of(job.status, is_provisional=job.is_provisional)
    engines = {engine_name(a.engine, job.mode) for a in view.attempts} or {"–"}
    took = job.finished_at - job.created_at if job.finished_at else console.clock() - job.created_at
    facts = [
        ", ".join(sorted(engines)),
        tier_name(job.options.tier),
        f"{job.page_count or '–'} page{'' if job.page_count == 1 else 's'}",
        _price(view),
        f"by {view.submission.actor}",
        ago(job.created_at, console.clock()),
        duration(took),
    ]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(sign.word, icon=sign.icon, color=sign.color)
        st.caption(" · ".join(plain(fact) for fact in facts))
    if job.reason:
        st.warning(plain(f"{job.reason} {job.next_step}".strip()), icon=":material/info:")
    with st.container(horizontal=True):
        decide.button(job, "facts")
        if job.status.has_result:
            _downloads(view, console)
        job_actions.show([job], console, actor)


def _price(view: JobView) -> str:
    job = view.job
    simulated = " simulated" if job.mode is Mode.MOCK else ""
    billed = (
        "not billed yet" if job.billed_credits is None else f"billed {job.billed_credits:,} credits"
    )
    return f"quoted {money(job.estimated_usd)}{simulated}, {billed}"


def _downloads(view: JobView, console: Console) -> None:
    job = view.job
    stem = file_stem(job, set())
    st.download_button(
        "Markdown",
        lambda: console.jobs.markdown_of(job),
        f"{stem}.md",
        "text/markdown",
        key="md",
        icon=":material/download:",
        on_click="ignore",
    )
    st.download_button(
        "JSON",
        lambda: console.jobs.json_of(job),
        f"{stem}.json",
        "application/json",
        key="json",
        icon=":material/download:",
        on_click="ignore",
    )
    if view.document is not None and not view.document.source_url:
        st.download_button(
            "Original",
            lambda: console.jobs.original(job),
            job.name,
            key="original",
            icon=":material/download:",
            on_click="ignore",
        )
