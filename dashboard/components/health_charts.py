"""Charts of an engine's health, as values: nothing is drawn here."""

from collections.abc import Sequence

import plotly.graph_objects as go

from core.domain.availability import Period
from dashboard.components import times

__all__ = ["availability", "latency", "summary"]

_OK, _SLOW, _FAILED, _NONE = "#12A594", "#E5A000", "#D6409F", "rgba(122,134,153,0.25)"
_P50, _P95 = "#2F6FED", "#8E6BD6"


def summary(periods: Sequence[Period]) -> str:
    """The strip in words: how many calls were answered, in how many periods some failed."""
    calls = sum(period.calls for period in periods)
    if not calls:
        return "No calls in the last 24 hours."
    failed = sum(period.failed for period in periods)
    bad, slow = (
        sum(map(bool, found)) for found in zip(*((p.failed, p.slow) for p in periods), strict=True)
    )
    noun = "period" if bad == 1 else "periods"
    trouble = f", failures in {bad} {noun} of 5 minutes (hatched)" if bad else ""
    trouble += f", slow answers in {slow} (yellow)" if slow else ""
    return f"{(calls - failed) / calls:.1%} of {calls:,} calls answered in 24 hours{trouble}."


def availability(periods: Sequence[Period]) -> go.Figure:
    """A strip with a cell per period: answered, slow, failed (hatched), nobody asked."""
    colors = [_color(period) for period in periods]
    bar = go.Bar(
        x=[times.here(period.start) for period in periods],
        y=[1 if period.calls else 0.25 for period in periods],
        marker={
            "color": colors,
            "line": {"width": 0},
            "pattern": {"shape": ["/" if p.failed else "" for p in periods], "size": 4},
        },
        customdata=[_words(period) for period in periods],
        hovertemplate="%{x|%d %b %H:%M}<br>%{customdata}<extra></extra>",
    )
    figure = go.Figure(bar)
    figure.update_layout(
        height=80,
        bargap=0.1,
        margin={"l": 0, "r": 0, "t": 4, "b": 20},
        showlegend=False,
        yaxis={"visible": False, "range": [0, 1], "fixedrange": True},
        xaxis={"fixedrange": True, "showgrid": False},
    )
    return figure


def latency(periods: Sequence[Period]) -> go.Figure:
    """Median and 95th percentile of answered calls, in milliseconds."""
    figure = go.Figure()
    for name, color, dash, values in (
        ("p50", _P50, "solid", [p.p50_s for p in periods]),
        ("p95", _P95, "dot", [p.p95_s for p in periods]),
    ):
        figure.add_scatter(
            x=[times.here(period.start) for period in periods],
            y=[None if value is None else value * 1000 for value in values],
            name=name,
            mode="lines+markers",
            line={"color": color, "dash": dash, "width": 2},
            marker={"size": 4},
            connectgaps=False,
            hovertemplate="%{x|%d %b %H:%M}<br>" + name + " %{y:,.0f} ms<extra></extra>",
        )
    figure.update_layout(
        height=220,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "y": 1.15, "x": 0},
        yaxis={"rangemode": "tozero", "ticksuffix": " ms", "fixedrange": True},
        xaxis={"fixedrange": True},
    )
    return figure


def _color(period: Period) -> str:
    if not period.calls:
        return _NONE
    if period.failed:
        return _FAILED
    return _SLOW if period.slow else _OK


def _words(period: Period) -> str:
    if not period.calls:
        return "nobody asked"
    parts = [f"{period.calls:,} calls"]
    parts += [f"{period.failed:,} failed"] if period.failed else []
    parts += [f"{period.slow:,} slow"] if period.slow else []
    if period.p50_s is not None:
        parts.append(f"median {period.p50_s * 1000:,.0f} ms")
    return ", ".join(parts)
