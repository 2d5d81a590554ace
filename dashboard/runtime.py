"""How screens reach the console that the process was started with."""

import streamlit as st

from core.console import Console, local_actor
from core.domain.jobs import Actor
from core.settings import Settings

__all__ = ["actor", "get_console", "install"]

_installed: list[Console] = []


def install(console: Console) -> None:
    """Let all screens use this console; called once, by whoever serves them."""
    _installed[:] = [console]


@st.cache_resource(show_spinner=False)
def get_console() -> Console:
    """The one console of this process."""
    if _installed:
        return _installed[0]
    return Console(Settings.load())


def actor() -> Actor:
    """Who is at the screen."""
    return local_actor()
