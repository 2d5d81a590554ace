"""What a job and its result look like on the wire (fact sheet 1.2)."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.domain.documents import ParsedDocument
from core.domain.money import BUILT_IN_PRICES, Tier
from core.simulator.records import SimJob

__all__ = ["StoredPage", "credits_of", "dump", "expanded", "job_json", "load"]

_SEPARATOR = "\n\n---\n\n"


@dataclass(frozen=True, slots=True)
class StoredPage:
    """One page of a stored result."""

    number: int
    markdown: str
    text: str
    error: str


def dump(document: ParsedDocument, max_pages: int | None) -> bytes:
    """The result as it is stored; at most so many pages."""
    pages = [
        {"number": page.number, "markdown": page.markdown, "text": page.text, "error": page.error}
        for page in document.pages[:max_pages]
    ]
    return json.dumps(pages, ensure_ascii=False).encode("utf-8", "replace")


def load(data: bytes) -> list[StoredPage]:
    """The pages that ``dump`` stored."""
    return [StoredPage(**page) for page in json.loads(data)]


def credits_of(tier: str, pages: int, moment: float) -> int:
    """What so many pages cost on that day."""
    price = BUILT_IN_PRICES.on(datetime.fromtimestamp(moment, UTC).date())
    return price.credits(Tier(tier), pages)


def job_json(job: SimJob, project_id: str) -> dict[str, Any]:
    """The job object; ``usage`` is null unless it is asked for."""
    return {
        "id": job.id,
        "project_id": project_id,
        "status": job.status,
        "created_at": _moment(job.created_at),
        "updated_at": _moment(job.updated_at),
        "error_message": job.error_message,
        "name": job.name,
        "tier": job.tier,
        "usage": None,
        "user_metadata": job.user_metadata,
    }


def expanded(job: SimJob, pages: list[StoredPage], wanted: Collection[str]) -> dict[str, Any]:
    """The sections that were asked for; names that this simulator does not know are left out."""
    return {name: _SECTIONS[name](job, pages) for name in _SECTIONS if name in wanted}


def _markdown(_job: SimJob, pages: list[StoredPage]) -> dict[str, Any]:
    return {"pages": [_markdown_page(page) for page in pages]}


def _markdown_page(page: StoredPage) -> dict[str, Any]:
    if page.error:
        return {"page_number": page.number, "success": False, "error": page.error}
    return {
        "page_number": page.number,
        "markdown": page.markdown,
        "success": True,
        "header": None,
        "footer": None,
    }


def _text(_job: SimJob, pages: list[StoredPage]) -> dict[str, Any]:
    return {"pages": [{"page_number": page.number, "text": page.text} for page in pages]}


def _metadata(_job: SimJob, pages: list[StoredPage]) -> dict[str, Any]:
    return {"pages": [{"page_number": page.number, "confidence": None} for page in pages]}


def _markdown_full(_job: SimJob, pages: list[StoredPage]) -> str:
    return _SEPARATOR.join(page.markdown for page in pages)


def _text_full(_job: SimJob, pages: list[StoredPage]) -> str:
    return _SEPARATOR.join(page.text for page in pages)


def _job_metadata(job: SimJob, pages: list[StoredPage]) -> dict[str, Any]:
    return {"job_pages": len(pages), "job_is_cache_hit": job.cached_from is not None}


_SECTIONS: dict[str, Callable[[SimJob, list[StoredPage]], Any]] = {
    "markdown": _markdown,
    "text": _text,
    "metadata": _metadata,
    "markdown_full": _markdown_full,
    "text_full": _text_full,
    "job_metadata": _job_metadata,
}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
