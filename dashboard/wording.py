"""The words and signs of the console: one table for states, one function per kind of number."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from core.domain.documents import EngineName
from core.domain.health import BreakerState
from core.domain.jobs import AttemptStatus, JobStatus
from core.domain.money import Tier, usd_words
from core.domain.routing import Mode

__all__ = [
    "BREAKER_SIGNS",
    "FAILED",
    "MODE_SIGNS",
    "ON_HOLD",
    "STAGE_WORDS",
    "STATE_SIGNS",
    "Sign",
    "ago",
    "duration",
    "engine_name",
    "money",
    "plain",
    "sign_of",
    "size",
    "tier_name",
]

Color = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]


@dataclass(frozen=True, slots=True)
class Sign:
    """How a state is shown: word, icon and colour, never colour alone. ``mark`` stands in tables."""

    word: str
    icon: str
    color: Color
    mark: str


COMPLETE = Sign("complete", ":material/check_circle:", "green", "✓")
PARSING = Sign("parsing", ":material/pending:", "blue", "●")
WAITING = Sign("waiting", ":material/schedule:", "gray", "○")
HELD = Sign("held", ":material/hourglass_top:", "orange", "◔")
PROVISIONAL = Sign("provisional", ":material/contrast:", "orange", "◐")
PARTLY = Sign("partly parsed", ":material/contrast:", "orange", "◐")
FAILED = Sign("failed", ":material/cancel:", "red", "✕")
CANCELLED = Sign("cancelled", ":material/do_not_disturb_on:", "gray", "–")

STATE_SIGNS: dict[JobStatus, Sign] = {
    JobStatus.UPLOADED: WAITING,
    JobStatus.PARSE_QUEUED: WAITING,
    JobStatus.HELD: HELD,
    JobStatus.PARSING: PARSING,
    JobStatus.PARSED: COMPLETE,
    JobStatus.PARTLY_PARSED: PARTLY,
    JobStatus.HANDING_OFF: PARSING,
    JobStatus.COMPLETE: COMPLETE,
    JobStatus.FAILED_PARSE: FAILED,
    JobStatus.FAILED_HANDOFF: FAILED,
    JobStatus.CANCELLED: CANCELLED,
}

STAGE_WORDS: dict[AttemptStatus, str] = {
    AttemptStatus.PLANNED: "waiting for its turn",
    AttemptStatus.RESERVED: "waiting to be sent",
    AttemptStatus.SUBMITTING: "being sent",
    AttemptStatus.UNKNOWN: "looking for it at the vendor",
    AttemptStatus.RUNNING: "being parsed",
    AttemptStatus.FETCHING: "fetching the result",
    AttemptStatus.DONE: "result stored",
    AttemptStatus.FAILED: "failed",
    AttemptStatus.CANCELLED: "cancelled",
}

MODE_SIGNS: dict[Mode, Sign] = {
    Mode.REAL: Sign("REAL", ":material/verified:", "green", "R"),
    Mode.HYBRID: Sign("HYBRID", ":material/alt_route:", "blue", "H"),
    Mode.MOCK: Sign("MOCK", ":material/science:", "violet", "M"),
}

BREAKER_SIGNS: dict[BreakerState, Sign] = {
    BreakerState.CLOSED: Sign("healthy", ":material/check_circle:", "green", "✓"),
    BreakerState.HALF_OPEN: Sign("on trial", ":material/rule:", "yellow", "?"),
    BreakerState.OPEN: Sign("not used", ":material/cloud_off:", "red", "✕"),
}
ON_HOLD = Sign("on hold", ":material/pause_circle:", "orange", "◔")


def sign_of(status: JobStatus, *, is_provisional: bool = False) -> Sign:
    """The sign of a job; a provisional result never looks like a final one."""
    return PROVISIONAL if is_provisional and status.has_result else STATE_SIGNS[status]


def money(usd: Decimal | None) -> str:
    """``$3.41``; four decimals under a cent; zero is written; unknown is a dash."""
    return "–" if usd is None else usd_words(usd)


def size(size_bytes: int) -> str:
    """``1.8 MB``."""
    if size_bytes < 1024:  # noqa: PLR2004 - a kilobyte
        return f"{size_bytes} B"
    if size_bytes < 1024 * 1024:
        return f"{size_bytes / 1024:.0f} KB"
    return f"{size_bytes / 1024 / 1024:.1f} MB"


def duration(span: timedelta | None) -> str:
    """``2 min 10 s``; under ten seconds with one decimal."""
    if span is None:
        return "–"
    seconds = max(0.0, span.total_seconds())
    if seconds < 10:  # noqa: PLR2004 - below that a decimal tells something
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def ago(moment: datetime | None, now: datetime) -> str:
    """``12 min ago``."""
    if moment is None:
        return "–"
    seconds = (now - moment).total_seconds()
    if seconds < 45:  # noqa: PLR2004 - people round here
        return "just now"
    if seconds < 5400:  # noqa: PLR2004
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 129_600:  # noqa: PLR2004
        return f"{round(seconds / 3600)} h ago"
    return f"{round(seconds / 86_400)} days ago"


def tier_name(tier: Tier | str) -> str:
    """``cost effective``."""
    return str(tier).replace("_", " ")


def engine_name(engine: EngineName, mode: Mode) -> str:
    """Who made a page, in words; the simulator is never called LlamaParse, others by their name."""
    if engine is EngineName.LOCAL:
        return "local engine"
    if engine is not EngineName.LLAMAPARSE:
        return engine
    return "simulator" if mode is Mode.MOCK else "LlamaParse"


def plain(text: str) -> str:
    """Text from outside (a file name, a vendor's message), so that markdown shows it as it is."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()<>#+-.!|~$:^" else c for c in text)
