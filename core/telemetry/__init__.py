"""Logs as JSON lines with a correlation id, and metrics for Prometheus."""

from core.telemetry.logs import configure_logs, correlated, log
from core.telemetry.metrics import Metrics

__all__ = ["Metrics", "configure_logs", "correlated", "log"]
