"""The price book: what holds today, a dialog for a new dated price, and every entry there ever was."""

from decimal import Decimal

import pandas as pd
import streamlit as st

from core.domain.counts import counted
from core.domain.jobs import Actor
from core.domain.money import ANY, PriceKind
from core.services.prices import KEYS, Prices
from dashboard.components import reasons
from dashboard.components.columns import right
from dashboard.components.reasons import Answer

__all__ = ["show"]

_WORDS = {
    PriceKind.PAGE: "a page",
    PriceKind.SHEET: "a sheet of a spreadsheet, on top of its page",
    PriceKind.AUDIO_MINUTE: "a minute of sound (never ordered)",
    PriceKind.OPTION: "an option, for each page (never ordered)",
    PriceKind.CREDIT: "a credit",
    PriceKind.PLAN_FEE: "a plan, each month",
    PriceKind.PLAN_CREDITS: "credits that a plan includes, each month",
}


def show(prices: Prices, actor: Actor) -> None:
    """What holds today, and how it came about."""
    st.subheader("Price book", anchor=False)
    current = prices.current()
    rows = [
        {
            "for": _WORDS[entry.kind],
            "which": _key(entry.key, entry.version),
            "price": _price(entry.kind, entry.amount),
            "since": f"{entry.valid_from:%d %b %Y}",
        }
        for entry in current
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="prices", column_config=right("price"))
    st.caption(
        f"{len(rows)} prices hold today. A new price is a new dated entry; what was reserved under an "
        "old one keeps it. What has no price is not parsed."
    )
    with st.container(horizontal=True):
        if st.button("New price…", key="price-add"):
            _add(prices, actor)
    with st.expander("Every entry", key="price-history"):
        st.dataframe(
            pd.DataFrame(
                {
                    "from": f"{change.valid_from:%d %b %Y}",
                    "for": _WORDS[change.kind],
                    "which": _key(change.key, change.version),
                    "price": _price(change.kind, change.amount),
                    "who": change.actor,
                    "why": change.reason,
                }
                for change in prices.history()
            ),
            hide_index=True,
            column_config=right("price"),
        )


@st.dialog("New price")
def _add(prices: Prices, actor: Actor) -> None:
    kinds = {words: kind for kind, words in _WORDS.items() if kind in KEYS}
    kind = kinds[st.selectbox("For", list(kinds), key="price-kind") or next(iter(kinds))]
    keys = {_key(key, ANY): key for key in KEYS[kind]}
    key = keys[st.selectbox("Which", list(keys), key="price-key") or next(iter(keys))]
    version = ""
    if kind is PriceKind.PAGE:
        version = st.text_input("Only for version", key="price-version", placeholder="any") or ""
    unknown = st.toggle("No price is known from then on", key="price-unknown")
    unit = "Dollars" if kind.is_money else "Credits"
    amount = None if unknown else st.text_input(unit, key="price-amount") or ""
    begins = st.date_input("From", value=prices.today(), key="price-from")
    reasons.ask(
        "price-reason",
        Answer(
            "Store",
            "price-store",
            lambda why: prices.add(kind, key, amount, begins, actor, why, version=version),
            is_main=True,
        ),
        placeholder="where the new price comes from",
    )


def _key(key: str, version: str) -> str:
    words = key.replace("_", " ").replace("*/*", "everywhere").replace("*/", "any region, ")
    words = words.replace("/*", ", any plan").replace(ANY, "all")
    return words if version == ANY else f"{words}, version {version}"


def _price(kind: PriceKind, amount: Decimal | None) -> str:
    if amount is None:
        return "not known: nothing is spent on it"
    if kind.is_money:
        return f"${amount.normalize():f}" if amount % 1 else f"${int(amount):,}"
    return counted(int(amount), "credit")
