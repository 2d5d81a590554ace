"""A card for each engine: how it does, what is being tried, what a page costs, what it can take."""

from collections.abc import Iterable
from datetime import datetime

import streamlit as st

from core.domain.money import Price, Tier
from core.engines.registry import EngineCard
from core.services.engines import EngineState
from dashboard.components import breaker_words
from dashboard.wording import money, plain, tier_name

__all__ = ["show"]


def show(states: Iterable[EngineState], price: Price, now: datetime) -> None:
    """One card per engine, side by side where there is room."""
    with st.container(horizontal=True, key="engines"):
        for state in states:
            _card(state, price, now)


def _card(state: EngineState, price: Price, now: datetime) -> None:
    card = state.card
    with st.container(border=True, key=f"engine-{card.name}", height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(card.title)}**")
            if state.health.next_probe_at is not None:
                sign = breaker_words.sign(state)
                st.badge(sign.word, icon=sign.icon, color=sign.color)
        st.markdown(plain(_health(state, now)))
        probed = "" if state.probed_s is None else f" The newest took {_ms(state.probed_s)}."
        facts = [
            f"A page costs {_cost(card, price)}.",
            f"{breaker_words.next_probe(state, now)}{probed}".strip(),
            _takes(card),
        ]
        st.caption(plain(" ".join(filter(None, facts))))


def _health(state: EngineState, now: datetime) -> str:
    if state.health.next_probe_at is None:
        return "Nobody asked it yet."
    return " ".join(breaker_words.sentences(state, now))


def _cost(card: EngineCard, price: Price) -> str:
    if not card.tiers:
        usd = price.usd(card.credits(price, next(iter(Tier)), 1))
        return money(usd) if usd else "nothing"
    costs = [money(price.usd(card.credits(price, tier, 1))) for tier in card.tiers]
    return f"{costs[0]} to {costs[-1]}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def _takes(card: EngineCard) -> str:
    """``Tiers: fast, agentic. Languages: English.``, and whether it reads chosen pages."""
    tiers = f"Tiers: {', '.join(tier_name(tier) for tier in card.tiers)}. " if card.tiers else ""
    pages = "" if card.page_ranges else " Whole documents only."
    return f"{tiers}Languages: {card.languages}.{pages}"
