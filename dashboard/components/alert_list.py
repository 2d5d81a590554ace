"""What leads were told about money lately."""

from collections.abc import Sequence

import streamlit as st

from core.store.alerts import Alert
from dashboard.components import times
from dashboard.wording import plain

__all__ = ["show"]

_SHOWN = 3


def show(alerts: Sequence[Alert]) -> None:
    """The newest alerts, one line each; the rest on request."""
    for alert in alerts[:_SHOWN]:
        st.warning(
            plain(f"{times.short(alert.at)}: {alert.what} {alert.next_step}"),
            icon=":material/notifications:",
        )
    if len(alerts) > _SHOWN:
        with st.expander(f"{len(alerts) - _SHOWN} earlier alerts"):
            for alert in alerts[_SHOWN:]:
                st.caption(plain(f"{times.short(alert.at)}: {alert.what}"))
