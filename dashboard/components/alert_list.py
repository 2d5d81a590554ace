"""What leads were told about money lately."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import streamlit as st

from core.store.alerts import Alert
from dashboard.wording import plain

__all__ = ["show"]

_SHOWN = 3


def show(alerts: Sequence[Alert], timezone: str) -> None:
    """The newest alerts, one line each, at the time of the zone in which days begin; the rest on request."""
    zone = ZoneInfo(timezone)
    for alert in alerts[:_SHOWN]:
        st.warning(
            plain(f"{alert.at.astimezone(zone):%d %b %H:%M}: {alert.what} {alert.next_step}"),
            icon=":material/notifications:",
        )
    if len(alerts) > _SHOWN:
        with st.expander(f"{len(alerts) - _SHOWN} earlier alerts"):
            for alert in alerts[_SHOWN:]:
                st.caption(plain(f"{alert.at.astimezone(zone):%d %b %H:%M}: {alert.what}"))
