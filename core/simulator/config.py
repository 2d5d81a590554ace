"""What a simulator is told by whoever starts it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.domain.documents import Figure, ParsedDocument

__all__ = ["Figures", "PageImage", "Reader", "SimulatorConfig"]

Reader = Callable[[Path, str, str], Awaitable[ParsedDocument]]
"""Reads a stored document: its path, its name, the ``target_pages`` (empty for all).

Raises ``DocumentRefused`` for a document that cannot be read; the job then fails as the vendor's would.
"""

PageImage = Callable[[Path, int], bytes]
"""Draws a page of a stored PDF, 1-based, as PNG. Raises ``DocumentRefused`` when it cannot."""


class Figures(Protocol):
    """Finds the pictures within the pages of a stored document. Raises ``DocumentRefused``."""

    def figures(self, path: Path, pages: Sequence[int]) -> Sequence[Figure]:
        """Those of these pages, in order; none of what it cannot take apart."""

    def figure(self, path: Path, wanted: Figure) -> bytes:
        """One of them, as JPEG or PNG."""


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """How the simulator behaves. The defaults answer at once, as a test wants it.

    ``seed`` makes ids predictable; when it is empty one is drawn for the folder and kept there, so
    that the ids of two folders never meet. An empty ``api_key`` accepts every bearer. ``webhook_secret``
    signs the events of jobs that bring none. ``faults`` are written as ``core.simulator.faults`` says.

    ``source_hosts`` are hosts beside loopback that a ``source_url`` may name. ``credit_budget`` is
    what the plan holds: when it is used up, new jobs get 402. ``uploads_per_s`` is the plan's rate;
    above it uploads get 429. ``metered_extra_credits`` is by how much the usage metrics of a job are
    above what the job itself reports. None and 0 mean without end. When ``events`` names
    ``parse.partial_success``, a job with failed pages announces that instead of ``parse.success``.
    """

    seed: str = ""
    api_key: str = field(default="", repr=False)
    project_id: str = "prj-00000000-0000-4000-8000-000000000000"
    organization_id: str = "00000000-0000-4000-8000-000000000001"
    pending_s: float = 0.0
    per_page_s: float = 0.0
    billed_after_s: float = 0.0
    readers: int = 4
    cache: bool = True
    cache_s: float = 48 * 3600
    credit_budget: int | None = None
    max_upload_bytes: int = 512 * 1024 * 1024
    uploads_per_s: int = 0
    metered_extra_credits: int = 0
    source_hosts: tuple[str, ...] = ()
    link_s: float = 900.0
    events: tuple[str, ...] = ("parse.running", "parse.success", "parse.error", "parse.cancelled")
    webhook_waits_s: tuple[float, ...] = (1.0, 2.0)
    webhook_timeout_s: float = 30.0
    lease_s: float = 3.0
    webhook_secret: str = field(default="", repr=False)
    faults: tuple[str, ...] = ()

    # What the sources contradict each other about, or only a third party has seen (fact sheet 1.2,
    # 1.3, 3.1, 4.2, 7). Each default is the likelier side.
    fast_has_markdown: bool = False
    refusal_status: int = 409
    other_project_status: int = 403
    failure_ratio: float = 0.05
    first_webhook_only: bool = False
    pdf_is_always_saved: bool = False
    page_separator: str = "\n\n---\n\n"
    layout_credits: int = 0
    v1_layout_credits: int = 3
    form_page_credits: int = 10
    v1_partial_success: bool = True
    v1_error_keys: bool = False
    v1_reports_credits: bool = False
    v1_checks_tier_late: bool = True
    v1_tier_needs_version: bool = True
