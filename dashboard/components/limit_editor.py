"""Changing a limit: a dialog that says beforehand what the change would do."""

from collections.abc import Sequence

import streamlit as st

from core.console import Console
from core.domain.budgets import EVERYTHING, Unit, Window, scope_words
from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.errors import ConsoleError
from core.services.limits import LimitLine, amount_of, limit_words
from dashboard.boundary import carry_out
from dashboard.components import limit_table, reasons
from dashboard.components.reasons import Answer
from dashboard.wording import plain

__all__ = ["show"]

_SAID = "limit_said"
_HOURS = {
    "until it is changed again": None,
    "for 1 hour": 1.0,
    "for 4 hours": 4.0,
    "for 24 hours": 24.0,
}


def show(console: Console, mode: Mode, lines: Sequence[LimitLine], actor: Actor) -> None:
    """Buttons that open the dialogs, and what the last change led to."""
    said = st.session_state.pop(_SAID, "")
    if said:
        st.warning(plain(said), icon=":material/info:")
    with st.container(horizontal=True):
        if st.button("Change a limit…", key="limit-change", type="primary"):
            _change(console, mode, lines, actor)
        if st.button("Add a team…", key="team-add"):
            _add_team(console, actor)


@st.dialog("Change a limit", width="medium")
def _change(console: Console, mode: Mode, lines: Sequence[LimitLine], actor: Actor) -> None:
    book = "simulated" if mode is Mode.MOCK else "real"
    scopes = [EVERYTHING, "service:llamaparse", *(f"team:{t}" for t in console.limits.teams())]
    scope = st.selectbox(
        "For", scopes, key="limit-scope", format_func=lambda s: scope_words(s)[5:] or "everything"
    )
    window = st.segmented_control(
        "In each", list(Window), default=Window.DAY, required=True, key="limit-window"
    )
    unit = st.segmented_control(
        "Counted in",
        list(Unit),
        default=Unit.USD,
        required=True,
        key="limit-unit",
        format_func=lambda u: "dollars" if u is Unit.USD else "submits",
    )
    key = (scope, Window(window or Window.DAY), Unit(unit or Unit.USD))
    line = next((line for line in lines if line.use.limit.key == key), None)
    typed = st.text_input("At most", key="limit-amount", placeholder="25")
    hours = st.selectbox("Holds", list(_HOURS), key="limit-hours")
    st.caption(_what_if(line, key[2], typed or ""))

    def change(amount: str | None, why: str) -> None:
        st.session_state[_SAID] = console.limits.change(
            mode,
            key,
            amount,
            actor,
            why,
            hours=_HOURS[hours or next(iter(_HOURS))],
            seen_revision=line.revision if line is not None else None,
        )

    answers = [Answer("Store", "limit-store", lambda why: change(typed or "", why), is_main=True)]
    if scope != EVERYTHING and line is not None:
        answers.append(Answer("No limit any more", "limit-remove", lambda why: change(None, why)))
    reasons.ask("limit-reason", *answers)
    st.caption(
        f"It is stored for {book} money under the name {actor}. There is no login yet: "
        "anyone at this machine can do this."
    )


def _what_if(line: LimitLine | None, unit: Unit, typed: str) -> str:
    if line is None:
        return "There is no such limit now."
    use = line.use
    now = f"Now {limit_table.exact(unit, use.limit.amount)} {limit_words(*use.limit.key)}"
    try:
        wanted = amount_of(unit, typed)
    except ConsoleError:
        return f"{now}; {limit_table.amount(unit, use.used)} of it is used.".replace("$", "\\$")
    left = wanted - use.used
    then = (
        f"{limit_table.amount(unit, left)} would be left"
        if left >= 0
        else "more than that is used already: nothing new would start in this window"
    )
    return f"{now}; with this, {then}.".replace("$", "\\$")


@st.dialog("Add a team")
def _add_team(console: Console, actor: Actor) -> None:
    name = st.text_input("Name", key="team-name")
    known = console.limits.teams()
    st.caption(plain(f"Teams so far: {', '.join(known)}.") if known else "There is no team yet.")
    if st.button("Add", type="primary", key="team-store"):
        carry_out(lambda: console.limits.add_team(name or "", actor))
