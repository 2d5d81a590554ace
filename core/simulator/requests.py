"""The ``configuration`` that v2 accepts, and the job that it asks for."""

import json
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from core.domain.money import Tier
from core.simulator.config import SimulatorConfig
from core.simulator.options import (
    AgenticOptions,
    CropBox,
    FastOptions,
    InputOptions,
    Known,
    OutputOptions,
    PageRanges,
    ProcessingControl,
    ProcessingOptions,
)
from core.simulator.prices import price_of_tier
from core.simulator.records import NewJob, Options, Target
from core.simulator.refusals import Refused

__all__ = [
    "Configuration",
    "Content",
    "WebhookEntry",
    "job_of",
    "read_body",
    "targets_of",
]

_Model = TypeVar("_Model", bound=BaseModel)

_FREE = {
    "client_name",
    "user_metadata",
    "webhook_configurations",
    "webhook_configuration_ids",
    "disable_cache",
    "file_id",
    "source_url",
    "http_proxy",
}
_HIGH_CONFIDENCE = 5

Content = tuple[str, str, int]
"""A stored document: its name, the SHA-256 and the size of its bytes."""


class WebhookEntry(Known):
    """One receiver of events; no list of events means all of them."""

    webhook_url: Annotated[str, Field(pattern=r"^https?:")] | None = None
    webhook_events: list[str] | None = None
    webhook_headers: dict[str, Any] | None = None
    webhook_output_format: Literal["string", "json"] | None = None
    webhook_signing_secret: str | None = Field(default=None, repr=False)


class Configuration(Known):
    """All keys of the parse request."""

    tier: Tier
    version: str = Field(pattern=r"^(latest|\d{4}-\d{2}-\d{2})$")
    file_id: str | None = None
    source_url: Annotated[str, Field(pattern=r"^https?:")] | None = None
    http_proxy: Annotated[str, Field(pattern=r"^https?:")] | None = None
    configuration_id: str | None = None
    client_name: str | None = None
    disable_cache: bool | None = None
    page_ranges: PageRanges = PageRanges()
    crop_box: CropBox = CropBox()
    input_options: InputOptions = InputOptions()
    output_options: OutputOptions = OutputOptions()
    processing_options: ProcessingOptions = ProcessingOptions()
    processing_control: ProcessingControl = ProcessingControl()
    agentic_options: AgenticOptions | None = None
    fast_options: FastOptions | None = None
    user_metadata: dict[str, str] | None = None
    webhook_configurations: list[WebhookEntry] = Field(default_factory=list)
    webhook_configuration_ids: Annotated[list[str], Field(max_length=4)] | None = None

    @property
    def cache_key(self) -> str:
        """Equal for requests that must give the same result from the same bytes."""
        relevant = self.model_dump(mode="json", exclude=_FREE, exclude_defaults=True)
        return json.dumps(relevant, sort_keys=True)


def read_body(kind: type[_Model], body: bytes) -> _Model:
    """The body as this model. Raises ``Refused`` (422) that says what is wrong with it."""
    try:
        # bytes that are no text would spoil the answer that quotes them
        return kind.model_validate_json(body.decode("utf-8", "replace"))
    except ValidationError as error:
        raise Refused(422, _problems_of(error)) from error


def _problems_of(error: ValidationError) -> list[dict[str, Any]]:
    """The list that the service puts under ``detail`` of a 422."""
    entries = json.loads(error.json(include_url=False, include_context=False))
    return [{**entry, "loc": ["body", *entry["loc"]]} for entry in entries]


def targets_of(entries: list[WebhookEntry]) -> tuple[Target, ...]:
    """The receivers that these entries name; one without an address is none."""
    return tuple(
        Target(
            url=entry.webhook_url,
            events=None if entry.webhook_events is None else tuple(entry.webhook_events),
            headers=entry.webhook_headers
            and {key: str(value) for key, value in entry.webhook_headers.items()},
            format=entry.webhook_output_format or "string",
            secret=entry.webhook_signing_secret or "",
        )
        for entry in entries
        if entry.webhook_url
    )


def job_of(
    asked: Configuration,
    content: Content,
    saved: tuple[Target, ...],
    config: SimulatorConfig,
    when_and_tags: tuple[date, tuple[str, ...]],
) -> NewJob:
    """The job that was asked for, at that day's price, with its usage tags.

    ``saved`` are the saved receivers that the request named.
    """
    day, tags = when_and_tags
    name, sha256, size = content
    targets = (*targets_of(asked.webhook_configurations), *saved)
    output, processing = asked.output_options, asked.processing_options
    images = output.images_to_save or ()
    high = _HIGH_CONFIDENCE if processing.confidence_score_effort else 0
    return NewJob(
        name=name,
        sha256=sha256,
        size_bytes=size,
        tier=asked.tier.value,
        price=price_of_tier(asked.tier, day, name) + high + config.layout_credits,
        form_price=config.form_page_credits if processing.forms == "enrich" else 0,
        options=Options(
            target_pages=asked.page_ranges.target_pages or "",
            max_pages=None if asked.page_ranges.target_pages else asked.page_ranges.max_pages,
            screenshots="screenshot" in images,
            embedded="embedded" in images,
            layout="layout" in images,
            xlsx=bool(output.tables_as_spreadsheet.enable),
            pdf=bool(output.save_output_pdf) or config.pdf_is_always_saved,
            failure_ratio=asked.processing_control.job_failure_conditions.allowed_page_failure_ratio,
        ),
        targets=targets[:1] if config.first_webhook_only else targets,
        cache_key=asked.cache_key,
        reads_cache=not asked.disable_cache,
        stores_cache=not asked.disable_cache,
        user_metadata=asked.user_metadata,
        usage_tags=tags,
        asked=asked.model_dump(
            mode="json", exclude={"webhook_configurations", "http_proxy"}, exclude_defaults=True
        ),
    )
