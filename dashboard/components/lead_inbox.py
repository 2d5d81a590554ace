"""What waits for a lead: who asked, for what, at which price and why; answered in place."""

from collections.abc import Callable, Sequence

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.errors import ConsoleError
from core.services.holds import Asked
from dashboard.boundary import tell
from dashboard.wording import ago, money, plain

__all__ = ["link", "show"]


def show(console: Console, actor: Actor) -> None:
    """One block per document; approving and refusing need a reason and are on record."""
    asked = console.holds.asked()
    st.subheader("Waiting for a lead", anchor=False)
    if not asked:
        st.caption("Nobody waits: what is asked with “Ask a lead” on a held document comes here.")
        return
    for one in asked:
        _one(console, one, actor)
    st.caption(f"You act as {actor}. There is no login yet: anyone at this machine can approve.")


def link(asked: Sequence[Asked]) -> None:
    """The way there from other screens; nothing when nobody waits."""
    if not asked:
        return
    noun = "document waits" if len(asked) == 1 else "documents wait"
    st.page_link(
        "screens/limits.py",
        label=f"{len(asked)} {noun} for a lead: decide on Limits",
        icon=":material/approval_delegation:",
    )


def _one(console: Console, asked: Asked, actor: Actor) -> None:
    job = asked.job
    simulated = " simulated" if job.mode is Mode.MOCK else ""
    with st.container(border=True, key=f"asked-{job.id}"):
        st.page_link("screens/job.py", label=plain(job.name), query_params={"job": job.id})
        why = f"“{asked.note}”" if asked.note else "no reason given"
        words = f"{money(job.estimated_usd)}{simulated} · {asked.actor} asked {ago(asked.at, console.clock())}: {why}"
        st.markdown(plain(words))
        st.caption(plain(job.reason))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            reason = st.text_input(
                "Why", key=f"asked-reason-{job.id}", placeholder="so that others understand it"
            )
            if st.button("Approve", icon=":material/check:", key=f"asked-approve-{job.id}"):
                _do(lambda: console.holds.approve([job.id], reason or "", actor))
            if st.button("Refuse", key=f"asked-refuse-{job.id}"):
                _do(lambda: console.holds.refuse([job.id], reason or "", actor))


def _do(act: Callable[[], object]) -> None:
    try:
        act()
    except ConsoleError as error:
        tell(error)
        return
    st.rerun()
