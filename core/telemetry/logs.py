"""JSON log lines. One correlation id follows a document from upload to webhook."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import structlog

__all__ = ["configure_logs", "correlated", "log"]


def log(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one part of the system."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(part=name)
    return logger


@contextmanager
def correlated(correlation_id: str, **facts: str) -> Iterator[None]:
    """Every line logged inside carries this correlation id and these facts."""
    with structlog.contextvars.bound_contextvars(correlation_id=correlation_id, **facts):
        yield


def configure_logs(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send all logs of the process, other libraries' warnings too, as JSON lines to ``stream``."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
