"""The entry script: page settings, navigation, and a border for errors."""

from pathlib import Path

import streamlit as st

from dashboard.boundary import explained
from dashboard.components import times
from dashboard.navigation import pages
from dashboard.runtime import get_console

_HERE = Path(__file__).parent
# A picture of our own: browsers would fetch a Material icon for the tab from outside.
_ICON = _HERE / "icon.png"

page = st.navigation(pages())
st.set_page_config(page_title=f"{page.title} · Parsedeck", page_icon=_ICON, layout="wide")
st.html(_HERE / "style.css")
st.logo(str(_HERE / "logo.svg"), size="large")
with explained():
    times.use(get_console().rules().timezone)
    page.run()
