"""The price, line by line, before the button is pressed."""

import pandas as pd
import streamlit as st

from core.domain.money import Tier
from core.services.quotes import Quote, QuoteLine
from dashboard.wording import money, plain, tier_name

__all__ = ["show", "tier_prices"]

_NAMED = 5


def show(quote: Quote) -> None:
    """One row per document."""
    refused = [line for line in quote.lines if not line.upload.document.is_parsable]
    for line in refused[:_NAMED]:
        st.warning(plain(f"{line.upload.name}: {line.note}"), icon=":material/block:")
    if len(refused) > _NAMED:
        st.caption(f"{len(refused) - _NAMED} more cannot be read; the notes in the table say why.")
    rows = [
        {
            "document": line.upload.name,
            "pages": line.upload.document.page_count,
            "need OCR": len(line.upload.document.pages_needing_ocr) if line.will_parse else None,
            "plan": _plan(line, quote.tier),
            "price": money(line.usd) if line.will_parse else "$0.00",
            "note": line.note,
        }
        for line in quote.lines
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="–",
        key="quote",
        column_config={
            "price": st.column_config.TextColumn(alignment="right"),
            "note": st.column_config.TextColumn(width="large"),
        },
    )


def tier_prices(quote: Quote) -> str:
    """The same documents at each tier, in one line."""
    sums = [
        f"{tier_name(tier)} {money(sum((line.by_tier[tier] for line in quote.parsable), start=quote.usd * 0))}"
        for tier in Tier
    ]
    return " · ".join(sums)


def _plan(line: QuoteLine, tier: Tier) -> str:
    if line.plan is None:
        return "–"
    pages = line.upload.document.page_count
    count = f"{pages} page{'s' if pages > 1 else ''}" if pages else "all pages"
    return f"{count}, {tier_name(tier)}"
