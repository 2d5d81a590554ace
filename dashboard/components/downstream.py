"""Downstream: who is told of finished jobs, and the form for one more."""

from collections.abc import Sequence

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.errors import ConsoleError
from core.services.downstreams import DownstreamView
from core.store.outbox import HandoffFilter
from dashboard.boundary import tell
from dashboard.components import address, handed_on, handoff_facts
from dashboard.wording import Sign, plain

__all__ = ["show"]

_SEALED = Sign("sealed", ":material/lock:", "red", "✕")
_DISABLED = Sign("disabled", ":material/block:", "gray", "–")
_FAILING = Sign("failing", ":material/warning:", "orange", "!")
_TOLD = Sign("told", ":material/check_circle:", "green", "✓")


def show(console: Console, actor: Actor) -> None:
    """The endpoints, a form for a new one, and what was handed on; or one hand-off."""
    one = address.read("handoff")
    if one:
        handoff_facts.show(console, one, actor)
        return
    listing = st.container()
    # the form runs first, so that the list above it has what was just added
    is_first = not console.downstreams.known()
    with st.expander("Add an endpoint", icon=":material/add:", expanded=is_first):
        _form(console, actor)
    known = console.downstreams.known()
    with listing:
        _endpoints(console, known, actor)
    if known or console.downstreams.counts(HandoffFilter()):
        handed_on.show(console, known, actor)


def _endpoints(console: Console, known: Sequence[DownstreamView], actor: Actor) -> None:
    if not known:
        st.info("Nobody is told of finished jobs yet. Add the address of your next stage.")
        return
    # one key seals them all, so what is missing is said once
    for trouble in sorted({target.trouble for target in known if target.trouble}):
        st.error(plain(trouble), icon=_SEALED.icon)
    with st.container(border=True, key="endpoints"):
        for target in known:
            _line(console, target, actor)


def _line(console: Console, target: DownstreamView, actor: Actor) -> None:
    sign = _sign(target)
    with st.container(horizontal=True, vertical_alignment="center", key=f"target-{target.id}"):
        st.badge(sign.word, icon=sign.icon, color=sign.color)
        shown = target.name if target.trouble else target.shown
        st.markdown(f"`{shown}`", width="content")  # as code, so that it is no link
        said = (
            f"by {target.actor}"
            if target.trouble
            else f"secret {target.fingerprint} · by {target.actor}"
        )
        st.caption(plain(said), width="content")
        if target.is_disabled:
            if st.button("Enable", key=f"enable-{target.id}"):
                console.downstreams.enable(target.id)
                st.rerun()
        elif st.button("Disable", key=f"disable-{target.id}"):
            console.downstreams.disable(target.id, actor)
            st.rerun()
    if target.is_disabled:
        st.caption(plain(target.disabled_reason))


def _sign(target: DownstreamView) -> Sign:
    if target.trouble:
        return _SEALED
    if target.is_disabled:
        return _DISABLED
    return _FAILING if target.is_failing else _TOLD


def _form(console: Console, actor: Actor) -> None:
    with st.form("downstream", clear_on_submit=True, border=False):
        url = st.text_input("Address", type="password", placeholder="https://…")
        st.caption(
            "It gets a signed event (Standard Webhooks) for each job that is parsed or failed. The address "
            "is treated as a secret and shown masked."
        )
        if st.form_submit_button("Add", icon=":material/add:"):
            try:
                secret = console.downstreams.add(url, actor)
            except ConsoleError as error:
                tell(error)
                return
            st.success("Added. This is its secret; it is shown only now:")
            st.code(secret, language=None)
