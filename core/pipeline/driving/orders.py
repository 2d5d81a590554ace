"""An attempt as an engine is asked for it."""

from core.domain.documents import EngineName
from core.domain.jobs import Attempt, Job
from core.domain.routing import MAX_PAGES_UNKNOWN
from core.engines.protocol import ParseOrder
from core.errors import NotAllowed
from core.pipeline.driving import timing
from core.pipeline.driving.context import Context
from core.store import documents

__all__ = ["order_of"]


def order_of(ctx: Context, job: Job, attempt: Attempt, version: str = "") -> ParseOrder:
    """What the engine is asked for. Raises ``NotAllowed`` when the document is not stored."""
    with ctx.resources.store.read() as tx:
        document = documents.find(tx, job.document_sha256)
    if document is None:
        raise NotAllowed(f"{job.name} has no stored document.")
    return ParseOrder(
        attempt_id=attempt.id,
        name=job.name,
        media_type=document.media_type,
        content=None
        if document.source_url
        else ctx.resources.blobs.content(document.sha256, document.size_bytes),
        tier=attempt.tier,
        version=version or "latest",
        source_url=document.source_url,
        page_count=document.page_count,
        target_pages=attempt.target_pages,
        max_pages=(job.options.max_pages or MAX_PAGES_UNKNOWN)
        if document.page_count is None
        else None,
        deadline_s=timing.DEADLINE.total_seconds(),
        disable_cache=job.options.disable_cache,
        screenshots=attempt.engine is EngineName.LLAMAPARSE and document.needs_screenshots,
        webhook=ctx.resources.webhook_of(job.mode)
        if attempt.engine is EngineName.LLAMAPARSE
        else None,
    )
