"""What the service says it billed: usage records by day, for checking our own ledger against."""

from collections.abc import AsyncGenerator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from core.engines.llamaparse.calls import Calls, Params
from core.engines.llamaparse.failures import malformed

__all__ = ["Organization", "Project", "UsageRecord", "read_organizations", "read_projects", "usage"]

_METRICS = "/api/v1/beta/usage-metrics"
_PAGE_SIZE = 500


def _mapping(value: object) -> object:
    return {} if not isinstance(value, dict) else value


class _Value(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Organization(_Value):
    """Who is billed."""

    id: str = Field(min_length=1)
    name: str = ""


class Project(_Value):
    """What a key belongs to."""

    id: str = Field(min_length=1)
    name: str = ""
    organization_id: str = ""


class UsageRecord(_Value):
    """One billed event of a UTC day (fact sheet 1.5; the OpenAPI document's ``UsageMetric``).

    ``key`` is the job's id for parsing (``event_type`` ``pages_parsed``, among others), ``value`` how
    many units (pages), ``credits`` what they cost, None while that is not said.
    """

    id: str
    event_type: str
    project_id: str = ""
    day: date
    key: str = Field(default="", validation_alias="event_aggregation_key")
    value: int = 0
    credits: Decimal | None = None
    properties: Annotated[dict[str, Any], BeforeValidator(_mapping)] = Field(default_factory=dict)


class _Records(_Value):
    items: list[UsageRecord]
    next_page_token: str | None = None


_RECORDS = TypeAdapter(_Records).validate_json
_ORGANIZATIONS = TypeAdapter(tuple[Organization, ...]).validate_json
_PROJECTS = TypeAdapter(tuple[Project, ...]).validate_json


async def read_organizations(calls: Calls) -> tuple[Organization, ...]:
    """The organizations that the key can see. Raises ``UpstreamError``."""
    response = await calls.get("organizations", "/api/v1/organizations")
    return calls.read(_ORGANIZATIONS, response)


async def read_projects(calls: Calls) -> tuple[Project, ...]:
    """The projects that the key can see, each with its organization. Raises ``UpstreamError``."""
    response = await calls.get("projects", "/api/v1/projects")
    return calls.read(_PROJECTS, response)


async def usage(
    calls: Calls, organization_id: str, narrowed: Params
) -> AsyncGenerator[UsageRecord, None]:
    """Every record of an organization, narrowed by the service's own filters; read page by page.

    Raises ``UpstreamError``.
    """
    params: Params = {"organization_id": organization_id, "page_size": _PAGE_SIZE, **narrowed}
    seen: set[str] = set()
    while True:
        response = await calls.get("usage", _METRICS, params)
        page = calls.read(_RECORDS, response)
        for record in page.items:
            yield record
        if not page.next_page_token:
            return
        if page.next_page_token in seen:
            raise malformed(response)
        seen.add(page.next_page_token)
        params = {**params, "page_token": page.next_page_token}
