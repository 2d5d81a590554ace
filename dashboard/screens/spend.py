"""Spend: today against its limit, where the money goes, what was wasted and what was saved."""

from dashboard.components import alert_list, header, spend_charts, spend_filters, statement
from dashboard.runtime import get_console

console = get_console()
mode = console.modes.current()
header.show("Spend", mode)
alert_list.show(console.alerts.recent(mode))
spend_charts.today(console.reports.burn_down(mode), console.reports.month(mode), mode)
chosen = spend_filters.show(console.reports, mode)
report = console.reports.spend(mode, chosen.days, chosen.by, chosen.only)
spend_charts.over_time(report, console.spend.today(mode), mode)
spend_charts.drivers(report, mode)
spend_charts.waste_and_saved(report, mode)
spend_charts.estimated_and_billed(report, mode)
statement.show(console.statements, mode)
