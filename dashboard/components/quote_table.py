"""The price, line by line, before the button is pressed."""

import pandas as pd
import streamlit as st

from core.domain.documents import EngineName
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.quotes import Quote, QuoteLine
from dashboard.wording import engine_name, money, plain, tier_name

__all__ = ["reasons", "show", "tier_prices"]

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
            "plan": _plan(line, quote.mode),
            "price": money(line.usd) if line.will_parse else "$0.00",
            "note": _note(line, quote.tier),
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


def reasons(quote: Quote) -> list[str]:
    """Why pages go where they go, a line per document that is not simply sent as a whole."""
    return [
        f"{line.upload.name}: {line.plan.reason}"
        for line in quote.parsable
        if line.plan is not None and (len(line.plan.attempts) > 1 or line.plan.is_provisional)
    ]


def tier_prices(quote: Quote) -> str:
    """The same documents at each tier, in one line."""
    sums = [
        f"{tier_name(tier)} {money(sum((line.by_tier[tier] for line in quote.parsable), start=quote.usd * 0))}"
        for tier in Tier
    ]
    return " · ".join(sums)


def _plan(line: QuoteLine, mode: Mode) -> str:
    """``22 pages local · 2 pages LlamaParse agentic``."""
    if line.plan is None:
        return "–"
    total = line.upload.document.page_count
    parts = []
    for attempt in line.plan.attempts:
        count = len(attempt.target_pages) or total
        pages = f"{count} page{'' if count == 1 else 's'}" if count else "all pages"
        stands_in = ", provisional" if attempt.is_provisional else ""
        by = engine_name(attempt.engine, mode)
        tier = "" if attempt.engine is EngineName.LOCAL else f" {tier_name(attempt.tier)}"
        parts.append(f"{pages} {by}{tier}{stands_in}")
    return " · ".join(parts)


def _note(line: QuoteLine, tier: Tier) -> str:
    """What there is to say of the line; in words what is saved."""
    if line.plan is None or line.usd >= line.full_usd:
        return line.note
    saved = f"was {money(line.full_usd)} all-{tier_name(tier)}"
    return f"{line.note}; {saved}" if line.note else saved
