"""The look-alike's v1 routes, under both prefixes: words, shapes and prices of the fact sheet."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.simulator.v1 import EXTENSIONS
from tests.simulator.calls import AUTH, get, ledger, post, upload_v1
from tests.simulator.cast import Mailbox, eventually
from tests.simulator.serving import Serving

Simulate = Callable[..., str]
PREFIXES = ("/api/parsing", "/api/v1/parsing")


def _refused(url: str, **form: str) -> httpx.Response:
    answer = httpx.post(
        f"{url}/api/parsing/upload", headers=AUTH, data=form, files={"file": ("a.pdf", b"one")}
    )
    assert ledger(url)["totals"]["jobs"] == 0
    return answer


@pytest.mark.parametrize("prefix", PREFIXES)
def test_both_prefixes_speak_v1(simulate: Simulate, prefix: str) -> None:
    """Upload, status and every form of the result, in v1's words and under either prefix."""
    url = simulate()
    job = upload_v1(url, prefix=prefix)
    assert set(job) == {"id", "status"}
    assert job["status"] == "SUCCESS"
    result = f"{prefix}/job/{job['id']}/result"
    assert get(url, f"{result}/markdown").json()["markdown"] == "# one\n\n---\n\n# two"
    text = get(url, f"{result}/text").json()
    assert text["text"] == "one\n\n---\n\ntwo"
    assert text["job_metadata"] == {
        "job_pages": 2,
        "job_is_cache_hit": False,
        "job_auto_mode_triggered_pages": 0,
        "credits_used": 0,
        "job_credits_usage": 0,
    }
    pages = get(url, f"{result}/json").json()["pages"]
    assert [(page["page"], page["md"], page["text"]) for page in pages] == [
        (1, "# one", "one"),
        (2, "# two", "two"),
    ]
    assert pages[0]["items"][0]["lvl"] == 1
    assert get(url, f"{result}/structured").json()["structured"] == {}
    assert get(url, f"{result}/raw/markdown").text == "# one\n\n---\n\n# two"
    for kind in ("xlsx", "raw/xlsx"):
        assert zipfile.is_zipfile(io.BytesIO(get(url, f"{result}/{kind}").content))
    details = get(url, f"{prefix}/job/{job['id']}/details").json()
    assert (details["status"], details["file_name"]) == ("SUCCESS", "a.pdf")


def test_a_new_job_says_pending_and_nulls(simulate: Simulate) -> None:
    """v1 has no word for running; the error keys are null at upload and absent afterwards."""
    url = simulate(per_page_s=3600.0)
    answer = httpx.post(f"{url}/api/parsing/upload", headers=AUTH, files={"file": ("a.pdf", b"1")})
    job = answer.json()
    assert {**job, "id": ""} == {
        "id": "",
        "status": "PENDING",
        "error_code": None,
        "error_message": None,
    }
    eventually(lambda: ledger(url)["jobs"][0]["status"] == "RUNNING")
    path = f"/api/parsing/job/{job['id']}"
    assert get(url, path).json() == {"id": job["id"], "status": "PENDING"}
    early = get(url, f"{path}/result/markdown")
    assert early.status_code == 404
    assert early.json()["detail"].startswith("Result not found. Check job status")


def test_urlencoded_uploads_name_an_address(simulate: Simulate) -> None:
    """Without a file part the form is urlencoded; the document is fetched from this machine."""
    url = simulate()
    page = Starlette(routes=[Route("/terms.pdf", lambda _request: PlainTextResponse("one\ntwo"))])
    with Serving(page) as source:
        form = {"input_url": f"{source.url}/terms.pdf", "from_python_package": "true"}
        job = httpx.post(f"{url}/api/parsing/upload", headers=AUTH, data=form).json()
    eventually(lambda: get(url, f"/api/parsing/job/{job['id']}").json()["status"] == "SUCCESS")
    assert (ledger(url)["jobs"][0]["name"], ledger(url)["totals"]["pages"]) == ("terms.pdf", 2)


@pytest.mark.parametrize(
    ("form", "pages"),
    [
        ({"target_pages": "0-1,3"}, [1, 2, 4]),
        ({"target_pages": "2"}, [3]),
        ({"max_pages": "3"}, [1, 2, 3]),
    ],
)
def test_pages_count_from_0(simulate: Simulate, form: dict[str, str], pages: list[int]) -> None:
    """``target_pages`` is 0-based in v1, the numbers in the answer are 1-based."""
    url = simulate()
    job = upload_v1(url, b"one\ntwo\nthree\nfour", form=form)
    found = get(url, f"/api/parsing/job/{job['id']}/result/json").json()["pages"]
    assert [page["page"] for page in found] == pages


def test_pages_past_the_end_are_no_data(simulate: Simulate) -> None:
    """A window beyond the last page fails with the code at which partitioned clients stop."""
    job = upload_v1(simulate(), form={"target_pages": "5-6"})
    assert (job["status"], job["error_code"]) == ("ERROR", "NO_DATA_FOUND_IN_FILE")


def test_an_unknown_tier_fails_late(simulate: Simulate) -> None:
    """v1 takes any tier and fails the job, unless the switch says that it looks at once."""
    job = upload_v1(simulate(), form={"tier": "platinum", "version": "latest"})
    assert (job["status"], job["error_code"]) == ("ERROR", "INVALID_TIER_VERSION_COMBINATION")


def test_an_unknown_tier_may_be_refused_at_once(simulate: Simulate) -> None:
    """Only a third party has seen that v1 looks late, so it is a switch."""
    url = simulate(v1_checks_tier_late=False)
    assert _refused(url, tier="platinum", version="latest").status_code == 422


@pytest.mark.parametrize(
    ("form", "status", "detail"),
    [
        ({"tier": "fast"}, 400, "Must specify a version with a tier. Tier: fast"),
        ({"parse_mode": "guess"}, 400, "Parsing mode guess is not supported."),
        ({"webhook_configurations": "{"}, 400, "Invalid JSON in webhook_configurations: "),
        ({"target_pages": "3-1"}, 400, "target_pages"),
        ({"max_pages": "many"}, 422, ""),
    ],
)
def test_forms_that_the_service_refuses(
    simulate: Simulate, form: dict[str, str], status: int, detail: str
) -> None:
    """A form that makes no sense is refused before a job is made, in the documented words."""
    answer = _refused(simulate(), **form)
    assert answer.status_code == status
    assert str(answer.json()["detail"]).startswith(detail) or not detail


def test_a_form_without_a_document_is_refused(simulate: Simulate) -> None:
    """One of the three sources must be named."""
    url = simulate()
    wanted = {"detail": "Either file, input_url, or input_s3_path must be provided."}
    upload = f"{url}/api/parsing/upload"
    assert httpx.post(upload, headers=AUTH, data={"language": "en"}).json() == wanted
    assert httpx.post(upload, headers=AUTH).json() == wanted
    far = httpx.post(upload, headers=AUTH, data={"input_url": "http://192.0.2.1/a.pdf"})
    assert (far.status_code, "this machine" in far.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("form", "credits_"),
    [
        ({}, 6),
        ({"tier": "agentic", "version": "latest"}, 20),
        ({"parse_mode": "parse_page_without_llm"}, 2),
        ({"parse_mode": "parse_page_with_agent", "model": "openai-gpt-5-mini"}, 90),
        ({"parse_mode": "parse_page_with_agent", "model": "openai-gpt-4-1-mini"}, 20),
        ({"premium_mode": "true"}, 90),
        ({"preset": "invoice"}, 180),
        ({"extract_layout": "true"}, 12),
    ],
)
def test_credits_by_mode(simulate: Simulate, form: dict[str, str], credits_: int) -> None:
    """Two pages cost twice what the mode, the model or the preset costs."""
    url = simulate()
    upload_v1(url, form=form)
    assert ledger(url)["totals"]["credits"] == credits_


def test_the_two_cache_switches_of_v1(simulate: Simulate) -> None:
    """``do_not_cache`` keeps a result out, ``invalidate_cache`` parses anew and stores that."""
    url = simulate()
    for form in ({"do_not_cache": "true"}, {}, {}, {"invalidate_cache": "true"}, {}):
        upload_v1(url, form=form)
    assert [job["credits"] for job in ledger(url)["jobs"]] == [6, 6, 0, 6, 0]


def test_failed_pages_are_a_partial_success(simulate: Simulate) -> None:
    """Some pages failed: PARTIAL_SUCCESS, or SUCCESS by the switch; beyond the tolerance ERROR."""
    strict = {"page_error_tolerance": "0.1"}
    assert upload_v1(simulate(failure_ratio=1), b"one\nfail")["status"] == "PARTIAL_SUCCESS"
    assert (
        upload_v1(simulate(failure_ratio=1, v1_partial_success=False), b"1\nfail")["status"]
        == "SUCCESS"
    )
    assert upload_v1(simulate(), b"2\nfail", form=strict)["status"] == "ERROR"


def test_the_legacy_push_carries_the_result(simulate: Simulate, mailbox: Mailbox) -> None:
    """A ``webhook_url`` gets the whole result: no id, no status, no signature, no event headers."""
    url = simulate()
    upload_v1(url, form={"webhook_url": mailbox.url})
    headers, body = mailbox.wait_for(1)[0]
    payload: dict[str, Any] = json.loads(body)
    assert payload["md"] == "# one\n\n---\n\n# two"
    assert payload["txt"] == "one\n\n---\n\ntwo"
    assert payload["json"][0] == {"page": 1, "text": "one", "md": "# one", "images": []}
    assert payload["images"] == []
    assert not {"lc-signature", "x-webhook-event-id"} & set(headers)


def test_one_store_for_both_versions(simulate: Simulate) -> None:
    """A job made through v2 has v1's words on v1's routes, and the other way round."""
    url = simulate(pending_s=3600.0)
    new = post(url).json()["id"]
    assert get(url, f"/api/v1/parsing/job/{new}").json()["status"] == "PENDING"
    old = httpx.post(f"{url}/api/parsing/upload", headers=AUTH, files={"file": ("a.pdf", b"1")})
    path = f"/api/v2/parse/{old.json()['id']}"
    assert httpx.post(f"{url}{path}/cancel", headers=AUTH).json()["status"] == "CANCELLED"
    job_id = old.json()["id"]
    assert get(url, f"/api/parsing/job/{job_id}").json()["status"] == "CANCELLED"


def test_the_extensions_need_no_key(simulate: Simulate) -> None:
    """The list of the OpenAPI document, for everyone."""
    url = simulate(api_key="llx-right")
    for prefix in PREFIXES:
        answer = httpx.get(f"{url}{prefix}/supported_file_extensions").json()
        assert answer == list(EXTENSIONS)
    assert len(EXTENSIONS) == len(set(EXTENSIONS)) == 147


def test_what_was_asked_comes_back_without_secrets(simulate: Simulate) -> None:
    """``/parameters`` shows the form, but no vendor key and no receiver."""
    url = simulate()
    secret = {"azure_openai_key": "sk-1", "webhook_url": "http://127.0.0.1:1/"}
    job = upload_v1(url, form={"user_prompt": "be brief", **secret})
    asked = get(url, f"/api/parsing/job/{job['id']}/parameters").json()
    assert asked == {"user_prompt": "be brief"}
