"""Figures for Prometheus, in a registry of their own so that two consoles do not share them."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]


class Metrics:
    """What ``/metrics`` shows. Labels are closed sets; no names, ids or secrets."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._jobs = Gauge("parsedeck_jobs", "Jobs by state", ["state"], registry=self.registry)
        self._money = Gauge(
            "parsedeck_limit",
            "Limits over everything by book (real, mock), window and unit: limit, reserved, settled",
            ["book", "window", "unit", "part"],
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
        for state, count in counts.items():
            self._jobs.labels(state).set(count)

    def set_money(self, book: str, window: str, unit: str, amounts: dict[str, float]) -> None:
        """What of a limit over everything is reserved, settled, and what it is; dollars or submits."""
        for part, amount in amounts.items():
            self._money.labels(book, window, unit, part).set(amount)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)
