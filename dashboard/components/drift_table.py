"""Estimated, reported and billed by day, the freeze, and the plan."""

import pandas as pd
import streamlit as st

from core.domain.jobs import Actor
from core.pipeline.driving.timing import BILL_WAITS
from core.services.drift import Drift
from dashboard.boundary import carry_out
from dashboard.components import reasons, times
from dashboard.components.reasons import Answer
from dashboard.wording import plain

__all__ = ["show"]


def show(drift: Drift, actor: Actor) -> None:
    """What the usage metrics said, beside what Parsedeck thought; real money only."""
    frozen = drift.frozen()
    if frozen:
        st.error(plain(f"Real work is frozen. {frozen}"), icon=":material/ac_unit:")
        reasons.ask(
            "lift-reason",
            Answer("Lift the freeze", "lift", lambda why: drift.lift(actor, why)),
            label="Why it may go on",
        )
    days = drift.days()
    st.subheader("Drift", anchor=False)
    _asked(drift)
    if not days:
        st.caption("No usage metrics were taken in yet: what jobs report is what counts.")
    else:
        st.dataframe(
            pd.DataFrame(
                {
                    "day (UTC)": f"{day.day:%d %b}",
                    "estimated": day.estimated,
                    "reported": day.reported,
                    "billed": day.billed,
                    "outside Parsedeck": day.outside,
                    "taken as quoted": day.assumed,
                }
                for day in days
            ),
            hide_index=True,
            key="drift",
        )
        st.caption(
            f"Credits of real work; {len(days)} days with usage. What LlamaParse has not billed "
            f"{BILL_WAITS.days} days after a job's end is looked for in its usage metrics, else taken as quoted."
        )
    if st.button("Drift and plan…", key="drift-settings"):
        _settings(drift, actor)


def _asked(drift: Drift) -> None:
    asked = drift.last_asked()
    if asked is None:
        return
    at, problem = asked
    if problem:
        words = f"The usage metrics could not be read on {times.short(at)}. {problem}"
        st.warning(plain(words), icon=":material/sync_problem:")
    else:
        st.caption(f"Usage metrics were read on {times.short(at)}.")


@st.dialog("Drift and plan")
def _settings(drift: Drift, actor: Actor) -> None:
    percent, freezes, plan = drift.settings()
    share = st.text_input("Percent apart that is told", value=f"{percent:g}", key="drift-share")
    freeze = st.toggle("Freeze real work then", value=freezes, key="drift-freeze")
    plans = ("free", "starter", "pro", "enterprise")
    chosen = st.selectbox("Plan", plans, index=plans.index(plan), key="drift-plan")
    if st.button("Store", type="primary", key="drift-store"):
        carry_out(lambda: _store(drift, share or "", chosen or plan, actor, freezes=freeze))


def _store(drift: Drift, share: str, plan: str, actor: Actor, *, freezes: bool) -> None:
    drift.set_share(share, actor, freezes=freezes)
    drift.set_plan(plan, actor)
