"""Setup: what is configured, reachable, missing, and what mends it."""

import streamlit as st

from dashboard.components import facts, header, mode_switch, settings_editor
from dashboard.runtime import actor, get_console

console = get_console()
header.show("Setup", console.modes.current())
facts.show(console.setup.facts())
settings_editor.show(console.setup, actor())
mode_switch.show(console.modes.current(), has_key=console.settings.api_key is not None)
st.page_link("screens/limits.py", label="Limits and prices", icon=":material/speed:")
st.caption(
    f"You act as {actor()}. There is no login yet: the console listens on this machine only."
)
