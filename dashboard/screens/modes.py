"""Modes and health: what each mode means now, how LlamaParse does, and the rules of HYBRID."""

import streamlit as st

from dashboard.boundary import explained
from dashboard.components import (
    engine_cards,
    engine_health,
    facts,
    header,
    mode_cards,
    policy_editor,
)
from dashboard.runtime import actor, get_console

console = get_console()
header.show("Modes and health", console.modes.current())
mode_cards.show(console, actor())


@st.fragment(run_every=5)
def live() -> None:
    """The part that moves by itself."""
    with explained():
        engine_health.show(console, actor())


@st.fragment(run_every=60)
def cost() -> None:
    """Sums of a week change slowly, and take longer."""
    with explained():
        engine_health.show_cost(console)


@st.fragment(run_every=5)
def engines() -> None:
    """The record and how each engine does move by themselves too."""
    with explained():
        engine_health.show_record(console)
        st.subheader("Engines", anchor=False)
        engine_cards.show(console.engines_view.states(), console.routes.price(), console.clock())


live()
cost()
engines()
facts.show(console.setup.formats())
policy_editor.show(console, actor())
