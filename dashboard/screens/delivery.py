"""Delivery: one webhook, its verdict step by step, and what it changed."""

import streamlit as st

from dashboard.boundary import explained
from dashboard.components import address, delivery_facts, header
from dashboard.runtime import get_console
from dashboard.wording import ago

console = get_console()
delivery_id = address.read("delivery")
kept = [(n, v) for n in st.query_params for v in st.query_params.get_all(n) if n != "delivery"]
st.page_link(
    "screens/webhooks.py", label="All webhooks", icon=":material/arrow_back:", query_params=kept
)
view = console.deliveries.view(delivery_id)
title = view.delivery.event_type or "Refused delivery"
header.show(title, console.modes.current(), is_outside_text=True)


@st.fragment(run_every=None if view.delivery.applied_at or view.delivery.is_refused else 2)
def live() -> None:
    """The facts, moving until the event is applied."""
    with explained():
        fresh = console.deliveries.view(delivery_id)
        when = ago(fresh.delivery.received_at, console.clock())
        curl = console.as_curl(fresh.delivery)
        delivery_facts.show(fresh, when, console.ingress_url, curl)


live()
