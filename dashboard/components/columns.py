"""How columns of tables are shown."""

import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

__all__ = ["right"]


def right(*names: str) -> dict[str, ColumnConfig]:
    """Columns whose text is an amount: to the right, as numbers are."""
    return {name: st.column_config.TextColumn(alignment="right") for name in names}
