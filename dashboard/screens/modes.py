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
switches = console.modes.history()
current = console.modes.after(switches)
header.show("Modes and health", current)
mode_cards.show(console, actor(), current, switches)
price = console.routes.price()


@st.fragment(run_every=5)
def live() -> None:
    """The part that moves by itself; every engine is looked at once."""
    with explained():
        states = console.engines_view.states()
        engine_health.show(console, states, actor())
        st.subheader("Engines", anchor=False)
        engine_cards.show(states, price, console.clock())


@st.fragment(run_every=60)
def cost() -> None:
    """Sums of a week change slowly, and take longer."""
    with explained():
        engine_health.show_cost(console)


live()
facts.show(console.setup.formats())
cost()
policy_editor.show(console, actor())
