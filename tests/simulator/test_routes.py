"""The look-alike's routes: shapes, refusals and prices as the fact sheet documents them."""

import json
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from core.simulator.records import NewJob
from core.simulator.state import State
from tests.simulator.cast import eventually

Simulate = Callable[..., str]
AUTH = {"Authorization": "Bearer llx-test"}
JOBS = "/api/v2/parse"


def _post(
    url: str, content: bytes = b"one\ntwo", name: str = "a.pdf", **options: Any
) -> httpx.Response:
    configuration = json.dumps({"tier": "agentic", "version": "latest", **options})
    return httpx.post(
        f"{url}{JOBS}/upload",
        headers=AUTH,
        data={"configuration": configuration},
        files={"file": (name, content, "application/pdf")},
    )


def _get(url: str, path: str = "", **params: Any) -> httpx.Response:
    return httpx.get(f"{url}{JOBS}{path}", headers=AUTH, params=params)


def _done(url: str, *args: Any, **options: Any) -> str:
    job_id: str = _post(url, *args, **options).json()["id"]
    final = {"COMPLETED", "FAILED", "CANCELLED"}
    eventually(lambda: _get(url, f"/{job_id}").json()["job"]["status"] in final)
    return job_id


def _ledger(url: str) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(f"{url}/__simulator/ledger").json()
    return answer


def test_create_is_flat_and_get_is_wrapped(simulate: Simulate) -> None:
    """Create answers with the job, get with the job under its name; that is what the clients read."""
    url = simulate()
    created = _post(url, user_metadata={"team": "blue"}).json()
    assert created["id"].startswith("pjb-")
    assert (created["status"], created["user_metadata"]) == ("PENDING", {"team": "blue"})
    assert _get(url, f"/{created['id']}").json()["job"]["id"] == created["id"]


@pytest.mark.parametrize("expand", [["markdown", "text", "usage"], ["markdown,text", "usage"]])
def test_expand_by_repetition_and_by_comma(simulate: Simulate, expand: list[str]) -> None:
    """The SDK repeats the parameter and the documentation uses commas; both are understood."""
    url = simulate()
    answer = _get(url, f"/{_done(url)}", expand=expand).json()
    assert [page["markdown"] for page in answer["markdown"]["pages"]] == ["# one", "# two"]
    assert [page["text"] for page in answer["text"]["pages"]] == ["one", "two"]
    assert answer["job"]["usage"] == {"credits": 20}


def test_whole_document_and_metadata(simulate: Simulate) -> None:
    """The whole document is the pages joined as the service joins them."""
    url = simulate()
    expand = "markdown_full,text_full,metadata,job_metadata,something_newer"
    answer = _get(url, f"/{_done(url)}", expand=expand).json()
    assert answer["markdown_full"] == "# one\n\n---\n\n# two"
    assert answer["text_full"] == "one\n\n---\n\ntwo"
    assert answer["job_metadata"] == {"job_pages": 2, "job_is_cache_hit": False}
    assert "something_newer" not in answer


def test_failed_pages_are_marked(simulate: Simulate) -> None:
    """A page that failed says so; the job is completed all the same."""
    url = simulate(failure_ratio=1)
    pages = _get(
        url, f"/{_done(url, b'one' + chr(10).encode() + b'fail')}", expand="markdown"
    ).json()
    assert pages["job"]["status"] == "COMPLETED"
    failed = {"page_number": 2, "success": False, "error": "the page is broken"}
    assert pages["markdown"]["pages"][1] == failed


@pytest.mark.parametrize(
    ("tier", "credits_"),
    [("fast", 2), ("cost_effective", 6), ("agentic", 20), ("agentic_plus", 90)],
)
def test_credits_by_tier_and_page(simulate: Simulate, tier: str, credits_: int) -> None:
    """Two pages cost twice the tier's price, on the job and on the ledger."""
    url = simulate()
    job_id = _done(url, tier=tier)
    assert _get(url, f"/{job_id}", expand="usage").json()["job"]["usage"]["credits"] == credits_
    assert _ledger(url)["totals"] == {"jobs": 1, "pages": 2, "credits": credits_}


def test_usage_is_null_until_billed(simulate: Simulate) -> None:
    """A client must be able to wait for credits that are reported later than the result."""
    url = simulate(billed_after_s=3600)
    assert _get(url, f"/{_done(url)}", expand="usage").json()["job"]["usage"] == {"credits": None}


def test_equal_bytes_and_options_cost_nothing_again(simulate: Simulate) -> None:
    """A cache hit is free, other options or a disabled cache are not, and a name is no option."""
    url = simulate()
    _done(url)
    _done(url, name="another.pdf", user_metadata={"n": "2"})
    _done(url, tier="fast")
    _done(url, disable_cache=True)
    jobs = _ledger(url)["jobs"]
    assert [(job["credits"], job["is_cached"]) for job in jobs] == [
        (20, False),
        (0, True),
        (2, False),
        (20, False),
    ]


def test_the_cache_can_be_switched_off(simulate: Simulate) -> None:
    """Without the cache every job is billed."""
    url = simulate(cache=False)
    _done(url)
    _done(url)
    assert _ledger(url)["totals"]["credits"] == 40


def test_pages_that_were_asked_for(simulate: Simulate) -> None:
    """Only the chosen pages are parsed and billed, by their numbers in the document."""
    url = simulate()
    lines = b"one\ntwo\nthree\nfour"
    chosen = _get(
        url, f"/{_done(url, lines, page_ranges={'target_pages': '2-3'})}", expand="text"
    ).json()
    first = _get(url, f"/{_done(url, lines, page_ranges={'max_pages': 1})}", expand="text").json()
    assert [page["page_number"] for page in chosen["text"]["pages"]] == [2, 3]
    assert [page["page_number"] for page in first["text"]["pages"]] == [1]
    assert _ledger(url)["totals"]["credits"] == 30


def test_ids_follow_from_the_seed(
    simulate: Simulate, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same seed gives the same ids in the same order, never the same id twice."""
    new = NewJob("a.pdf", "00", 1, "fast", 1)
    ids = []
    for seed in ("s", "s", "t", ""):
        state = State(tmp_path_factory.mktemp("state"), seed, 3.0, ())
        ids.append([state.create(new, 1.0, None).result()[0].id for _ in range(3)])
        state.close()
    assert ids[0] == ids[1]
    assert len({job_id for run in ids for job_id in run}) == 9


def test_the_listing_pages_and_filters(simulate: Simulate) -> None:
    """Reading page by page yields every job once, newest first, and filters hold."""
    url = simulate()
    ids = [_done(url, f"doc {n}".encode()) for n in range(5)]
    seen, token = [], None
    while True:
        params: dict[str, Any] = {"page_size": 2} | ({"page_token": token} if token else {})
        page = _get(url, **params).json()
        seen += [job["id"] for job in page["items"]]
        assert page["total_size"] == 5
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == ids[::-1]
    third = _get(url, f"/{ids[2]}").json()["job"]["created_at"]
    assert len(_get(url, created_at_on_or_after=third).json()["items"]) == 3
    assert len(_get(url, created_at_on_or_before=third).json()["items"]) == 3
    assert _get(url, status="FAILED").json()["items"] == []
    chosen = _get(url, job_ids=[ids[0], ids[4]]).json()["items"]
    assert [job["id"] for job in chosen] == [ids[4], ids[0]]


def test_cancel_and_delete(simulate: Simulate) -> None:
    """Only a running job can be cancelled and only an ended one deleted; the ledger forgets neither."""
    url = simulate(pending_s=3600)
    job_id = _post(url).json()["id"]
    assert httpx.delete(f"{url}{JOBS}/{job_id}", headers=AUTH).status_code == 409
    cancelled = httpx.post(f"{url}{JOBS}/{job_id}/cancel", headers=AUTH)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert httpx.post(f"{url}{JOBS}/{job_id}/cancel", headers=AUTH).status_code == 409
    deleted = httpx.delete(f"{url}{JOBS}/{job_id}", headers=AUTH).json()
    assert deleted == {"id": job_id, "project_id": cancelled.json()["project_id"]}
    assert _get(url, f"/{job_id}").status_code == 404
    assert [(job["status"], job["is_deleted"]) for job in _ledger(url)["jobs"]] == [
        ("CANCELLED", True)
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"refuse:encrypted", "PDF_IS_PROTECTED"),
        (b"refuse:broken", "PDF_IS_BROKEN"),
        (b"refuse:empty", "NO_DATA_FOUND_IN_FILE"),
        (b"refuse:no_pages", "NO_DATA_FOUND_IN_FILE"),
        (b"refuse:unsupported", "UNSUPPORTED_FILE_TYPE"),
        (b"refuse:too_large", "DOCUMENT_TOO_LARGE"),
        (b"refuse:timed_out", "TIMEOUT"),
        (b"nothing", "NO_DATA_FOUND_IN_FILE"),
        (b"crash", "ERROR_DURING_PROCESSING"),
        (b"\xff", "ERROR_DURING_PROCESSING"),
    ],
)
def test_a_document_that_cannot_be_read_fails_with_a_vendor_code(
    simulate: Simulate, content: bytes, code: str
) -> None:
    """Whatever the reader does, the job ends, unbilled, with a code that the client knows."""
    url = simulate()
    job = _get(url, f"/{_done(url, content)}").json()["job"]
    assert job["status"] == "FAILED"
    assert job["error_message"].startswith(f"{code}: ")
    assert _ledger(url)["totals"]["credits"] == 0


@pytest.mark.parametrize(
    ("options", "loc"),
    [
        ({"tier": "platinum"}, ["body", "tier"]),
        ({"version": "newest"}, ["body", "version"]),
        ({"colour": "blue"}, ["body", "colour"]),
        ({"page_ranges": {"target_pages": "3,1-3"}}, ["body", "page_ranges", "target_pages"]),
        ({"page_ranges": {"max_pages": 0}}, ["body", "page_ranges", "max_pages"]),
        ({"webhook_configurations": [{"webhook_url": "ftp://x"}]}, None),
        ({"user_metadata": {"n": 1}}, ["body", "user_metadata", "n"]),
    ],
)
def test_options_that_the_service_refuses(
    simulate: Simulate, options: dict[str, Any], loc: list[str] | None
) -> None:
    """Unknown keys and values give 422 with the place of each, and make no job."""
    url = simulate()
    answer = _post(url, **options)
    assert answer.status_code == 422
    problem = answer.json()["detail"][0]
    assert set(problem) >= {"type", "loc", "msg", "input"}
    assert loc is None or problem["loc"] == loc
    assert _ledger(url)["totals"]["jobs"] == 0


def test_uploads_that_the_service_refuses(simulate: Simulate) -> None:
    """An empty file, no file or no options: a clear refusal and no job."""
    url = simulate()
    upload = f"{url}{JOBS}/upload"
    options = {"configuration": '{"tier": "fast", "version": "latest"}'}
    file = {"file": ("a.pdf", b"x")}
    assert _post(url, b"").json() == {"detail": "Uploaded file is empty."}
    assert httpx.post(upload, headers=AUTH, json={}).status_code == 400
    assert httpx.post(upload, headers=AUTH, files=file).status_code == 422
    bad_json = httpx.post(upload, headers=AUTH, data={"configuration": "{"}, files=file)
    assert bad_json.json()["detail"][0]["type"] == "json_invalid"
    no_file = httpx.post(upload, headers=AUTH, data=options, files={"other": ("a.pdf", b"x")})
    assert no_file.json() == {"detail": "file field is required for multipart requests."}
    broken = {**AUTH, "Content-Type": "multipart/form-data; boundary=x"}
    assert httpx.post(upload, headers=broken, content=b"--y\r\nrubbish").status_code in {400, 422}
    assert _ledger(url)["totals"]["jobs"] == 0


@pytest.mark.parametrize(
    "query", ["status=DONE", "page_size=0", "page_size=x", "created_at_on_or_after=now"]
)
def test_listing_parameters_are_checked(simulate: Simulate, query: str) -> None:
    """A filter that makes no sense is refused, not ignored."""
    assert httpx.get(f"{simulate()}{JOBS}?{query}", headers=AUTH).status_code == 422


@pytest.mark.parametrize("token", ["!!", "eA==", "é"])
def test_a_made_up_page_token_is_refused(simulate: Simulate, token: str) -> None:
    """Page tokens are the server's; another one gives 400."""
    assert _get(simulate(), page_token=token).status_code == 400


def test_who_may_ask(simulate: Simulate) -> None:
    """Without a bearer 401, with another key than the configured one 401, versions for everyone."""
    url = simulate(api_key="llx-right")
    no_key = httpx.get(f"{url}{JOBS}")
    assert (no_key.status_code, no_key.json()) == (401, {"detail": "Not authenticated"})
    wrong = httpx.get(f"{url}{JOBS}", headers=AUTH)
    assert wrong.status_code == 401
    assert wrong.json()["detail"].startswith("Invalid API Key")
    right = {"Authorization": "Bearer llx-right"}
    assert httpx.get(f"{url}{JOBS}", headers=right).status_code == 200
    assert httpx.get(f"{url}{JOBS}/versions").json()["latest"]["fast"] == "2026-06-15"


def test_every_answer_names_the_simulator(simulate: Simulate) -> None:
    """No answer, refusals included, can pass for the service's."""
    url = simulate()
    answers = [
        httpx.get(f"{url}{JOBS}"),
        _get(url),
        _get(url, "/pjb-unknown"),
        _post(url, tier="x"),
        httpx.get(f"{url}/nowhere"),
        httpx.put(f"{url}{JOBS}", headers=AUTH),
        httpx.get(f"{url}/__simulator/health"),
    ]
    assert [answer.status_code for answer in answers] == [401, 200, 404, 422, 404, 405, 200]
    assert all(answer.headers["X-Parsedeck-Simulator"] == "1" for answer in answers)
    assert answers[2].json() == {"detail": "Parse job not found"}


def test_fast_tier_has_no_markdown_unless_switched_on(simulate: Simulate) -> None:
    """The documentation and the SDK's changelog disagree, so it is a switch."""
    url = simulate()
    refused = _get(url, f"/{_done(url, tier='fast')}", expand="markdown")
    assert refused.status_code == 400
    assert refused.json() == {"detail": "Markdown expansion is not available for FAST tier jobs."}
    url = simulate(fast_has_markdown=True)
    assert "markdown" in _get(url, f"/{_done(url, tier='fast')}", expand="markdown").json()
