"""The filters above a list: each empty until one is chosen, all of them in the URL."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import streamlit as st

from dashboard.components import address
from dashboard.wording import Sign

__all__ = ["AGES", "named", "one", "signs", "since", "text"]

T = TypeVar("T")
Anew = Callable[[], None] | None

AGES = {
    "last minute": timedelta(minutes=1),
    "last hour": timedelta(hours=1),
    "last 24 hours": timedelta(hours=24),
    "last 7 days": timedelta(days=7),
}
"""How far back a list goes, by the words for it."""


def since(age: str | None, now: datetime) -> datetime | None:
    """From when on a list of that age shows; a list that is live asks anew each time."""
    return now - AGES[age] if age else None


def one(
    label: str,
    options: Sequence[T],
    key: str,
    *,
    anew: Anew = None,
    words: Callable[[T], str] = str,
) -> T | None:
    """One of these, or None for all. ``anew`` runs when the choice changes."""
    return st.selectbox(
        label,
        options,
        index=None,
        placeholder="All",
        format_func=words,
        key=key,
        bind="query-params",
        on_change=anew,
    )


def named(label: str, known: Sequence[str], key: str, *, anew: Anew = None) -> str:
    """One of what is known, or what is typed; empty for all."""
    found = st.selectbox(
        label,
        known,
        index=None,
        placeholder="All",
        key=key,
        bind="query-params",
        on_change=anew,
        accept_new_options=True,
    )
    return address.tamed(found)


def signs(label: str, options: Mapping[str, Sign], key: str, *, anew: Anew = None) -> list[str]:
    """Any of these, each by its word; none stands for all."""
    return st.multiselect(
        label,
        list(options),
        format_func=lambda name: options[name].word,
        placeholder="All",
        key=key,
        bind="query-params",
        on_change=anew,
    )


def text(label: str, key: str, placeholder: str | None = None, *, anew: Anew = None) -> str:
    """Words to look for, without white space around them; empty for all."""
    icon = None if placeholder else ":material/search:"
    found = st.text_input(
        label, key=key, bind="query-params", placeholder=placeholder, icon=icon, on_change=anew
    )
    return address.tamed(found)
