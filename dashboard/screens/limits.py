"""Limits: what may be spent, what is left of it, and who changed it why."""

from dashboard.components import (
    alert_targets,
    drift_table,
    header,
    lead_inbox,
    limit_editor,
    limit_table,
    price_book,
)
from dashboard.runtime import actor, get_console

console = get_console()
mode = console.modes.current()
header.show("Limits", mode)
lead_inbox.show(console, actor())
lines = console.limits.lines(mode)
limit_table.show(lines, mode, console.clock(), console.rules().timezone)
limit_editor.show(console, mode, lines, actor())
limit_table.history(console.limits.history(mode))
price_book.show(console.prices, actor())
alert_targets.show(console.alerts, actor())
drift_table.show(console.drift, actor())
