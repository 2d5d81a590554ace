"""Where errors become sentences: a person never sees a traceback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, StopException

from core.errors import ConsoleError, StoreUnavailable
from core.telemetry import log
from dashboard.wording import plain

__all__ = ["carry_out", "explained", "tell"]


def tell(error: ConsoleError, *, icon: str = ":material/error:") -> None:
    """What happened and what to do, as text: a name from outside inside it is no markup."""
    st.error(f"**{plain(error.what)}** {plain(error.next_step)}".rstrip(), icon=icon)


def carry_out(act: Callable[[], object]) -> None:
    """Do what a button asked for and draw the screen anew; what is refused says why and changes nothing."""
    try:
        act()
    except ConsoleError as error:
        tell(error)
        return
    st.rerun()


@contextmanager
def explained() -> Iterator[None]:
    """What is raised inside is shown as what happened, what still works, and what to do."""
    try:
        yield
    except (RerunException, StopException):
        raise
    except StoreUnavailable as error:
        tell(error, icon=":material/database_off:")
        st.caption("Nothing was lost. This page works again as soon as the database does.")
    except ConsoleError as error:
        tell(error)
    except Exception:  # the last border before a person; the log has the rest
        log("dashboard").exception("screen failed")
        st.error(
            "**This part of the screen could not be shown.** Nothing was lost or spent. Reload the page; "
            "if it stays like this, see the log.",
            icon=":material/error:",
        )
