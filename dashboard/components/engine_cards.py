"""What each engine can take and what a page costs with it."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from core.domain.money import Price
from core.engines.registry import EngineCard
from dashboard.components.columns import right
from dashboard.wording import money, tier_name

__all__ = ["show"]


def show(cards: Iterable[EngineCard], price: Price) -> None:
    """One row per engine."""
    rows = [
        {
            "engine": card.title,
            "a page costs": _cost(card, price),
            "tiers": ", ".join(tier_name(tier) for tier in card.tiers) or "one way to read",
            "chosen pages": "yes" if card.page_ranges else "no",
            "languages": card.languages,
        }
        for card in cards
    ]
    st.dataframe(
        pd.DataFrame(rows), hide_index=True, key="engines", column_config=right("a page costs")
    )


def _cost(card: EngineCard, price: Price) -> str:
    if not card.tiers:
        return "free"
    costs = [money(price.usd(card.credits(price, tier, 1))) for tier in card.tiers]
    return f"{costs[0]} to {costs[-1]}"
