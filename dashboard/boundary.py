"""Where errors become sentences: a person never sees a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, StopException

from core.errors import ConsoleError, StoreUnavailable
from core.telemetry import log

__all__ = ["explained"]


@contextmanager
def explained() -> Iterator[None]:
    """What is raised inside is shown as what happened, what still works, and what to do."""
    try:
        yield
    except (RerunException, StopException):
        raise
    except StoreUnavailable as error:
        st.error(f"**{error.what}** {error.next_step}", icon=":material/database_off:")
        st.caption("Nothing was lost. This page works again as soon as the database does.")
    except ConsoleError as error:
        st.error(f"**{error.what}** {error.next_step}", icon=":material/error:")
    except Exception:  # the last border before a person; the log has the rest
        log("dashboard").exception("screen failed")
        st.error(
            "**This part of the screen could not be shown.** Nothing was lost or spent. Reload the page; "
            "if it stays like this, see the log.",
            icon=":material/error:",
        )
