"""The price, line by line, before the button is pressed."""

from decimal import Decimal

import pandas as pd
import streamlit as st

from core.domain.counts import counted
from core.domain.documents import EngineName
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.limits import limit_words
from core.services.quotes import Quote, QuoteLine, limit_shares
from dashboard.components.columns import right
from dashboard.wording import engine_name, money, plain, tier_name

__all__ = ["reasons", "shares_line", "show", "sum_line", "tier_prices"]

_NAMED = 5


def show(quote: Quote) -> None:
    """One row per document; what stands in the way of one is said above them."""
    refused = _refused(quote)
    for note, names in list(refused.items())[:_NAMED]:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        st.warning(plain(f"{', '.join(names[:_NAMED])}{more}: {note}"), icon=":material/block:")
    if left := sum(len(names) for names in list(refused.values())[_NAMED:]):
        st.caption(f"{left:,} more cannot be parsed; the notes in the table say why.")
    rows = [
        {
            "document": line.upload.name,
            # beside the name, so that a narrow screen has it
            # what is there already is free; what cannot be parsed has no price
            "price": "–"
            if _is_refused(line)
            else money(line.usd if line.will_parse else Decimal(0)),
            "pages": line.upload.document.page_count,
            "may need OCR": _needing_ocr(line),
            "plan": _plan(line, quote.mode),
            "credits": None if _is_refused(line) else line.credits if line.will_parse else 0,
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
            "credits": st.column_config.NumberColumn(format="localized"),
            **right("price"),
            "note": st.column_config.TextColumn(width="large"),
        },
    )


def _is_refused(line: QuoteLine) -> bool:
    return not (line.will_parse or line.upload.same_as or line.earlier is not None)


def _refused(quote: Quote) -> dict[str, list[str]]:
    """The names of what cannot be parsed, by the reason why."""
    found: dict[str, list[str]] = {}
    for line in quote.lines:
        if _is_refused(line):
            found.setdefault(line.note, []).append(line.upload.name)
    return found


def reasons(quote: Quote) -> list[str]:
    """Why pages go where they go, a line per document that is not simply sent as a whole."""
    return [
        f"{line.upload.name}: {line.plan.reason}"
        for line in quote.parsable
        if line.plan is not None and (len(line.plan.attempts) > 1 or line.plan.is_provisional)
    ]


def _needing_ocr(line: QuoteLine) -> int | None:
    """How many pages; None where nobody knows before it is parsed."""
    document = line.upload.document
    return len(document.pages_needing_ocr) if line.will_parse and document.page_count else None


def tier_prices(quote: Quote) -> str:
    """The same documents at each tier, in one line."""
    sums = [
        f"{tier_name(tier)} {money(sum((line.by_tier[tier] for line in quote.parsable), start=quote.usd * 0))}"
        for tier in Tier
        if all(tier in line.by_tier for line in quote.parsable)
    ]
    return " · ".join(sums)


def sum_line(quote: Quote) -> str:
    """All documents in one line: pages by engine, credits, dollars."""
    pages: dict[str, int] = {}
    for line in quote.parsable:
        for where, count in _pages_by_engine(line, quote.mode):
            pages[where] = pages.get(where, 0) + (count or line.upload.priced_pages)
    by_engine = ", ".join(f"{count:,} by {where}" for where, count in pages.items())
    total = sum(pages.values())
    most = "" if all(line.upload.document.page_count for line in quote.parsable) else "at most "
    return f"{most}{counted(total, 'page')}: {by_engine} · {counted(quote.credits, 'credit')} · {money(quote.usd)}"


def shares_line(quote: Quote) -> str:
    """What it takes of what is left of each limit, in one line."""
    return " · ".join(
        f"{'more than' if share is None or share > 1 else f'{share:.0%} of what'} is left of the "
        f"{limit_words(*use.limit.key)}"
        for use, _asked, share in limit_shares(quote)
    )


def _plan(line: QuoteLine, mode: Mode) -> str:
    if line.plan is None:
        return "–"
    return ", ".join(
        f"{'all pages' if count is None else counted(count, 'page')} by {where}"
        for where, count in _pages_by_engine(line, mode)
    )


def _pages_by_engine(line: QuoteLine, mode: Mode) -> list[tuple[str, int | None]]:
    attempts = line.plan.attempts if line.plan is not None else ()
    return [
        (
            engine_name(attempt.engine, mode)
            + (f", {tier_name(attempt.tier)}" if attempt.engine is EngineName.LLAMAPARSE else "")
            + (", provisional" if attempt.is_provisional else ""),
            len(attempt.target_pages) or line.upload.document.page_count,
        )
        for attempt in attempts
    ]


def _note(line: QuoteLine, tier: Tier) -> str:
    """What there is to say of the line; in words what is saved."""
    if line.plan is None or line.usd >= line.full_usd:
        return line.note
    saved = f"was {money(line.full_usd)} all-{tier_name(tier)}"
    return f"{line.note}; {saved}" if line.note else saved
