"""What the service says of the account: versions, usage, organizations."""

import asyncio
from decimal import Decimal

import httpx2 as httpx
import pytest

from core.domain.money import Tier
from core.engines.llamaparse import LlamaParseEngine, client
from tests.engines.llamaparse.talk import SINCE, run_engine


def test_latest_is_resolved_and_remembered() -> None:
    """The version behind "latest" is asked once and sent by name; where it is not said, latest stays."""
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"latest": {"agentic": "2026-10-16"}, "new": [1]})

    async def use(engine: LlamaParseEngine) -> list[str | None]:
        before = engine.known_version(Tier.AGENTIC)
        first = await engine.ask_version(Tier.AGENTIC)
        return [before, first, engine.known_version(Tier.AGENTIC), engine.known_version(Tier.FAST)]

    assert run_engine(use, handle) == [None, "2026-10-16", "2026-10-16", "latest"]
    assert asked == ["/api/v2/parse/versions"]


def test_what_latest_means_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that came out meanwhile is ordered without a restart: what was asked an hour ago is forgotten."""
    lasts_s = client._VERSIONS_LAST_S
    monkeypatch.setattr(client, "_VERSIONS_LAST_S", 0.0)

    async def use(engine: LlamaParseEngine) -> str | None:
        await engine.ask_version(Tier.AGENTIC)
        await asyncio.sleep(0.01)
        return engine.known_version(Tier.AGENTIC)

    answer = httpx.Response(200, json={"latest": {"agentic": "2026-10-16"}})
    assert run_engine(use, lambda _request: answer) is None
    assert lasts_s == 3600


def test_usage_records_are_read_to_their_end() -> None:
    """Records come typed, of all pages of the answer, for exactly the days asked; new keys pass."""
    seen: list[httpx.QueryParams] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.params)
        number = len(seen)
        record = {
            "id": f"u-{number}",
            "event_type": "pages_parsed",
            "project_id": "prj-1",
            "organization_id": "org-1",
            "value": 4,
            "day": "2026-11-24",
            "event_aggregation_key": f"pjb-{number}",
            "credits": 40.5 if number == 1 else None,
            "properties": None,
            "newer": {},
        }
        token = "more" if number == 1 else None
        return httpx.Response(200, json={"items": [record], "next_page_token": token})

    day = SINCE.date()
    records = run_engine(lambda engine: engine.usage_metrics("org-1", day, day), handle)
    assert [(r.key, r.value, r.credits) for r in records] == [
        ("pjb-1", 4, Decimal("40.5")),
        ("pjb-2", 4, None),
    ]
    assert [p.get("page_token") for p in seen] == [None, "more"]
    assert {(p["organization_id"], p["day_on_or_after"], p["day_on_or_before"]) for p in seen} == {
        ("org-1", "2026-11-24", "2026-11-24")
    }


def test_organizations_and_projects_are_found() -> None:
    """What a key is billed to can be asked with the key alone."""
    answers = {
        "/api/v1/organizations": [{"id": "org-1", "name": "Acme", "feature_flags": None}],
        "/api/v1/projects": [{"id": "prj-1", "name": "Default", "organization_id": "org-1"}],
    }

    async def use(engine: LlamaParseEngine) -> tuple[str, str]:
        (organization,), (project,) = await engine.organizations(), await engine.projects()
        return organization.name, project.organization_id

    said = run_engine(use, lambda request: httpx.Response(200, json=answers[request.url.path]))
    assert said == ("Acme", "org-1")


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ({}, ["organizations", "projects", "usage-metrics org-1 -"]),
        ({"organization_id": "org-9", "project_id": "prj-9"}, ["usage-metrics org-9 prj-9"]),
    ],
)
def test_whose_usage_is_read_is_set_or_discovered(
    options: dict[str, str], asked: list[str]
) -> None:
    """What is set is asked for alone; else the key's organizations, or those of its projects."""
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        route, given = request.url.path.rpartition("/")[2], request.url.params
        whose = f" {given['organization_id']} {given.get('project_id', '-')}" if given else ""
        seen.append(f"{route}{whose}")
        if route == "organizations":
            return httpx.Response(403, json={"detail": "no"})
        if route == "projects":
            return httpx.Response(200, json=[{"id": "prj-1", "organization_id": "org-1"}])
        record = {"id": "u", "event_type": "x", "day": "2026-11-24", "credits": 4.5}
        found = {"items": [{**record, "event_aggregation_key": "pjb-1"}]}
        return httpx.Response(200, json=found)

    assert run_engine(lambda engine: engine.billed("pjb-1"), handle, **options) == 5
    assert seen == asked
