"""Limits and how full they are, and the changes that led to them."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from core.domain.budgets import LimitUse, Unit, next_start
from core.domain.counts import counted
from core.domain.money import usd_exact, usd_from_micros, usd_left, usd_words
from core.domain.routing import Mode
from core.services.limits import LimitLine, limit_words
from core.store.limits import LimitChange
from dashboard.components import times
from dashboard.components.columns import right

__all__ = ["amount", "exact", "history", "left", "show"]


def amount(unit: Unit, value: int | None) -> str:
    """``$7.50`` or ``1,000 submits``; no limit is a dash."""
    if value is None:
        return "–"
    return usd_words(usd_from_micros(value)) if unit is Unit.USD else counted(value, "submit")


def exact(unit: Unit, value: int | None) -> str:
    """A limit itself is not rounded: ``$0.01`` would not be what holds."""
    if value is None or unit is Unit.SUBMITS:
        return amount(unit, value)
    return usd_exact(usd_from_micros(value))


def left(use: LimitUse) -> str:
    """What is left, in words."""
    if use.limit.unit is Unit.SUBMITS:
        return amount(use.limit.unit, use.left)
    return usd_left(usd_from_micros(use.left))


def show(lines: Sequence[LimitLine], mode: Mode, now: datetime, timezone: str) -> None:
    """One row per limit: used, reserved, left, and when it starts anew."""
    st.subheader("In force", anchor=False)
    rows = [
        {
            "limit": limit_words(*line.use.limit.key),
            "amount": exact(line.use.limit.unit, line.use.limit.amount),
            "used": min(1.0, line.use.used / line.use.limit.amount),
            "settled": amount(line.use.limit.unit, line.use.settled),
            "reserved": amount(line.use.limit.unit, line.use.reserved),
            "left": left(line.use),
            "starts anew": times.short(next_start(line.use.limit.window, now, timezone)),
            "since": _since(line.stored),
        }
        for line in lines
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="limits",
        column_config={
            "used": st.column_config.ProgressColumn("used", format="percent", max_value=1.0),
            "limit": st.column_config.TextColumn(width="medium"),
            **right("amount", "settled", "reserved", "left"),
        },
    )
    book = "simulated money" if mode is Mode.MOCK else "real money"
    st.caption(
        f"{len(lines)} limits for {book}. Used is settled and reserved together: what is reserved was "
        "granted and is not billed yet."
    )


def history(changes: Sequence[LimitChange]) -> None:
    """Who changed what, from what to what, why, and until when."""
    st.subheader("History", anchor=False)
    if not changes:
        st.caption("Nobody changed a limit yet: the settings of the environment hold.")
        return
    rows = [
        {
            "when": times.short(change.at),
            "who": change.actor,
            "limit": limit_words(change.scope, change.window, change.unit),
            "before": exact(change.unit, change.before),
            "after": exact(change.unit, change.after),
            "until": times.short(change.expires_at) if change.expires_at else "changed again",
            "why": change.reason,
        }
        for change in changes
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="limit-history",
        column_config=right("before", "after"),
    )


def _since(stored: LimitChange | None) -> str:
    if stored is None:
        return "the settings"
    until = f", until {times.short(stored.expires_at)}" if stored.expires_at else ""
    return f"{stored.actor}{until}"
