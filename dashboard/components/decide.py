"""What to do about a document that a limit holds: a button on its line, and the dialog behind it."""

from decimal import Decimal
from functools import partial

import streamlit as st

from core.console import Console
from core.domain.budgets import Limit, Refusal, Unit
from core.domain.jobs import Actor, Job, JobStatus
from core.domain.routing import Mode
from core.errors import ConsoleError
from core.services.holds import Choice
from core.services.limits import limit_words
from core.store.queue import WAITS_FOR_ROOM
from dashboard.boundary import carry_out
from dashboard.components import limit_table, reasons, times
from dashboard.components.reasons import Answer
from dashboard.wording import money, plain, tier_name

__all__ = ["button", "dialog"]

_ASKED = "decide"


def button(job: Job, key: str) -> None:
    """A button for a document that waits for room; nothing for any other."""
    if job.status is not JobStatus.HELD or job.hold != WAITS_FOR_ROOM:
        return
    if st.button("Decide…", key=f"{key}-decide-{job.id}", type="tertiary"):
        # the dialog belongs to the screen, not to the part of it that moves by itself
        st.session_state[_ASKED] = job.id
        st.rerun()


def dialog(console: Console, actor: Actor) -> None:
    """The dialog, when a button asked for it."""
    job_id = st.session_state.pop(_ASKED, "")
    if job_id:
        _decide(console, job_id, actor)


@st.dialog("Over a limit", width="medium")
def _decide(console: Console, job_id: str, actor: Actor) -> None:
    try:
        choice = console.holds.choice(job_id)
    except ConsoleError as error:
        st.info(plain(f"{error.what} {error.next_step}"), icon=":material/info:")
        return
    simulated = " simulated" if choice.job.mode is Mode.MOCK else ""
    st.markdown(
        f"**{plain(choice.job.name)}** · {plain(money(choice.job.estimated_usd))}{simulated}"
    )
    _why(choice)
    _wait(choice)
    _cheaper(console, choice, actor)
    if choice.can_go_local and st.button(
        "Let the local engine stand in, free and provisional", key="decide-local"
    ):
        carry_out(lambda: console.holds.go_local(job_id, actor))
    _lead(console, choice, actor)


def _why(choice: Choice) -> None:
    words = choice.refusal.words if choice.refusal is not None else choice.job.reason
    st.warning(plain(words), icon=":material/hourglass_top:")


def _wait(choice: Choice) -> None:
    st.markdown("**Wait**")
    if choice.opens_at is not None:
        order = "it is the first in the queue"
        if choice.ahead:
            order = f"{choice.ahead:,} {'waits' if choice.ahead == 1 else 'wait'} before it"
        st.markdown(
            f"It starts by itself on {times.short(choice.opens_at)} at the latest; {order}."
        )
    elif choice.refusal is not None:
        st.markdown(
            "Waiting does not help: it is larger than a whole window. It blocks nobody else."
        )
    taken = [
        f"{limit_table.amount(use.limit.unit, use.used)} of "
        f"{limit_table.exact(use.limit.unit, use.limit.amount)} {_window(use.limit)}"
        for use in choice.next_window
        if use.used
    ]
    if taken:
        noun = "document takes" if choice.waiting == 1 else "documents take"
        st.caption(
            f"The {choice.waiting} waiting {noun} of the next window: {'; '.join(taken)}.".replace(
                "$", "\\$"
            )
        )


def _window(limit: Limit) -> str:
    """``a day for the team lab``: what an amount, which names its unit itself, is counted over."""
    return limit_words(*limit.key).split(" ", 1)[1]


def _cheaper(console: Console, choice: Choice, actor: Actor) -> None:
    if not choice.offers:
        return
    st.markdown("**Pay less**")
    with st.container(horizontal=True):
        for offer in choice.offers:
            when = "starts now" if offer.starts_now else "waits too"
            label = f"{tier_name(offer.tier)}, {money(offer.usd)}, {when}".replace("$", "\\$")
            if st.button(label, key=f"decide-{offer.tier.value}"):
                carry_out(partial(console.holds.cheaper, choice.job.id, offer.tier, actor))


def _lead(console: Console, choice: Choice, actor: Actor) -> None:
    st.markdown("**Ask a lead, or decide as one**")
    holds, job_id = console.holds, choice.job.id
    reasons.ask(
        "decide-reason",
        Answer("Ask a lead", "decide-ask", lambda why: holds.ask(job_id, why, actor)),
        Answer(
            "Approve this one",
            "decide-approve",
            lambda why: holds.approve([job_id], why, actor),
            is_main=True,
        ),
        *([] if choice.refusal is None else [_raise(console, choice, choice.refusal, actor)]),
    )
    st.caption(f"You act as {actor}. There is no login yet: anyone at this machine can approve.")


def _raise(console: Console, choice: Choice, refusal: Refusal, actor: Actor) -> Answer:
    """A raise in place: just enough for this one, for some hours."""
    limit, mode = refusal.limit, choice.job.mode
    enough = limit.amount + refusal.over
    text = str(Decimal(enough) / 1_000_000) if limit.unit is Unit.USD else str(enough)
    shown = limit_table.exact(limit.unit, enough)
    return Answer(
        f"Raise to {shown} {_window(limit)} for 4 hours",
        "decide-raise",
        lambda why: console.limits.change(mode, limit.key, text, actor, why, hours=4),
    )
