"""REAL, HYBRID and MOCK as cards: what each means now, and switching with a reason."""

from collections.abc import Sequence

import streamlit as st

from core.console import Console
from core.domain.jobs import Actor
from core.domain.route_policy import HybridPolicy
from core.domain.routing import Mode
from core.services.health import Reach, Span
from core.services.replans import Replan
from core.store.settings import ModeChange
from dashboard.boundary import explained
from dashboard.components import times
from dashboard.wording import MODE_SIGNS, money, plain

__all__ = ["show"]

_OPEN, _REACH = "switch-open", "switch-reach"
_SHOWN, _CHANGE = "switch-shown", "switch-change"
_KEEP, _AGAIN = "keep", "again"


def show(console: Console, actor: Actor, current: Mode, switches: Sequence[ModeChange]) -> None:
    """Three cards; the one in force is marked, the others can be switched to. The newest switches."""
    trouble = console.health.trouble()
    with st.container(horizontal=True, key="figures"):
        for mode in (Mode.REAL, Mode.HYBRID, Mode.MOCK):
            _card(console, mode, trouble, is_current=mode is current)
    if (chosen := st.session_state.get(_OPEN)) is not None:
        _switch(console, Mode(chosen), actor)
    for change in switches[:3]:
        st.caption(
            plain(
                f"{times.short(change.at)} · {change.mode.upper()} · {change.actor} · {change.reason}"
            )
        )


def _card(console: Console, mode: Mode, trouble: str, *, is_current: bool) -> None:
    sign = MODE_SIGNS[mode]
    with st.container(border=True, key=f"card-{mode}", height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(sign.word, icon=sign.icon, color=sign.color)
            if is_current:
                st.markdown("**in force**")
        st.markdown(plain(_meaning(console, mode, trouble)))
        lacks_key = mode is Mode.REAL and console.settings.api_key is None
        if not is_current:
            st.button(
                "Switch…",
                key=f"switch-{mode}",
                disabled=lacks_key,
                help="Set LLAMAPARSE_API_KEY, then start again." if lacks_key else None,
                on_click=_open,
                args=(mode,),
            )


def _open(mode: Mode) -> None:
    _close()
    st.session_state[_OPEN] = mode


def _close() -> None:
    for key in (_OPEN, _REACH, _SHOWN, _CHANGE):
        st.session_state.pop(key, None)


def _meaning(console: Console, mode: Mode, trouble: str) -> str:
    """What the mode does with a document that comes in now."""
    if mode is Mode.MOCK:
        return "Simulated: the look-alike answers, nothing is spent."
    has_key = console.settings.api_key is not None
    if not has_key and mode is Mode.REAL:
        return "LlamaParse or nothing. It needs a key: LLAMAPARSE_API_KEY."
    if mode is Mode.REAL:
        return f"LlamaParse or nothing. {trouble} Jobs wait." if trouble else _healthy(console)
    policy = console.routes.policy()
    how = (
        "Page by page the cheapest that suffices."
        if policy.hybrid is HybridPolicy.ECONOMY
        else "LlamaParse first, the local engine where it cannot be used."
    )
    why = trouble if has_key else "LlamaParse has no key."
    return f"{how} {why} The local engine stands in, provisionally." if why else how


def _healthy(console: Console) -> str:
    waiting = console.replans.quote(Mode.REAL)
    count = len(waiting.jobs)
    noun = "job that waits" if count == 1 else "jobs that wait"
    cost = f" {count:,} {noun} would cost {money(waiting.usd)}." if count else ""
    return f"LlamaParse or nothing. It is well{_typical(console)}.{cost}"


def _typical(console: Console) -> str:
    """``, 118 ms``: the newest median there is in the last hour."""
    known = [p.p50_s for p in console.health.series(Span.HOUR) if p.p50_s is not None]
    return f", {known[-1] * 1000:,.0f} ms" if known else ""


@st.dialog("Switch the mode", on_dismiss=_close)
def _switch(console: Console, mode: Mode, actor: Actor) -> None:
    with explained():
        sign = MODE_SIGNS[mode]
        st.badge(sign.word, icon=sign.icon, color=sign.color)
        st.markdown(
            "All processes follow within a second. What was sent already goes on as it was planned."
        )
        if mode is Mode.REAL:
            _reachable(console)
        if change := st.session_state.pop(_CHANGE, ""):
            st.warning(plain(change), icon=":material/price_change:")
        if _SHOWN not in st.session_state:
            st.session_state[_SHOWN] = console.replans.quote(mode)
        # what is shown is what is done, or it is asked again
        shown: Replan = st.session_state[_SHOWN]
        again = bool(shown.jobs) and _asks_to_plan_again(shown)
        reason = st.text_input(
            "Why", placeholder="so that others understand it later", key="switch-reason"
        )
        if st.button(f"Switch to {sign.word}", type="primary", key="switch-now"):
            # before the switch, so that both are done or none
            if again and (change := console.replans.change_since(shown)):
                st.session_state[_CHANGE] = change
                del st.session_state[_SHOWN]
                st.rerun()
            console.modes.switch(mode, actor, reason)
            if again:
                console.replans.apply(shown, actor)
            _close()
            st.rerun()


def _reachable(console: Console) -> None:
    """Ask LlamaParse, once for each time the dialog is opened."""
    if _REACH not in st.session_state:
        st.session_state[_REACH] = console.health.ask_now()
    found: Reach = st.session_state[_REACH]
    if found.problem:
        st.warning(
            plain(f"LlamaParse cannot be used now: {found.problem} Jobs would wait."),
            icon=":material/cloud_off:",
        )
    else:
        st.success(
            f"LlamaParse answers in {found.seconds * 1000:,.0f} ms.", icon=":material/check:"
        )


def _asks_to_plan_again(replan: Replan) -> bool:
    count = len(replan.jobs)
    noun = "job waits" if count == 1 else "jobs wait"
    held = f", {replan.held:,} of them held" if replan.held else ""
    st.markdown(plain(f"{count:,} {noun}{held}, planned for {money(replan.now_usd)}."))
    again = f"Plan them again: {money(replan.usd)}".replace("$", "\\$")
    if replan.provisional:
        again += f", {replan.provisional:,} with stand-ins"
    labels = {_KEEP: "Keep the plan they have", _AGAIN: again}
    chosen = st.radio(
        "They",
        list(labels),
        format_func=lambda which: labels[which],
        key="switch-plan",
        label_visibility="collapsed",
    )
    return chosen == _AGAIN
