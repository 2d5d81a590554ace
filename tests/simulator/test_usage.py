"""Usage records, saved receivers, whose key it is, and what the plan holds."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from core.simulator import SimulatorConfig
from core.webhooks.signatures import SigningSecret, verify
from tests.simulator.calls import AUTH, JOBS, done, get, ledger, post, upload_v1
from tests.simulator.cast import Mailbox, eventually

Simulate = Callable[..., str]
USAGE = "/api/v1/beta/usage-metrics"
HOOKS = "/api/v1/beta/webhook-configs"
OURS = SimulatorConfig().organization_id
PROJECT = SimulatorConfig().project_id
OTHER = "11111111-1111-4111-8111-111111111111"


def _usage(url: str, path: str = "", **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = get(url, USAGE + path, organization_id=OURS, **params).json()
    return answer


def test_each_billed_job_is_one_record(simulate: Simulate) -> None:
    """Pages and credits by job, deleted ones too; cache hits and failures were not billed."""
    url = simulate()
    job_id = done(url)
    done(url)
    done(url, b"refuse:broken")
    upload_v1(url, b"three")
    httpx.delete(f"{url}{JOBS}/{job_id}", headers=AUTH)
    records = _usage(url, include_total="true")
    assert records["total_size"] == 2
    assert [(r["event_type"], r["value"], r["credits"]) for r in records["items"]] == [
        ("pages_parsed", 2, 20),
        ("pages_parsed", 1, 3),
    ]
    one = _usage(url, event_aggregation_key=job_id)["items"]
    assert [(r["event_aggregation_type"], r["organization_id"]) for r in one] == [("pdf", OURS)]
    assert len(_usage(url, days=one[0]["day"])["items"]) == 2
    assert _usage(url, event_types="layout_extracted")["items"] == []
    assert len(_usage(url, credits_consumed_greater_than_or_equal=4)["items"]) == 1
    assert _usage(url, day_on_or_before="2020-01-01")["items"] == []
    first = _usage(url, page_size=1)
    rest = _usage(url, page_size=1, page_token=first["next_page_token"])
    assert [r["id"] for r in first["items"] + rest["items"]] == [r["id"] for r in records["items"]]


def test_usage_tags_come_back(simulate: Simulate) -> None:
    """What the ``Usage-Tags`` header said is on the record."""
    url = simulate()
    httpx.post(
        f"{url}{JOBS}/upload",
        headers={**AUTH, "Usage-Tags": "blue, team-7"},
        data={"configuration": '{"tier": "fast", "version": "latest"}'},
        files={"file": ("a.pdf", b"one")},
    )
    eventually(lambda: _usage(url)["items"])
    assert _usage(url)["items"][0]["usage_tags"] == ["blue", "team-7"]


def test_totals_by_group(simulate: Simulate) -> None:
    """The totals of every grouping add up to what the ledger billed."""
    url = simulate()
    for tier in ("fast", "agentic", "agentic"):
        done(url, tier=tier, disable_cache=True)
    by_tier = _usage(url, "/aggregate", group_by=["tier", "event_type"])
    assert by_tier["group_by"] == ["tier", "event_type"]
    assert by_tier["buckets"] == [
        {
            "dimensions": {"tier": "fast", "event_type": "pages_parsed"},
            "total_credits": 2,
            "total_value": 2,
            "metric_count": 1,
        },
        {
            "dimensions": {"tier": "agentic", "event_type": "pages_parsed"},
            "total_credits": 40,
            "total_value": 4,
            "metric_count": 2,
        },
    ]
    by_day = _usage(url, "/aggregate", group_by="day")["buckets"]
    assert sum(bucket["total_credits"] for bucket in by_day) == 42


def test_usage_waits_for_the_bill(simulate: Simulate) -> None:
    """A job whose bill is late is on no record yet."""
    url = simulate(billed_after_s=3600)
    done(url)
    assert _usage(url)["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"organization_id={OURS}&days=today",
        f"organization_id={OURS}&credits_consumed_greater_than_or_equal=much",
        "organization_id=mine",
    ],
)
def test_usage_queries_are_checked(simulate: Simulate, query: str) -> None:
    """The organization is required, and values must make sense."""
    assert httpx.get(f"{simulate()}{USAGE}?{query}", headers=AUTH).status_code == 422


def test_a_saved_receiver_from_creation_to_deletion(simulate: Simulate) -> None:
    """The secret goes in and never comes out; a change touches only the keys that are present."""
    url = simulate()
    entry = {"webhook_url": "https://a.example/", "webhook_signing_secret": "whsec_x"}
    made = httpx.post(f"{url}{HOOKS}", headers=AUTH, json=entry)
    hook = made.json()
    assert (made.status_code, hook["id"][:4], hook["has_secret"]) == (201, "whc-", True)
    assert (hook["tenant_type"], hook["tenant_id"]) == ("project", PROJECT)
    one = f"{HOOKS}/{hook['id']}"
    changed = httpx.put(f"{url}{one}", headers=AUTH, json={"webhook_events": ["parse.success"]})
    assert changed.json()["webhook_events"] == ["parse.success"]
    assert changed.json()["webhook_url"] == "https://a.example/"
    assert "whsec_x" not in made.text + changed.text + get(url, HOOKS).text + get(url, one).text
    listed = get(url, "/api/v2/webhook-configs", include_total="true").json()
    assert (listed["total_size"], listed["items"]) == (1, get(url, HOOKS).json())
    assert httpx.delete(f"{url}{one}", headers=AUTH).status_code == 204
    assert get(url, one).status_code == 404
    assert get(url, HOOKS).json() == []


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"webhook_url": "ftp://a"},
        {"webhook_url": "https://a", "webhook_events": []},
        {"webhook_url": "https://a", "webhook_events": ["parse.done"]},
        {"webhook_url": 7},
    ],
)
def test_receivers_that_are_refused(simulate: Simulate, entry: dict[str, Any]) -> None:
    """No address, an event that is none, or no events at all."""
    assert httpx.post(f"{simulate()}{HOOKS}", headers=AUTH, json=entry).status_code == 422


def test_a_job_names_its_saved_receivers(simulate: Simulate, mailbox: Mailbox) -> None:
    """Events of the job go to the saved address, signed with the saved secret; an unknown id is 404."""
    url = simulate(events=("parse.success",))
    entry = {
        "webhook_url": mailbox.url,
        "webhook_signing_secret": "whsec_saved",
        "webhook_output_format": "json",
    }
    hook_id = httpx.post(f"{url}{HOOKS}", headers=AUTH, json=entry).json()["id"]
    job_id = post(url, webhook_configuration_ids=[hook_id]).json()["id"]
    headers, body = mailbox.wait_for(1)[0]
    secret = SigningSecret("saved", "whsec_saved")
    assert verify(headers, body, [secret]) is secret
    assert json.loads(body)["data"]["id"] == job_id
    assert post(url, webhook_configuration_ids=["whc-no"]).status_code == 404
    assert post(url, webhook_configuration_ids=[hook_id] * 5).status_code == 422


@pytest.mark.parametrize(
    "path", [JOBS, f"{JOBS}/pjb-x", "/api/v1/beta/files", "/api/parsing/job/x", HOOKS]
)
def test_whose_project_it_is(simulate: Simulate, path: str) -> None:
    """The key's own project and organization are accepted, another's is 403, no UUID is 422."""
    url = simulate()
    ours = get(url, path, project_id=PROJECT, organization_id=OURS)
    bare = get(url, path, project_id=PROJECT.removeprefix("prj-"))
    assert {ours.status_code, bare.status_code} <= {200, 404}
    assert get(url, path, project_id=OTHER).status_code == 403
    assert get(url, path, organization_id=OTHER).status_code == 403
    assert get(url, path, project_id="mine").status_code == 422
    assert get(simulate(other_project_status=404), path, project_id=OTHER).status_code == 404


def test_credits_run_out(simulate: Simulate) -> None:
    """Once the plan's credits are used up every way of submitting is a 402, and nothing is made."""
    url = simulate(credit_budget=20)
    done(url)
    refused = post(url, b"another")
    said = {"detail": "You've exceeded the maximum number of credits for your plan."}
    assert (refused.status_code, refused.json()) == (402, said)
    old = httpx.post(f"{url}/api/parsing/upload", headers=AUTH, files={"file": ("a", b"1")})
    by_id = httpx.post(f"{url}{JOBS}", headers=AUTH, json={"tier": "fast"})
    assert (old.status_code, by_id.status_code) == (402, 402)
    assert ledger(url)["totals"]["jobs"] == 1


def test_large_uploads_are_refused(simulate: Simulate) -> None:
    """Above the cap 413, on all three upload routes."""
    url = simulate(max_upload_bytes=1000)
    large = {"file": ("a.pdf", b"x" * 1001)}
    options = {"configuration": '{"tier": "fast", "version": "latest"}'}
    for path, form in (
        (f"{JOBS}/upload", options),
        ("/api/v1/beta/files", {"purpose": "parse"}),
        ("/api/parsing/upload", {}),
    ):
        answer = httpx.post(f"{url}{path}", headers=AUTH, data=form, files=large)
        assert answer.status_code == 413
    huge = httpx.post(
        f"{url}/api/parsing/upload", headers=AUTH, files={"file": ("a", b"x" * 99999)}
    )
    assert huge.status_code == 413
    assert ledger(url)["totals"]["jobs"] == 0
    assert post(url, b"x" * 1000).status_code == 200


def test_uploads_have_a_rate(simulate: Simulate) -> None:
    """Above the plan's uploads per second 429 in the documented words, without Retry-After."""
    url = simulate(uploads_per_s=1)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: post(url, b"%d" % n), range(12)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert "The file upload limit is 1 requests per second." in refused[0].json()["detail"]
    assert "retry-after" not in refused[0].headers
