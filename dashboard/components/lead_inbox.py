"""What waits for a lead: who asked, for what, at which price and why; answered in place."""

from collections.abc import Sequence

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.services.holds import Asked
from dashboard.components import reasons
from dashboard.components.reasons import Answer
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
        reasons.ask(
            f"asked-reason-{job.id}",
            Answer(
                "Approve",
                f"asked-approve-{job.id}",
                lambda why: console.holds.approve([job.id], why, actor),
                icon=":material/check:",
            ),
            Answer(
                "Refuse",
                f"asked-refuse-{job.id}",
                lambda why: console.holds.refuse([job.id], why, actor),
            ),
        )
