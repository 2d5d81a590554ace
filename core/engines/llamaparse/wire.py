"""What goes over the wire. Answers may hold keys and values that a newer service invented."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from core.engines.protocol import EngineStatus, ParseOrder

__all__ = [
    "ATTEMPT_KEY",
    "SIMULATOR_HEADER",
    "Expand",
    "ImageLink",
    "JobAnswer",
    "JobList",
    "OutputLink",
    "PageAnswer",
    "ParseConfiguration",
    "VersionList",
    "WireJob",
    "configuration_of",
]

ATTEMPT_KEY = "parsedeck_attempt"
SIMULATOR_HEADER = "X-Parsedeck-Simulator"


class Expand(StrEnum):
    """What an answer about a job can hold besides the job (fact sheet 1.2)."""

    TEXT = "text"
    MARKDOWN = "markdown"
    ITEMS = "items"
    METADATA = "metadata"
    FORMS = "forms"
    TEXT_FULL = "text_full"
    MARKDOWN_FULL = "markdown_full"
    JOB_METADATA = "job_metadata"
    USAGE = "usage"

    TEXT_LINK = "text_content_metadata"
    MARKDOWN_LINK = "markdown_content_metadata"
    ITEMS_LINK = "items_content_metadata"
    METADATA_LINK = "metadata_content_metadata"
    FORMS_LINK = "forms_content_metadata"
    TEXT_FULL_LINK = "text_full_content_metadata"
    MARKDOWN_FULL_LINK = "markdown_full_content_metadata"
    RAW_WORDS_LINK = "raw_words_content_metadata"
    XLSX_LINK = "xlsx_content_metadata"
    OUTPUT_PDF_LINK = "output_pdf_content_metadata"
    STRIPPED_MARKDOWN_LINK = "stripped_markdown_content_metadata"
    CONCATENATED_STRIPPED_MARKDOWN_LINK = "concatenated_stripped_markdown_content_metadata"
    IMAGES_LINK = "images_content_metadata"


_GIVE_UP_BEFORE_S = 60
# The documentation says 1,800 s and the OpenAPI document 7,200 s: the smaller one suits both.
_LONGEST_BASE_S = 1800
_LONGEST_PER_PAGE_S = 300

_MOMENT = TypeAdapter(datetime)


def _moment_or_none(value: object) -> datetime | None:
    try:
        moment = _MOMENT.validate_python(value)
    except ValidationError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _texts(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, Mapping) else {}


def _number_or_none(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping_or_none(value: object) -> object:
    return value if isinstance(value, Mapping) else None


def _size_or_none(value: object) -> object:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _is_not_false(value: object) -> bool:
    return value is not False


def _objects(value: object) -> object:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


_Text = Annotated[str, BeforeValidator(_text)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class PageRanges(_Request):
    """Which pages to parse, 1-based."""

    target_pages: str | None = None
    max_pages: int | None = None


class WebhookConfiguration(_Request):
    """Where and how the service reports; ``json`` because its default is a JSON string in JSON.

    Only ends are asked for: that a job began to run changes nothing here.
    """

    webhook_url: str
    webhook_events: tuple[str, ...] = (
        "parse.success",
        "parse.partial_success",
        "parse.error",
        "parse.cancelled",
    )
    webhook_signing_secret: str = Field(repr=False)
    webhook_output_format: str = "json"


class Timeouts(_Request):
    """When the service gives a job up: the sum, for all its pages."""

    base_in_seconds: int
    extra_time_per_page_in_seconds: int | None = None


class JobFailureConditions(_Request):
    """When failed pages fail the job: never, though the service's default is more than 5 % of them.

    The other pages were parsed and are paid for; failed ones are marked.
    """

    allowed_page_failure_ratio: float = 1.0


class ProcessingControl(_Request):
    """How long the service may work on the job, and what fails it."""

    timeouts: Timeouts | None
    job_failure_conditions: JobFailureConditions = JobFailureConditions()


class OutputOptions(_Request):
    """What is made besides text and markdown."""

    images_to_save: tuple[str, ...]


class ParseConfiguration(_Request):
    """The ``configuration`` part of an upload, or with ``source_url`` the whole body; None is left out."""

    tier: str
    version: str
    source_url: str | None = None
    page_ranges: PageRanges | None = None
    disable_cache: bool | None = None
    output_options: OutputOptions | None = None
    processing_control: ProcessingControl
    user_metadata: dict[str, str]
    webhook_configurations: list[WebhookConfiguration] | None = None


class _Usage(_Answer):
    credits: Annotated[float | None, BeforeValidator(_number_or_none)] = None


class WireJob(_Answer):
    """A job as the service describes it; only the id must be there and make sense."""

    id: str = Field(min_length=1, max_length=200)
    status: _Text = ""
    error_message: _Text = ""
    created_at: Annotated[datetime | None, BeforeValidator(_moment_or_none)] = None
    user_metadata: Annotated[dict[str, str], BeforeValidator(_texts)] = Field(default_factory=dict)
    usage: Annotated[_Usage | None, BeforeValidator(_mapping_or_none)] = None

    @property
    def engine_status(self) -> EngineStatus:
        """The status in our words; one we do not know is no end, so the job is asked about again."""
        try:
            return EngineStatus(self.status.lower())
        except ValueError:
            return EngineStatus.RUNNING

    @property
    def credits(self) -> int | None:
        """Credits once billed, rounded up, so that spending is never shown too low."""
        billed = self.usage.credits if self.usage else None
        return None if billed is None else math.ceil(billed)


class PageAnswer(_Answer):
    """One page of any section; a failed one has ``success`` false and an ``error``."""

    page_number: int
    markdown: _Text = ""
    text: _Text = ""
    items: Annotated[list[dict[str, Any]], BeforeValidator(_objects)] = Field(default_factory=list)
    success: bool = True
    error: _Text = ""


class Section(_Answer):
    pages: list[PageAnswer] = Field(default_factory=list)


class OutputLink(_Answer):
    """Where an output can be fetched from for a while; whoever has the address may."""

    size_bytes: Annotated[int | None, BeforeValidator(_size_or_none)] = None
    exists: Annotated[bool, BeforeValidator(_is_not_false)] = True
    presigned_url: _Text = Field(default="", repr=False)


class ImageLink(OutputLink):
    """An image of a job; a ``category`` of ``screenshot`` is a picture of a whole page."""

    index: Annotated[int | None, BeforeValidator(_size_or_none)] = None
    filename: _Text = ""
    category: _Text = ""


class _Images(_Answer):
    images: Annotated[list[ImageLink], BeforeValidator(_objects)] = Field(default_factory=list)


class JobAnswer(_Answer):
    """The answer about one job, with what was expanded; the job may stand alone or under ``job``."""

    job: WireJob
    markdown: Annotated[Section | None, BeforeValidator(_mapping_or_none)] = None
    text: Annotated[Section | None, BeforeValidator(_mapping_or_none)] = None
    items: Annotated[Section | None, BeforeValidator(_mapping_or_none)] = None
    metadata: Annotated[dict[str, Any] | None, BeforeValidator(_mapping_or_none)] = None
    forms: Annotated[dict[str, Any] | None, BeforeValidator(_mapping_or_none)] = None
    text_full: _Text = ""
    markdown_full: _Text = ""
    job_metadata: Annotated[dict[str, Any] | None, BeforeValidator(_mapping_or_none)] = None
    outputs: Annotated[
        dict[str, OutputLink] | None,
        BeforeValidator(_mapping_or_none),
        Field(validation_alias="result_content_metadata"),
    ] = None
    images: Annotated[
        _Images | None,
        BeforeValidator(_mapping_or_none),
        Field(validation_alias="images_content_metadata"),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _wrapped(cls, answer: Any) -> Any:
        is_flat = isinstance(answer, Mapping) and "job" not in answer and "id" in answer
        return {**answer, "job": answer} if is_flat else answer


class VersionList(_Answer):
    """The versions that are served; ``latest`` names the newest of each tier."""

    latest: Annotated[dict[str, str], BeforeValidator(_texts)] = Field(default_factory=dict)


class JobList(_Answer):
    """One page of the listing."""

    items: list[WireJob]
    next_page_token: str | None = None


def configuration_of(order: ParseOrder) -> ParseConfiguration:
    """What the service is asked to do with the document."""
    target = order.webhook
    webhooks = target and [
        WebhookConfiguration(webhook_url=target.url, webhook_signing_secret=target.secret)
    ]
    pages = None
    if order.target_pages:
        pages = PageRanges(target_pages=order.target_pages)
    elif order.max_pages:
        pages = PageRanges(max_pages=order.max_pages)
    return ParseConfiguration(
        tier=order.tier.value,
        version=order.version,
        source_url=order.source_url or None,
        page_ranges=pages,
        disable_cache=order.disable_cache or None,
        output_options=OutputOptions(images_to_save=("screenshot",)) if order.screenshots else None,
        processing_control=ProcessingControl(timeouts=_timeouts(order)),
        user_metadata={ATTEMPT_KEY: order.attempt_id},
        webhook_configurations=webhooks,
    )


def _timeouts(order: ParseOrder) -> Timeouts | None:
    """The order's deadline in the service's terms, so that it gives up before it is cancelled."""
    if order.deadline_s is None:
        return None
    whole = max(1, int(order.deadline_s) - _GIVE_UP_BEFORE_S)
    base = min(_LONGEST_BASE_S, whole)
    pages = order.page_count or order.max_pages
    per_page = min(_LONGEST_PER_PAGE_S, (whole - base) // pages) if pages else 0
    return Timeouts(base_in_seconds=base, extra_time_per_page_in_seconds=per_page or None)
