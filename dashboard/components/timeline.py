"""Everything that happened to a job, newest last."""

from collections.abc import Sequence

import streamlit as st

from core.store.deliveries import Delivery
from core.store.jobs import TimelineEntry
from dashboard.components import times
from dashboard.wording import plain

__all__ = ["show"]

_ICONS = {
    "job": ":material/description:",
    "attempt": ":material/bolt:",
    "webhook": ":material/webhook:",
}


def show(entries: Sequence[TimelineEntry], deliveries: Sequence[Delivery]) -> None:
    """One line per change: time, what, cause; the raw fact on request."""
    st.subheader("Timeline", anchor=False)
    bodies = {delivery.id: delivery for delivery in deliveries}
    with st.container(key="timeline"):
        for number, entry in enumerate(entries):
            arrow = f"{entry.before} → {entry.after}" if entry.before else entry.after
            words = f"{entry.subject} {arrow}".replace("_", " ")
            line = f"{times.exact(entry.at)} · **{plain(words)}** · {plain(entry.cause)} · {plain(entry.actor)}"
            st.markdown(f"{_ICONS.get(entry.subject, ':material/circle:')} {line}")
            delivery = bodies.get(str(entry.detail.get("delivery_id", "")))
            if delivery is not None:
                with st.expander(
                    f"What was delivered ({delivery.body_size} bytes, {delivery.duration_ms:.1f} ms)",
                    key=f"raw-{number}",
                ):
                    st.code(
                        delivery.body.decode("utf-8", "replace"), language="json", wrap_lines=True
                    )
                    st.caption(
                        plain(f"signed with: {delivery.secret_label} · outcome: {delivery.outcome}")
                    )
