"""The figures of the Spend screen: tables in, plotly figures out; nothing here knows Streamlit."""

from collections.abc import Mapping
from decimal import Decimal

import pandas as pd
import plotly.graph_objects as go

from core.domain.money import usd_exact
from core.services.reports import BurnDown, Report
from dashboard.wording import tier_name

__all__ = ["burn_down", "estimated_and_billed", "over_time", "small"]

SERIES = ("#2F6FED", "#12A594", "#8E6BD6", "#E5A000", "#D6409F", "#7A8699")
"""Told apart by lightness too; the same tier, engine or outcome always has the same colour."""

_FIXED = {
    "fast": 1,
    "cost_effective": 0,
    "agentic": 2,
    "agentic_plus": 3,
    "llamaparse": 0,
    "local": 1,
    "done": 0,
    "repeat": 3,
    "failed": 4,
    "cancelled": 5,
    "cached": 1,
    "open": 2,
}
_GREY = "#7A8699"
_MOST = 6
_DAY_MS = 86_400_000
_DAYS_NAMED = 10


def burn_down(facts: BurnDown, simulated: str) -> go.Figure:
    """Settled as an area, reserved hatched on top, the limit as a line, the projection dotted."""
    frame = facts.hours
    figure = go.Figure()
    figure.add_scatter(
        x=frame["at"],
        y=frame["settled_usd"],
        name="settled",
        stackgroup="used",
        line={"color": SERIES[0], "width": 2},
        hovertemplate="$%{y:.2f} settled<extra></extra>",
    )
    if frame["reserved_usd"].any():
        figure.add_scatter(
            x=frame["at"],
            y=frame["reserved_usd"],
            name="reserved, not billed yet",
            stackgroup="used",
            line={"color": SERIES[3], "width": 2},
            fillpattern={"shape": "/", "fgcolor": SERIES[3], "size": 6, "solidity": 0.35},
            hovertemplate="$%{y:.2f} reserved<extra></extra>",
        )
    if facts.limit_usd is not None:
        limit = float(facts.limit_usd)
        _line(figure, limit, f"limit {usd_exact(facts.limit_usd)}")
        used = float(frame["settled_usd"].iloc[-1] + frame["reserved_usd"].iloc[-1])
        if facts.reached is not None and used < limit:
            figure.add_scatter(
                x=[facts.now, facts.reached],
                y=[used, limit],
                name=f"limit reached about {facts.reached:%H:%M}",
                mode="lines",
                line={"color": SERIES[4], "width": 3, "dash": "dot"},
                hoverinfo="skip",
            )
    figure.update_xaxes(range=[frame["at"].iloc[0], facts.ends], tickformat="%H:%M")
    return _dressed(figure, simulated)


def over_time(report: Report, limit_usd: Decimal | None, simulated: str) -> go.Figure:
    """Bars stacked by the chosen thing; what is reserved lies hatched on top; the limit is a line."""
    figure = go.Figure()
    frame = report.frame
    order = frame.groupby("value")["settled_usd"].sum().sort_values(ascending=False).index
    shown = list(order[:_MOST])
    rest = frame[~frame["value"].isin(shown)]
    for number, value in enumerate(shown):
        one = frame[frame["value"] == value]
        _bars(figure, one, _name(value), _color(value, number))
    if len(rest):
        summed = rest.groupby("window", as_index=False)[["settled_usd"]].sum()
        _bars(figure, summed, f"{len(order) - _MOST} more", _GREY)
    reserved = frame.groupby("window", as_index=False)[["reserved_usd"]].sum()
    if reserved["reserved_usd"].any():
        figure.add_bar(
            x=_times(reserved["window"]),
            y=reserved["reserved_usd"],
            name="reserved, not billed yet",
            marker={"color": SERIES[3], "pattern": {"shape": "/", "solidity": 0.35}},
            hovertemplate="$%{y:.2f} reserved<extra></extra>",
        )
    if limit_usd is not None and not report.is_hourly:
        _line(figure, float(limit_usd), f"limit {usd_exact(limit_usd)} a day")
    figure.update_layout(barmode="stack", bargap=0.2)
    _to_scale(figure, frame["window"])
    return _dressed(figure, simulated)


def small(frame: pd.DataFrame, column: str, simulated: str) -> go.Figure:
    """Waste or savings over time, stacked by outcome."""
    figure = go.Figure()
    for number, value in enumerate(sorted(frame["value"].unique())):
        words = _SAVED.get(value, _name(value)) if column == "saved_usd" else _name(value)
        _bars(figure, frame[frame["value"] == value], words, _color(value, number), column)
    figure.update_layout(barmode="stack", bargap=0.2)
    _to_scale(figure, frame["window"])
    return _dressed(figure, simulated, height=220)


def estimated_and_billed(outcomes: pd.DataFrame, simulated: str) -> go.Figure:
    """What was estimated beside what was billed, for the work that has ended."""
    ended = outcomes[outcomes["value"] != "open"]
    sums = ended.groupby("window", as_index=False)[["estimated_usd", "settled_usd"]].sum()
    figure = go.Figure()
    for column, name, color in (
        ("estimated_usd", "estimated", _GREY),
        ("settled_usd", "billed", SERIES[0]),
    ):
        _bars(figure, sums, name, color, column)
    figure.update_layout(barmode="group", bargap=0.25)
    _to_scale(figure, sums["window"])
    return _dressed(figure, simulated, height=260)


def _bars(
    figure: go.Figure, frame: pd.DataFrame, name: str, color: str, column: str = "settled_usd"
) -> None:
    figure.add_bar(
        x=_times(frame["window"]),
        y=frame[column],
        name=name,
        marker={"color": color},
        hovertemplate=f"$%{{y:.2f}} {name}<extra></extra>",
    )


def _line(figure: go.Figure, at: float, words: str) -> None:
    figure.add_hline(
        y=at,
        line={"color": SERIES[4], "width": 2, "dash": "dash"},
        annotation={"text": words, "font": {"size": 13}},
        annotation_position="top left",
    )


def _to_scale(figure: go.Figure, windows: "pd.Series[str]") -> None:
    """A bar is as wide as its day or hour, also when it is alone: else the axis shows milliseconds."""
    is_hourly = any("T" in window for window in windows)
    wide = _DAY_MS // 24 if is_hourly else _DAY_MS
    count = len(figure.data) if figure.layout.barmode == "group" else 1
    for number, bar in enumerate(figure.data):
        bar.width = 0.8 * wide / count
        bar.offset = -0.4 * wide + (number * bar.width if count > 1 else 0)
    if not is_hourly and windows.nunique() <= _DAYS_NAMED:
        figure.update_xaxes(tickformat="%d %b", dtick=_DAY_MS)


def _times(windows: "pd.Series[str]") -> list[str]:
    """Hours lose their offset for the axis: what is shown is the wall clock."""
    return [window[:13] + ":00" if "T" in window else window for window in windows]


def _name(value: str) -> str:
    return _WORDS.get(value, tier_name(value)) or "none"


_WORDS: Mapping[str, str] = {
    "llamaparse": "LlamaParse",
    "local": "local engine",
    "repeat": "parsed again",
    "cached": "from the cache",
    "avoided": "duplicate not parsed",
    "open": "reserved, not billed yet",
}


_SAVED = {"done": "made locally"}


def _color(value: str, number: int) -> str:
    return SERIES[_FIXED.get(value, number) % len(SERIES)]


def _dressed(figure: go.Figure, simulated: str, *, height: int = 320) -> go.Figure:
    figure.update_yaxes(tickprefix="$", rangemode="tozero", title=None)
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        legend={"orientation": "h", "y": -0.18, "x": 0},
        hovermode="x unified",
        dragmode="zoom",
    )
    if simulated:
        figure.add_annotation(
            text=simulated, xref="paper", yref="paper", x=1, y=1.1, showarrow=False, xanchor="right"
        )
    return figure
