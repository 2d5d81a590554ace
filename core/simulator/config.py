"""What a simulator is told by whoever starts it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from core.domain.documents import ParsedDocument

__all__ = ["Reader", "SimulatorConfig"]

Reader = Callable[[Path, str, str], Awaitable[ParsedDocument]]
"""Reads a stored document: its path, its name, the ``target_pages`` (empty for all).

Raises ``DocumentRefused`` for a document that cannot be read; the job then fails as the vendor's would.
"""


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How the simulator behaves. The defaults answer at once, as a test wants it.

    ``seed`` makes ids predictable; when it is empty one is drawn for the folder and kept there, so
    that the ids of two folders never meet. An empty ``api_key`` accepts every bearer. ``webhook_secret`` signs
    the events of jobs that bring none. ``faults`` are written as ``core.simulator.faults`` says.
    """

    seed: str = ""
    api_key: str = field(default="", repr=False)
    project_id: str = "prj-00000000-0000-4000-8000-000000000000"
    pending_s: float = 0.0
    per_page_s: float = 0.0
    billed_after_s: float = 0.0
    readers: int = 4
    cache: bool = True
    cache_s: float = 48 * 3600
    fast_has_markdown: bool = False
    refusal_status: int = 409
    events: tuple[str, ...] = ("parse.running", "parse.success", "parse.error", "parse.cancelled")
    webhook_waits_s: tuple[float, ...] = (1.0, 2.0)
    webhook_timeout_s: float = 30.0
    lease_s: float = 3.0
    webhook_secret: str = field(default="", repr=False)
    faults: tuple[str, ...] = ()
