"""Webhooks: everything that came in, and what became of it."""

from dashboard.components import header, inbox
from dashboard.runtime import get_console

console = get_console()
header.show("Webhooks", console.modes.current())
inbox.show(console)
