"""The address of a screen comes from outside: here all screens read it."""

import streamlit as st

from core.webhooks.screening import tame

__all__ = ["read", "tamed"]


def read(name: str) -> str:
    """What the address says under a name; empty when it says nothing."""
    return tamed(st.query_params.get(name, ""))


def tamed(words: str | None) -> str:
    """Words from the address or a field, without white space around them and as any database takes them."""
    return tame((words or "").strip())
