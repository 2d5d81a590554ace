"""The receipt of a document: why it cost what it cost."""

import streamlit as st

from core.services.receipts import Receipt
from dashboard.wording import money, plain

__all__ = ["show"]


def show(receipt: Receipt) -> None:
    """Folded until somebody asks."""
    simulated = " (simulated)" if receipt.is_simulated else ""
    if not receipt.lines:
        return
    with st.expander(f"Receipt{simulated}", icon=":material/receipt_long:", key="receipt"):
        for line in receipt.lines:
            st.markdown(plain(line.words))
        total = f"quoted {money(receipt.quoted_usd)}, billed {receipt.billed_words}"
        st.markdown(f"**{plain(total)}**")
        for cause in receipt.causes:
            st.caption(plain(cause))
