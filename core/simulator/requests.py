"""The ``configuration`` that the service accepts: known keys only, as its OpenAPI document says."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from core.domain.documents import parse_page_ranges
from core.domain.money import Tier

__all__ = ["Configuration", "WebhookEntry", "problems_of"]

_FREE = (
    "client_name",
    "user_metadata",
    "webhook_configurations",
    "webhook_configuration_ids",
    "disable_cache",
)


def _pages(value: str) -> str:
    parse_page_ranges(value)
    return value


class _Known(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookEntry(_Known):
    """One receiver of events; no list of events means all of them."""

    webhook_url: str = Field(pattern=r"^https?:")
    webhook_events: list[str] | None = None
    webhook_headers: dict[str, str] | None = None
    webhook_output_format: Literal["string", "json"] | None = None
    webhook_signing_secret: str | None = Field(default=None, repr=False)


class PageRanges(_Known):
    """Which pages; ``target_pages`` wins."""

    max_pages: int | None = Field(default=None, ge=1)
    target_pages: Annotated[str, AfterValidator(_pages)] | None = None


class Configuration(_Known):
    """All keys of the parse request; nested options that change nothing here are taken as they are."""

    tier: Tier
    version: str = Field(pattern=r"^(latest|\d{4}-\d{2}-\d{2})$")
    file_id: str | None = None
    source_url: str | None = None
    http_proxy: str | None = None
    configuration_id: str | None = None
    client_name: str | None = None
    disable_cache: bool | None = None
    page_ranges: PageRanges | None = None
    crop_box: dict[str, Any] | None = None
    input_options: dict[str, Any] | None = None
    output_options: dict[str, Any] | None = None
    processing_options: dict[str, Any] | None = None
    processing_control: dict[str, Any] | None = None
    agentic_options: dict[str, Any] | None = None
    fast_options: dict[str, Any] | None = None
    user_metadata: dict[str, str] | None = None
    webhook_configurations: list[WebhookEntry] | None = None
    webhook_configuration_ids: list[str] | None = Field(default=None, max_length=4)

    @property
    def target_pages(self) -> str:
        """The pages asked for, or empty for all."""
        return (self.page_ranges and self.page_ranges.target_pages) or ""

    @property
    def max_pages(self) -> int | None:
        """At most so many pages, unless pages were named."""
        return None if self.target_pages or self.page_ranges is None else self.page_ranges.max_pages

    @property
    def cache_key(self) -> str:
        """Equal for requests that must give the same result from the same bytes."""
        relevant = self.model_dump(mode="json", exclude=set(_FREE), exclude_none=True)
        return json.dumps(relevant, sort_keys=True)


def problems_of(error: ValidationError) -> list[dict[str, Any]]:
    """The list that the service puts under ``detail`` of a 422."""
    entries = json.loads(error.json(include_url=False, include_context=False))
    return [{**entry, "loc": ["body", *entry["loc"]]} for entry in entries]
