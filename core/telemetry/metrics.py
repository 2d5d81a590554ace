"""Figures for Prometheus, in a registry of their own so that two consoles do not share them."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]


class Metrics:
    """What ``/metrics`` shows. Labels are closed sets, the teams of the console among them.

    No names of people or documents, no ids, no secrets.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._jobs = Gauge("parsedeck_jobs", "Jobs by state", ["state"], registry=self.registry)
        self._money = Gauge(
            "parsedeck_limit",
            "Limits by book (real, mock), scope, window and unit: limit, reserved, settled, left",
            ["book", "scope", "window", "unit", "part"],
            registry=self.registry,
        )
        self._alerts = Gauge(
            "parsedeck_alerts",
            "Alerts about money of the last 24 hours by book and kind",
            ["book", "kind"],
            registry=self.registry,
        )
        self._engines = Gauge(
            "parsedeck_engine",
            "1 for the state that each engine is in: closed, half_open, open, held",
            ["engine", "state"],
            registry=self.registry,
        )
        self._webhooks = Counter(
            "parsedeck_webhooks",
            "Webhook deliveries by verdict",
            ["verdict"],
            registry=self.registry,
        )
        self._calls = Counter(
            "parsedeck_vendor_calls",
            "Calls to LlamaParse or the simulator by operation and outcome",
            ["mode", "operation", "outcome"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "parsedeck_vendor_call_seconds",
            "How long those calls took",
            ["mode", "operation"],
            registry=self.registry,
        )

    def count_webhooks(self, verdict: str, count: int) -> None:
        """So many deliveries got this verdict."""
        self._webhooks.labels(verdict).inc(count)

    def count_call(self, mode: str, operation: str, outcome: str, seconds: float) -> None:
        """A call to the vendor ended."""
        self._calls.labels(mode, operation, outcome).inc()
        self._latency.labels(mode, operation).observe(seconds)

    def set_jobs(self, counts: dict[str, int]) -> None:
        """How many jobs stand where now."""
        self._jobs.clear()  # a state that nobody is in any more is not told with its last count
        for state, count in counts.items():
            self._jobs.labels(state).set(count)

    def set_money(self, amounts: Mapping[tuple[str, str, str, str], Mapping[str, float]]) -> None:
        """Of each limit (book, scope, window, unit) what it is, and what of it is reserved, settled, left.

        In dollars or submits. A limit that is gone is not shown any more.
        """
        self._money.clear()
        for limit, parts in amounts.items():
            for part, amount in parts.items():
                self._money.labels(*limit, part).set(amount)

    def set_alerts(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many alerts of each kind there were lately, by book."""
        self._alerts.clear()
        for labels, count in counts.items():
            self._alerts.labels(*labels).set(count)

    def set_engines(self, states: Mapping[str, str]) -> None:
        """In which state each engine is; what it was before is not told any more."""
        self._engines.clear()
        for engine, state in states.items():
            self._engines.labels(engine, state).set(1)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
