"""Settings that can be changed here: what counts, why, who changed it, and a dialog that changes it."""

from collections.abc import Sequence
from zoneinfo import available_timezones

import streamlit as st

from core.domain.jobs import Actor
from core.services.setup import Editable, Setup
from core.store.settings import SettingChange
from dashboard.boundary import carry_out
from dashboard.components import times
from dashboard.wording import plain

__all__ = ["show"]

_WORDS = {
    "timezone": (
        "Time zone",
        "Where a day begins; every time here is shown in it. From then on limits count its days.",
    ),
    "requests_per_minute": (
        "Calls per minute",
        "How many calls to LlamaParse all processes together make in any minute.",
    ),
}


def show(setup: Setup, actor: Actor) -> None:
    """One line per setting, with its button; below, what was changed."""
    st.subheader("Settings", anchor=False)
    with st.container(border=True, key="settings"):
        for one in setup.editable():
            label, _what = _WORDS[one.name]
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{label}** · {plain(one.value)} :gray[{plain(_why(one))}]")
                with st.popover("Change…", type="tertiary", key=f"change-{one.name}"):
                    _change(setup, one, actor)
    _history(setup.history())


def _why(one: Editable) -> str:
    given = f"{one.variable} says {one.given}" if one.is_set else f"the default is {one.given}"
    if one.stored is None:
        return f"from {one.variable}" if one.is_set else f"the default; {one.variable} is not set"
    return f"stored by {one.stored.actor} on {times.short(one.stored.at)}; {given}"


def _change(setup: Setup, one: Editable, actor: Actor) -> None:
    label, what = _WORDS[one.name]
    with st.form(f"form-{one.name}", border=False):
        if one.name == "timezone":
            zones = sorted(available_timezones() | {one.value})
            typed = st.selectbox(label, zones, index=zones.index(one.value), key=one.name)
        else:
            typed = st.text_input(label, one.value, key=one.name)
        st.caption(f"{what} All processes follow at once; it wins over {one.variable}.")
        if st.form_submit_button("Store", type="primary", key=f"store-{one.name}"):
            carry_out(lambda: setup.store(one.name, typed or "", actor))
    if one.stored is not None:
        back = one.variable if one.is_set else "the default"
        if st.button(f"Use {back} again: {one.given}", key=f"unset-{one.name}"):
            carry_out(lambda: setup.unset(one.name, actor))


def _history(changes: Sequence[SettingChange]) -> None:
    for change in changes:
        before, after = change.before or "not stored", change.after or "not stored"
        label, _what = _WORDS.get(change.name, (change.name, ""))
        words = f"{times.short(change.at)} · {label}: {before} → {after} · {change.actor}"
        st.caption(plain(words))
