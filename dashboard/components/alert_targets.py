"""Where alerts go: targets, whether the last one arrived, a test, a new one."""

from functools import partial

import streamlit as st

from core.domain.jobs import Actor
from core.services.alerts import Alerts
from dashboard.boundary import carry_out
from dashboard.components import times
from dashboard.wording import plain

__all__ = ["show"]


def show(alerts: Alerts, actor: Actor) -> None:
    """One line per target; the address is a secret and is never shown."""
    st.subheader("Alerts", anchor=False)
    shares = ", ".join(f"{share} %" for share in alerts.shares())
    st.caption(
        f"Told once per window, at {shares} of a limit and when today's limit will be reached: in the "
        "console and to these targets."
    )
    targets = alerts.targets()
    for target in targets:
        with st.container(
            horizontal=True, vertical_alignment="center", key=f"target-{target.name}"
        ):
            if target.problem:
                st.badge("dead", icon=":material/cancel:", color="red")
            elif target.tried_at is None:
                st.badge("not tried yet", icon=":material/help:", color="gray")
            else:
                st.badge("arrives", icon=":material/check_circle:", color="green")
            st.markdown(plain(target.name))
            if target.problem and target.tried_at is not None:
                st.caption(plain(f"{target.problem} {times.short(target.tried_at)}"))
            if st.button("Test", key=f"test-{target.name}", type="tertiary"):
                carry_out(partial(alerts.test, target.name))
            if st.button("Remove", key=f"remove-{target.name}", type="tertiary"):
                carry_out(partial(alerts.remove_target, target.name))
    if not targets:
        st.caption("No target yet: alerts are shown on Spend only.")
    with st.container(horizontal=True):
        if st.button("Add a target…", key="target-add"):
            _add(alerts, actor)
        if st.button("Change the shares…", key="shares-change"):
            _shares(alerts, actor)


@st.dialog("When leads are told")
def _shares(alerts: Alerts, actor: Actor) -> None:
    now = ", ".join(map(str, alerts.shares()))
    typed = st.text_input("Percent of a limit", value=now, key="shares")
    if st.button("Store", type="primary", key="shares-store"):
        carry_out(lambda: alerts.set_shares(typed or "", actor))


@st.dialog("Add a target")
def _add(alerts: Alerts, actor: Actor) -> None:
    name = st.text_input("Name", key="target-name", placeholder="who reads it")
    address = st.text_input(
        "Address",
        key="target-address",
        type="password",
        placeholder="mailto://user:pass@example.org",
        help="An apprise address: mail, Slack, Teams, a webhook (json://HOST/PATH) and many more.",
    )
    if st.button("Add", type="primary", key="target-store"):
        carry_out(lambda: alerts.add_target(name or "", address or "", actor))
