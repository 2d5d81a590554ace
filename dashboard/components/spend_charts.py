"""The parts of the Spend screen: each a figure, what it says in words, and its numbers as CSV."""

from decimal import Decimal
from typing import Any

import pandas as pd
import streamlit as st

from core.domain.budgets import Unit, Window
from core.domain.money import usd_from_micros
from core.domain.routing import Mode
from core.services.reports import BurnDown, Month, Report
from core.services.spend import SpendToday
from dashboard.components import spend_figures
from dashboard.components.columns import right
from dashboard.wording import money, tier_name

__all__ = ["drivers", "estimated_and_billed", "over_time", "today", "waste_and_saved"]


def today(burn_down: BurnDown, month: Month, mode: Mode) -> None:
    """Today against its limit, and what the month will come to."""
    st.subheader("Today", anchor=False)
    last = burn_down.hours.iloc[-1]
    settled, reserved = _usd(last["settled_usd"]), _usd(last["reserved_usd"])
    limit = burn_down.limit_usd
    of = f" of {money(limit)}" if limit is not None else ""
    words = f"**{money(settled + reserved)}{of}** used: {money(settled)} settled, {money(reserved)} reserved. "
    words += burn_down.words
    st.markdown(words.replace("$", "\\$"))
    _figure(spend_figures.burn_down(burn_down, _mark(mode)), burn_down.hours, "today", mode)
    st.markdown(_month(month).replace("$", "\\$"))


def over_time(report: Report, day: SpendToday, mode: Mode) -> None:
    """Spend by day, or by hour, stacked by the chosen thing."""
    st.subheader("By hour" if report.is_hourly else "By day", anchor=False)
    if report.frame.empty:
        st.info("Nothing was spent in this range. Parse a document, or choose a longer range.")
        return
    total = _usd(report.frame["settled_usd"].sum())
    reserved = _usd(report.frame["reserved_usd"].sum())
    st.caption(
        f"{money(total)} settled, {money(reserved)} reserved, {int(report.frame['pages'].sum()):,} pages.".replace(
            "$", "\\$"
        )
    )
    use = day.use(Window.DAY, Unit.USD)
    limit = usd_from_micros(use.limit.amount) if use is not None else None
    figure = spend_figures.over_time(report, limit, _mark(mode))
    _figure(figure, report.frame, f"spend-by-{report.by}", mode)


def drivers(report: Report, mode: Mode) -> None:
    """Who or what drives the spending."""
    if report.frame.empty:
        return
    st.subheader("Drivers", anchor=False)
    table = report.drivers
    total = table["settled_usd"].sum()
    shown = pd.DataFrame(
        {
            report.by.replace("actor", "person"): [tier_name(v) or "none" for v in table["value"]],
            "settled": [money(_usd(v)) for v in table["settled_usd"]],
            "share": [100 * v / total if total else 0.0 for v in table["settled_usd"]],
            "credits": table["credits"],
            "pages": table["pages"],
            "submits": table["submits"],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        key="drivers",
        column_config={
            **right("settled"),
            "share": st.column_config.ProgressColumn(format="%.0f %%", max_value=100),
            "credits": st.column_config.NumberColumn(format="localized"),
            "pages": st.column_config.NumberColumn(format="localized"),
        },
    )
    _csv(table, f"drivers-by-{report.by}", mode)


def waste_and_saved(report: Report, mode: Mode) -> None:
    """What was paid and brought nothing new; what was not paid."""
    if report.frame.empty:
        return
    with st.container(horizontal=True):
        for title, frame, column, words in (
            ("Waste", report.waste, "settled_usd", "failed, cancelled or parsed again"),
            ("Saved", report.saved, "saved_usd", "cached, local pages, duplicates not parsed"),
        ):
            with st.container(width="stretch"):
                st.subheader(title, anchor=False)
                amount = money(_usd(frame[column].sum())).replace("$", "\\$")
                st.caption(f"{amount}: {words}.")
                if frame[column].any():
                    figure = spend_figures.small(frame, column, _mark(mode))
                    _figure(figure, frame, title.lower(), mode)


def estimated_and_billed(report: Report, mode: Mode) -> None:
    """Quotes beside bills."""
    ended = report.outcomes[report.outcomes["value"] != "open"]
    if ended.empty:
        return
    st.subheader("Estimated and billed", anchor=False)
    estimated, billed = _usd(ended["estimated_usd"].sum()), _usd(ended["settled_usd"].sum())
    st.caption(f"{money(estimated)} estimated, {money(billed)} billed.".replace("$", "\\$"))
    figure = spend_figures.estimated_and_billed(report.outcomes, _mark(mode))
    _figure(figure, ended, "estimated-and-billed", mode)


def _figure(figure: Any, frame: pd.DataFrame, name: str, mode: Mode) -> None:
    st.plotly_chart(figure, key=f"chart-{name}", config={"displaylogo": False})
    _csv(frame, name, mode)


def _csv(frame: pd.DataFrame, name: str, mode: Mode) -> None:
    marked = f"{name}.simulated" if mode is Mode.MOCK else name
    st.download_button(
        "CSV",
        data=lambda: frame.to_csv(index=False).encode(),
        file_name=f"{marked}.csv",
        mime="text/csv",
        key=f"csv-{name}",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


def _month(month: Month) -> str:
    words = f"This month **{money(month.spent_usd)}** so far"
    if month.forecast is None:
        return f"{words}; a forecast needs three whole days."
    low, high = money(_usd(month.forecast.low)), money(_usd(month.forecast.high))
    middle = money(_usd(month.forecast.middle))
    of = f", limit {money(month.limit_usd)}" if month.limit_usd is not None else ""
    return (
        f"{words}, and {low} to {high} by its end (eight times in ten; most likely {middle}{of})."
    )


def _mark(mode: Mode) -> str:
    return "simulated" if mode is Mode.MOCK else ""


def _usd(value: float) -> Decimal:
    return Decimal(str(round(value, 6)))
