"""Faults on demand: what a bad day at the service looks like, seeded, counted and composable.

A fault is written ``NAME=NUMBER[@OPERATION]``. The number is the share of calls (or jobs, pages,
deliveries) that it hits, from 0 to 1; for those that last it is seconds: how long an ``outage`` is,
the mean of what is drawn anew each time for the others. ``latency`` may name another distribution:
``latency=fixed:0.2``, ``uniform:0.1:0.5``, ``exponential:0.3`` (as a bare number does) or
``lognormal:MEDIAN:SIGMA``. Without an operation a fault hits all of them.
"""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["OPERATIONS", "FaultName", "FaultSpec", "Faults"]

_WRITTEN = re.compile(
    r"(?P<name>\w+)=(?:(?P<shape>[a-z]+):)?"
    r"(?P<numbers>\d*\.?\d+(?::\d*\.?\d+)?)(?:@(?P<operation>\w+))?"
)
OPERATIONS = (
    "submit",
    "status",
    "fetch",
    "list",
    "cancel",
    "delete",
    "versions",
    "files",
    "usage",
    "hooks",
    "download",
)


class FaultName(StrEnum):
    """All there are: of calls, of jobs, of deliveries."""

    LATENCY = "latency"
    OUTAGE = "outage"
    RATE_LIMIT = "rate_limit"
    RATE_LIMIT_BURST = "rate_limit_burst"
    SERVER_ERROR = "server_error"
    QUOTA_OUT = "quota_out"
    KEY_REVOKED = "key_revoked"
    LOST_REQUEST = "lost_request"
    LOST_ANSWER = "lost_answer"
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    RESULT_MISSING = "result_missing"

    STUCK_PENDING = "stuck_pending"
    PARTIAL_PAGES = "partial_pages"
    BILLED_LATE = "billed_late"

    WEBHOOK_LOST = "webhook_lost"
    WEBHOOK_LATE = "webhook_late"
    WEBHOOK_TWICE = "webhook_twice"
    WEBHOOK_REORDERED = "webhook_reordered"
    WEBHOOK_WRONG_SIGNATURE = "webhook_wrong_signature"
    WEBHOOK_DOUBLE_ENCODED = "webhook_double_encoded"

    @property
    def is_seconds(self) -> bool:
        """Whether its number is in seconds and not a share."""
        return self in _LASTING

    @property
    def is_of_calls(self) -> bool:
        """Whether it hits calls, and so may name an operation."""
        return self not in _OF_JOBS and not self.value.startswith("webhook")


_LASTING = {
    FaultName.LATENCY,
    FaultName.OUTAGE,
    FaultName.RATE_LIMIT_BURST,
    FaultName.BILLED_LATE,
    FaultName.WEBHOOK_LATE,
}
_OF_JOBS = {FaultName.STUCK_PENDING, FaultName.PARTIAL_PAGES, FaultName.BILLED_LATE}

_SHAPES: dict[str, tuple[int, Callable[[random.Random, tuple[float, ...]], float]]] = {
    "fixed": (1, lambda _drawn, n: n[0]),
    "uniform": (2, lambda drawn, n: drawn.uniform(n[0], n[1])),
    "exponential": (1, lambda drawn, n: drawn.expovariate(1 / n[0]) if n[0] else 0.0),
    "lognormal": (2, lambda drawn, n: n[0] * drawn.lognormvariate(0.0, n[1])),
}


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One fault as it was asked for; an empty operation means all."""

    name: FaultName
    numbers: tuple[float, ...]
    operation: str = ""
    shape: str = "exponential"

    @classmethod
    def parse(cls, written: str) -> "FaultSpec":
        """Read ``NAME=NUMBER[@OPERATION]``. Raises ``ValueError`` that says what is possible."""
        match = _WRITTEN.fullmatch(written.strip())
        if match is None or match["name"] not in set(FaultName):
            names = ", ".join(FaultName)
            raise ValueError(
                f"{written!r} is no fault. Write NAME=NUMBER[@OPERATION]; names: {names}."
            )
        name, shape = FaultName(match["name"]), match["shape"] or "exponential"
        numbers = tuple(float(number) for number in match["numbers"].split(":"))
        if match["shape"] and name is not FaultName.LATENCY:
            raise ValueError(f"{written!r}: only latency has a distribution.")
        if shape not in _SHAPES or len(numbers) != _SHAPES[shape][0]:
            raise ValueError(
                f"{written!r}: distributions are fixed:SECONDS, uniform:LEAST:MOST,"
                " exponential:MEAN and lognormal:MEDIAN:SIGMA."
            )
        if not name.is_seconds and numbers[0] > 1:
            raise ValueError(f"{written!r}: the share is from 0 to 1.")
        operation = match["operation"] or ""
        if operation and (operation not in OPERATIONS or not name.is_of_calls):
            raise ValueError(
                f"{written!r}: operations are {', '.join(OPERATIONS)}, for faults of calls only."
            )
        return cls(name, numbers, operation, shape)

    @property
    def number(self) -> float:
        """The share, or the seconds."""
        return self.numbers[0]

    def __str__(self) -> str:
        """As it is written."""
        where = f"@{self.operation}" if self.operation else ""
        shape = "" if self.shape == "exponential" else f"{self.shape}:"
        return f"{self.name}={shape}{':'.join(f'{number:g}' for number in self.numbers)}{where}"


class Faults:
    """Draws faults from a seed and counts them. Belongs to one event loop."""

    def __init__(self, specs: Iterable[FaultSpec] = (), seed: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self.set(specs, seed)

    def set(self, specs: Iterable[FaultSpec], seed: str) -> None:
        """From now on these, drawn from the seed's beginning; the counts go on."""
        self.specs = tuple(specs)
        self.seed = seed
        self._since = time.monotonic()
        self._burst_until = 0.0
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret

    def hits(self, name: FaultName, operation: str = "") -> bool:
        """Whether this fault hits now, drawn and counted."""
        found = [s for s in self._of(name, operation) if self._random.random() < s.number]
        self.counts.update([name.value] if found else [])
        return bool(found)

    def seconds(self, name: FaultName, operation: str = "") -> float:
        """How long this fault lasts now, drawn, and counted when it lasts at all."""
        drawn = sum(_SHAPES[s.shape][1](self._random, s.numbers) for s in self._of(name, operation))
        self.counts.update([name.value] if drawn > 0 else [])
        return drawn

    def outage_s(self, operation: str = "") -> float:
        """How long the service is still away; an outage begins when it is set."""
        longest = max((s.number for s in self._of(FaultName.OUTAGE, operation)), default=0.0)
        return max(0.0, self._since + longest - time.monotonic())

    def is_limited(self, operation: str) -> bool:
        """Whether the rate is exceeded: by a draw, or because a burst that began so still lasts."""
        now = time.monotonic()
        if now < self._burst_until:
            self.counts.update([FaultName.RATE_LIMIT.value])
            return True
        if not self.hits(FaultName.RATE_LIMIT, operation):
            return False
        self._burst_until = now + self.seconds(FaultName.RATE_LIMIT_BURST, operation)
        return True

    def broken(self, pages: int) -> frozenset[int]:
        """Which of so many pages fail, by their place."""
        return frozenset(p for p in range(pages) if self.hits(FaultName.PARTIAL_PAGES))

    def _of(self, name: FaultName, operation: str) -> list[FaultSpec]:
        return [s for s in self.specs if s.name is name and s.operation in {"", operation}]
