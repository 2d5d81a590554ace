"""Webhooks: everything that came in, and a bench to try them."""

import streamlit as st

from dashboard.components import downstream, header, inbox, replay, workbench
from dashboard.runtime import actor, get_console

_TABS = ("Inbox", "Workbench", "Replay", "Downstream")

console = get_console()
header.show("Webhooks", console.modes.current())
tab = st.segmented_control(
    "Part",
    _TABS,
    default="Inbox",
    required=True,
    key="tab",
    bind="query-params",
    label_visibility="collapsed",
)
if tab == "Workbench":
    workbench.show(console)
elif tab == "Replay":
    replay.show(console, actor())
elif tab == "Downstream":
    downstream.show(console, actor())
else:
    inbox.show(console)
