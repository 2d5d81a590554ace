"""The table of screens."""

from dataclasses import dataclass

import streamlit as st

__all__ = ["ENTRIES", "Entry", "pages"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One screen; hidden ones are reached from a list."""

    section: str
    title: str
    file: str
    icon: str
    is_default: bool = False
    is_hidden: bool = False

    @property
    def url_path(self) -> str:
        """Its address."""
        return self.file.removeprefix("screens/").removesuffix(".py")


ENTRIES = (
    Entry("Work", "Overview", "screens/overview.py", ":material/dashboard:", is_default=True),
    Entry("Work", "Submit", "screens/submit.py", ":material/upload_file:"),
    Entry("Work", "Jobs", "screens/jobs.py", ":material/list_alt:"),
    Entry("Work", "Job", "screens/job.py", ":material/description:", is_hidden=True),
    Entry("Work", "Submission", "screens/submission.py", ":material/inventory_2:", is_hidden=True),
    Entry("Money", "Spend", "screens/spend.py", ":material/payments:"),
    Entry("Money", "Limits", "screens/limits.py", ":material/speed:"),
    Entry("Engine room", "Modes and health", "screens/modes.py", ":material/monitor_heart:"),
    Entry("Engine room", "Webhooks", "screens/webhooks.py", ":material/webhook:"),
    Entry("Engine room", "Delivery", "screens/delivery.py", ":material/webhook:", is_hidden=True),
    Entry("Engine room", "Setup", "screens/setup.py", ":material/tune:"),
)


def pages() -> dict[str, list[st.Page]]:
    """The entries as Streamlit wants them, by section."""
    found: dict[str, list[st.Page]] = {}
    for entry in ENTRIES:
        page = st.Page(
            entry.file,
            title=entry.title,
            icon=entry.icon,
            url_path=None if entry.is_default else entry.url_path,
            default=entry.is_default,
            visibility="hidden" if entry.is_hidden else "visible",
        )
        found.setdefault(entry.section, []).append(page)
    return found
