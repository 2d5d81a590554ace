"""The month's statement on the Spend screen: chosen, read, and taken out as CSV."""

import pandas as pd
import streamlit as st

from core.domain.routing import Mode
from core.errors import PriceMissing
from core.services.statements import Statements
from dashboard.components.columns import right
from dashboard.wording import money, plain, tier_name

__all__ = ["show"]


def show(statements: Statements, mode: Mode) -> None:
    """Use by tier, the plan's fee and its credits, and what that comes to."""
    simulated = mode is Mode.MOCK
    st.subheader("Statement" + (" (simulated)" if simulated else ""), anchor=False)
    months = {f"{month:%Y-%m}": month for month in statements.months()}
    chosen = st.selectbox(
        "Month",
        list(months),
        key="month",
        width=200,
        bind="query-params",
        label_visibility="collapsed",
    )
    try:
        bill = statements.of(mode, months.get(chosen or "", next(iter(months.values()))))
    except PriceMissing as missing:
        st.info(plain(f"{missing.what} {missing.next_step}"), icon=":material/info:")
        return
    words = (
        f"**{money(bill.total_usd)}** for {bill.month:%B %Y} on plan {bill.plan}: fee {money(bill.fee_usd)}, "
        f"{bill.credits:,} credits of {bill.included:,} included, {bill.over_credits:,} beyond for "
        f"{money(bill.over_usd)}."
    )
    st.markdown(words.replace("$", "\\$"))
    if bill.lines:
        rows = [
            {
                "tier": tier_name(line.tier),
                "pages": line.pages,
                "credits": line.credits,
                "counted": money(line.usd),
            }
            for line in bill.lines
        ]
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            key="statement",
            column_config={
                "pages": st.column_config.NumberColumn(format="localized"),
                "credits": st.column_config.NumberColumn(format="localized"),
                **right("counted"),
            },
        )
    st.caption(
        "Counted is what the ledger holds against the limits. What is not billed yet is not in it; the plan is set on Limits."
    )
    mark = ".simulated" if simulated else ""
    st.download_button(
        "CSV",
        data=lambda: bill.frame().to_csv(index=False).encode(),
        file_name=f"statement-{bill.month:%Y-%m}{mark}.csv",
        mime="text/csv",
        key="csv-statement",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )
