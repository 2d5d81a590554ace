"""Alerts about money: at shares of a limit and on forecast, once per window, sent and shown."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.clock import Clock
from core.domain import times
from core.domain.budgets import (
    Limit,
    LimitUse,
    Unit,
    book_of,
    next_start,
    scope_words,
    window_key,
)
from core.domain.jobs import Actor
from core.domain.money import usd_exact, usd_from_micros, usd_words
from core.domain.routing import Mode
from core.errors import NotAllowed
from core.pipeline.terms import Rules
from core.services.reports import BurnDown, Outlook, Reports
from core.store import Store, alerts, ledger, limits
from core.store import settings as stored
from core.store.alerts import Alert, Target
from core.store.settings import StoredSetting
from core.telemetry import log

if TYPE_CHECKING:
    import apprise

__all__ = ["SHARES", "Alerts"]

SHARES = (50, 80, 100)
"""Percent of a limit at which leads are told, until others are set."""

_SETTING = "alert_shares"
_ALL = 100

_NO_SENDER = "This address is of no kind that is known."


class Alerts:
    """Looks at the limits, tells once, and keeps count of what arrived."""

    def __init__(
        self,
        store: Store,
        rules: Callable[[], Rules],
        reports: Reports,
        clock: Clock,
        *,
        send: Callable[[str, str, str], bool] | None = None,
    ) -> None:
        self._store = store
        self._rules = rules
        self._reports = reports
        self._clock = clock
        self._send = send or _send
        self._log = log("alerts")

    def recent(self, mode: str) -> tuple[Alert, ...]:
        """The newest alerts of the mode's book."""
        with self._store.read() as tx:
            return alerts.recent(tx, book_of(mode))

    def counts(self) -> dict[tuple[str, str], int]:
        """How many alerts of the last day there are, by book and kind."""
        with self._store.read() as tx:
            return alerts.counts(tx, self._clock() - timedelta(days=1))

    def shares(self) -> tuple[int, ...]:
        """Percent of a limit at which leads are told, in order."""
        with self._store.read() as tx:
            setting = stored.all_settings(tx).get(_SETTING)
        return tuple(map(int, setting.value.split(","))) if setting is not None else SHARES

    def set_shares(self, text: str, actor: Actor) -> None:
        """Tell at these percentages, such as ``50, 80, 100``. Raises ``NotAllowed`` for anything else."""
        try:
            shares = sorted({int(part.strip().removesuffix("%")) for part in text.split(",")})
        except ValueError:
            raise NotAllowed(f"{text!r} is no list of percentages.", "Write 50, 80, 100.") from None
        if not all(0 < share <= 100 for share in shares):  # noqa: PLR2004 - percent
            raise NotAllowed("A share lies above 0 and at or below 100.", "Write 50, 80, 100.")
        value = ",".join(map(str, shares))
        with self._store.write() as tx:
            stored.save(tx, StoredSetting(_SETTING, value, str(actor), self._clock()))

    def targets(self) -> tuple[Target, ...]:
        """Where alerts go."""
        with self._store.read() as tx:
            return alerts.targets(tx)

    def add_target(self, name: str, address: str, actor: Actor) -> None:
        """Send alerts there from now on. Raises ``NotAllowed`` for an address that no sender knows."""
        if not name.strip():
            raise NotAllowed("A target needs a name.", "Name it after who reads it.")
        if not _sender().add(address.strip()):
            raise NotAllowed(
                _NO_SENDER, "Use an apprise address, such as mailto://, slack:// or json://."
            )
        target = Target(name.strip(), address.strip(), str(actor), self._clock())
        with self._store.write() as tx:
            alerts.add_target(tx, target)

    def remove_target(self, name: str) -> None:
        """Send nothing there any more."""
        with self._store.write() as tx:
            alerts.remove_target(tx, name)

    def test(self, name: str) -> str:
        """Send a test to one target; why it did not arrive, or nothing."""
        target = next((t for t in self.targets() if t.name == name), None)
        if target is None:
            raise NotAllowed(f"There is no target {name!r}.", "Add it first.")
        return self._deliver(target, "Parsedeck: a test", "Alerts about money arrive here.")

    def look(self) -> tuple[Alert, ...]:
        """Put on record what is new: a share of a limit reached, a limit that will be reached today."""
        now, rules, shares = self._clock(), self._rules(), self.shares()
        found: list[Alert] = []
        for mode in (Mode.REAL, Mode.MOCK):
            book = book_of(mode)
            with self._store.read() as tx:
                in_force = limits.in_force(tx, book, rules.limits, now)
                uses = ledger.uses(tx, book, in_force, now, rules.timezone)
            found += [a for use in uses for a in _due(use, shares, book, rules, now)]
            found += _forecast(self._reports.burn_down(mode), book, now)
        with self._store.read() as tx:
            known = alerts.known(tx, [alert.key for alert in found])
        new = [alert for alert in found if alert.key not in known]
        if not new:
            return ()
        with self._store.write() as tx:
            return tuple(alert for alert in new if alerts.record(tx, alert))

    def send_new(self) -> int:
        """Send what is on record and was not sent; what does not arrive is shown on its target."""
        with self._store.read() as tx:
            if not alerts.has_unsent(tx):
                return 0
        with self._store.write() as tx:
            taken = alerts.take_unsent(tx, self._clock())
        targets = self.targets()
        for alert in taken:
            mark = " (simulated)" if alert.book == "mock" else ""
            for target in targets:
                body = f"{alert.what} {alert.next_step}".strip()
                self._deliver(target, f"Parsedeck{mark}", body)
        return len(taken)

    def _deliver(self, target: Target, title: str, body: str) -> str:
        try:
            arrived = self._send(target.address, title, body)
            problem = "" if arrived else "The last alert did not arrive."
        except Exception as error:  # a sender is somebody else's code; its failure is shown
            problem = f"The last alert did not arrive ({type(error).__name__})."
        with self._store.write() as tx:
            alerts.tried(tx, target.name, problem, self._clock())
        if problem:
            self._log.warning("alert did not arrive", target=target.name)
        return problem


def _sender() -> "apprise.Apprise":
    import apprise  # noqa: PLC0415 - it loads a hundred senders; most processes need none

    return apprise.Apprise()


def _send(address: str, title: str, body: str) -> bool:
    sender = _sender()
    return bool(sender.add(address)) and bool(sender.notify(title=title, body=body))


def _due(
    use: LimitUse, shares: Sequence[int], book: str, rules: Rules, now: datetime
) -> Iterator[Alert]:
    """The alert of the highest share reached; the lower ones need no telling any more."""
    reached = [s for s in shares if use.used * 100 >= use.limit.amount * s]
    if not reached:
        return
    share, limit = reached[-1], use.limit
    window = window_key(limit.window, now, rules.timezone)
    key = f"{book}:{limit.scope}:{window}:{limit.unit.value}:{share}"
    opens = next_start(limit.window, now, rules.timezone)
    what = f"{share} % of {_name(limit)} is used ({_amounts(use)})."
    step = (
        f"New work waits until {times.short(opens, rules.timezone)}, or a lead raises the limit."
        if share >= _ALL
        else ""
    )
    yield Alert(key, book, "share", what, step, now)


def _forecast(burn_down: BurnDown, book: str, now: datetime) -> Iterator[Alert]:
    if burn_down.outlook is not Outlook.REACHED_LATER or burn_down.limit_usd is None:
        return
    key = f"{book}:forecast:{burn_down.now:%Y-%m-%d}"
    what = f"Of today's limit of {usd_exact(burn_down.limit_usd)}: {burn_down.words}"
    yield Alert(key, book, "forecast", what, "Raise it, or let less urgent work wait.", now)


def _name(limit: Limit) -> str:
    amount = (
        usd_exact(usd_from_micros(limit.amount))
        if limit.unit is Unit.USD
        else f"{limit.amount:,} submits"
    )
    return f"the limit of {amount} a {limit.window.value}{scope_words(limit.scope)}"


def _amounts(use: LimitUse) -> str:
    if use.limit.unit is Unit.USD:
        settled, reserved = (usd_words(usd_from_micros(n)) for n in (use.settled, use.reserved))
        return f"{settled} settled, {reserved} reserved"
    return f"{use.used:,}"
