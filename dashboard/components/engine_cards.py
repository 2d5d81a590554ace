"""What each engine can take, what a page costs with it, and how it does."""

from collections.abc import Iterable
from datetime import datetime

import pandas as pd
import streamlit as st

from core.domain.money import Price, Tier
from core.engines.registry import EngineCard
from core.services.engines import EngineState
from dashboard.components.columns import right
from dashboard.wording import BREAKER_SIGNS, ON_HOLD, duration, money, tier_name

__all__ = ["show"]


def show(states: Iterable[EngineState], price: Price, now: datetime) -> None:
    """One row per engine."""
    rows = [
        {
            "engine": state.card.title,
            "a page costs": _cost(state.card, price),
            "health": _health(state),
            "newest probe": _took(state.probed_s),
            "next probe": _next(state, now),
            "tiers": ", ".join(tier_name(tier) for tier in state.card.tiers) or "one way to read",
            "chosen pages": "yes" if state.card.page_ranges else "no",
            "languages": state.card.languages,
        }
        for state in states
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="engines",
        column_config=right("a page costs", "newest probe", "next probe"),
    )


def _cost(card: EngineCard, price: Price) -> str:
    if not card.tiers:
        usd = price.usd(card.credits(price, next(iter(Tier)), 1))
        return money(usd) if usd else "free"
    costs = [money(price.usd(card.credits(price, tier, 1))) for tier in card.tiers]
    return f"{costs[0]} to {costs[-1]}"


def _health(state: EngineState) -> str:
    if state.health.next_probe_at is None:
        return "– not asked yet"
    sign = ON_HOLD if state.health.hold else BREAKER_SIGNS[state.health.breaker.state]
    return f"{sign.mark} {sign.word}"


def _took(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:,.0f} ms"


def _next(state: EngineState, now: datetime) -> str:
    """``in 12 s``; a dash when nobody asks in this mode, or no worker is running."""
    at = state.health.next_probe_at
    return f"in {duration(at - now)}" if at is not None and at > now else "–"
