"""What a job and its result look like in v1 (fact sheet 1.3), and in the legacy push (3.3)."""

import json
from typing import Any

from core.simulator.config import SimulatorConfig
from core.simulator.images import Category, JobImage
from core.simulator.items import items_of
from core.simulator.outputs import Finished
from core.simulator.records import SimJob
from core.simulator.results import PAGE_HEIGHT, PAGE_WIDTH, StoredPage

__all__ = ["job_v1", "legacy_payload", "metadata_v1", "pages_v1"]

_STATUSES = {
    "PENDING": "PENDING",
    "RUNNING": "PENDING",  # v1 has no word for it
    "COMPLETED": "SUCCESS",
    "FAILED": "ERROR",
    "CANCELLED": "CANCELLED",
}
_BOX = {"x": 0, "y": 0, "w": PAGE_WIDTH, "h": PAGE_HEIGHT}


def job_v1(job: SimJob, config: SimulatorConfig, *, is_new: bool = False) -> dict[str, Any]:
    """The job object; the error keys are null at upload and absent later on healthy jobs."""
    status = _STATUSES[job.status]
    if status == "SUCCESS" and job.failed_pages and config.v1_partial_success:
        status = "PARTIAL_SUCCESS"
    shown = {"id": job.id, "status": status}
    if job.error_message:
        code, _, message = job.error_message.partition(": ")
        return {**shown, "error_code": code, "error_message": message}
    if is_new or config.v1_error_keys:
        return {**shown, "error_code": None, "error_message": None}
    return shown


def metadata_v1(finished: Finished, config: SimulatorConfig, now: float) -> dict[str, Any]:
    """``job_metadata``; the service's credit fields were seen to stay 0."""
    job = finished.job
    credits_ = (job.billed(now) or 0) if config.v1_reports_credits else 0
    return {
        "job_pages": len(finished.pages),
        "job_is_cache_hit": job.cached_from is not None,
        "job_auto_mode_triggered_pages": 0,
        "credits_used": credits_,
        "job_credits_usage": credits_,
    }


def pages_v1(finished: Finished) -> list[dict[str, Any]]:
    """The pages of ``result/json``."""
    images = finished.album.images()
    mode = str(finished.job.tier)
    return [
        _page(page, [image for image in images if image.page == page.number], mode)
        for page in finished.pages
    ]


def legacy_payload(finished: Finished) -> bytes:
    """The body of the push to a ``webhook_url``: the whole result, no job id, no status."""
    pages = [
        {"page": page["page"], "text": page["text"], "md": page["md"], "images": page["images"]}
        for page in pages_v1(finished)
    ]
    payload = {
        "txt": finished.text,
        "md": finished.markdown,
        "json": pages,
        "images": [image["name"] for page in pages for image in page["images"]],
    }
    return json.dumps(payload, ensure_ascii=False).encode()


def _page(page: StoredPage, images: list[JobImage], mode: str) -> dict[str, Any]:
    items = items_of(page.markdown)
    return {
        "page": page.number,
        "text": page.text,
        "md": page.markdown,
        "images": [_image(image) for image in images],
        "charts": [],
        "tables": [],
        "layout": [],
        "items": [_item(item) for item in items],
        "links": [{"url": i["url"], "text": i["text"]} for i in items if i["type"] == "link"],
        "status": "ERROR" if page.error else "OK",
        "width": PAGE_WIDTH,
        "height": PAGE_HEIGHT,
        "triggeredAutoMode": False,
        "parsingMode": mode,
        "structuredData": None,
        "noStructuredContent": True,
        "noTextContent": not page.text.strip(),
        "confidence": None,
        "isAudioTranscript": False,
        "durationInSeconds": None,
        "slideSpeakerNotes": None,
        "printedPageNumber": None,
        "pageHeaderMarkdown": "",
        "pageFooterMarkdown": "",
    }


def _item(item: dict[str, Any]) -> dict[str, Any]:
    shown = {"type": item["type"], "md": item["md"], "value": item.get("value"), "bBox": _BOX}
    if item["type"] == "heading":
        return {**shown, "lvl": item["level"]}
    if item["type"] == "table":
        return {**shown, "rows": item["rows"], "html": item["html"], "csv": item["csv"]}
    return shown


def _image(image: JobImage) -> dict[str, Any]:
    x, y, width, height = image.box
    is_page = image.category is Category.SCREENSHOT
    return {
        "name": image.filename,
        "height": height,
        "width": width,
        "x": x,
        "y": y,
        "original_width": width,
        "original_height": height,
        "type": "full_page_screenshot" if is_page else None,
    }
