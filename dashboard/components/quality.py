"""The quality receipt: which pages are doubtful and why, and parsing them again at a higher tier."""

from collections.abc import Sequence

import streamlit as st

from core.console import Console
from core.domain.documents import EngineName, ParsedDocument, ParsedPage, page_ranges
from core.domain.jobs import Actor, Job
from core.domain.money import Tier
from core.domain.routing import Mode
from dashboard.wording import money, plain, tier_name

__all__ = ["next_tier", "show", "show_page"]

_TIERS = list(Tier)


def show(job: Job, result: ParsedDocument, console: Console, actor: Actor) -> None:
    """One line for the doubtful pages, with a button that has a price; nothing when all is well."""
    doubtful = [page for page in result.pages if page.doubts]
    if not doubtful or not job.status.is_final:
        return
    numbers = [page.number for page in doubtful]
    noun = "Page" if len(numbers) == 1 else "Pages"
    tier = next_tier(doubtful, job.options.tier)
    with st.container(horizontal=True, vertical_alignment="center", key="doubtful"):
        st.markdown(
            f":orange[:material/rule:] {noun} {plain(page_ranges(numbers))} may not be right; "
            "the page says why."
        )
        if tier is None:
            st.caption("There is no higher tier.")
            return
        wanted = console.again.at_tier(job, numbers, tier)
        simulated = " simulated" if job.mode is Mode.MOCK else ""
        price = money(wanted.usd).replace("$", "\\$")
        these = "this page" if len(numbers) == 1 else f"these {len(numbers)} pages"
        label = f"Parse {these} {tier_name(tier)} for {price}{simulated}"
        if st.button(label, key="receipt-again", icon=":material/upgrade:"):
            console.again.order(wanted, actor)
            st.rerun()


def show_page(page: ParsedPage) -> None:
    """What speaks against this page, and how much of its text layer was found."""
    for doubt in page.doubts:
        st.warning(plain(doubt), icon=":material/rule:")
    if page.found_share is not None:
        st.caption(f"{page.found_share:.0%} of the words of its text layer were found.")


def next_tier(pages: Sequence[ParsedPage], asked: Tier) -> Tier | None:
    """A tier above the highest that made these pages; None above the top."""
    made = [
        _TIERS.index(Tier(page.tier))
        for page in pages
        if page.engine is EngineName.LLAMAPARSE and page.tier in set(Tier)
    ]
    if not made:
        return asked
    above = max(made) + 1
    return _TIERS[above] if above < len(_TIERS) else None
