"""Files, links without a key, and jobs that are made from a file's id or an address."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2 as httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from core.simulator import SimulatorConfig, create_simulator
from tests.simulator.calls import AUTH, JOBS, get, ledger
from tests.simulator.cast import eventually, read_lines
from tests.simulator.serving import Serving

Simulate = Callable[..., str]
FILES = "/api/v1/beta/files"


def _keep(url: str, name: str = "a.pdf", content: bytes = b"one", **form: str) -> httpx.Response:
    return httpx.post(
        f"{url}{FILES}",
        headers=AUTH,
        data={"purpose": "parse", **form},
        files={"file": (name, content)},
    )


def test_a_file_from_upload_to_deletion(simulate: Simulate) -> None:
    """201 with the documented shape, found with and without its prefix, deleted with 204, then 404."""
    url = simulate()
    made = _keep(url, external_file_id="ours-7")
    file = made.json()
    assert made.status_code == 201
    assert file["id"].startswith("dfl-")
    assert (file["name"], file["file_type"], file["purpose"]) == ("a.pdf", "pdf", "parse")
    assert (file["external_file_id"], file["download_url"]) == ("ours-7", None)
    bare = file["id"].removeprefix("dfl-")
    assert get(url, f"{FILES}/{bare}").json() == get(url, f"{FILES}/{file['id']}").json() == file
    gone = httpx.delete(f"{url}{FILES}/{file['id']}", headers=AUTH)
    assert (gone.status_code, gone.content) == (204, b"")
    assert get(url, f"{FILES}/{file['id']}").status_code == 404
    assert get(url, FILES).json()["items"] == []


def test_a_link_needs_no_key_until_it_expires(tmp_path: Path) -> None:
    """Whoever has the link may download; a changed one and an expired one are refused."""
    now = datetime.now(UTC)
    config = SimulatorConfig(api_key="llx-test")
    app = create_simulator(config, tmp_path, read_lines, clock=lambda: now)
    with Serving(app) as served:
        file_id = _keep(served.url, content=b"the bytes").json()["id"]
        link = get(served.url, f"{FILES}/{file_id}/content", expires_at_seconds=60).json()
        assert link["form_fields"] is None
        assert datetime.fromisoformat(link["expires_at"]) <= now + timedelta(seconds=60)
        assert httpx.get(link["url"]).content == b"the bytes"
        assert httpx.get(link["url"].replace("expires=", "expires=9")).status_code == 403
        assert httpx.get(link["url"].split("?")[0]).status_code == 403
        now += timedelta(seconds=61)
        assert httpx.get(link["url"]).json() == {"detail": "The link has expired."}
        shown = get(served.url, f"{FILES}/{file_id}", expand="download_url").json()
        assert httpx.get(shown["download_url"]["url"]).content == b"the bytes"


def test_the_listing_of_files_pages_filters_and_orders(simulate: Simulate) -> None:
    """Each file comes once over all pages, newest first unless ordered, and filters are exact."""
    url = simulate()
    made = [_keep(url, f"{name}.pdf", name.encode()).json()["id"] for name in "cab"]
    seen, token = [], None
    while True:
        page = get(url, FILES, page_size=2, **({"page_token": token} if token else {})).json()
        seen += [file["id"] for file in page["items"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == made[::-1]
    assert page["total_size"] == 3
    named = get(url, FILES, order_by="name").json()["items"]
    assert [file["name"] for file in named] == ["a.pdf", "b.pdf", "c.pdf"]
    assert [f["id"] for f in get(url, FILES, file_name="a.pdf").json()["items"]] == [made[1]]
    assert len(get(url, FILES, file_ids=made[:2]).json()["items"]) == 2
    assert get(url, FILES, external_file_id="none").json()["items"] == []
    assert get(url, FILES, order_by="name desc").status_code == 422
    query = {"filter": {"file_name": "b.pdf"}, "page_size": 5}
    asked = httpx.post(f"{url}{FILES}/query", headers=AUTH, json=query).json()
    assert [file["id"] for file in asked["items"]] == [made[2]]
    other = "11111111-1111-4111-8111-111111111111"
    for filter_, status in (
        ({"project_id": "mine"}, 422),
        ({"project_id": other}, 403),
        ({"data_source_id": other}, 200),
    ):
        answer = httpx.post(f"{url}{FILES}/query", headers=AUTH, json={"filter": filter_})
        assert (answer.status_code, answer.json().get("items", [])) == (status, [])


@pytest.mark.parametrize(
    ("form", "content", "status"),
    [({"purpose": "fun"}, b"x", 422), ({}, b"", 400)],
)
def test_files_that_are_refused(
    simulate: Simulate, form: dict[str, str], content: bytes, status: int
) -> None:
    """An unknown purpose and an empty file are no file."""
    url = simulate()
    assert _keep(url, content=content, **form).status_code == status
    assert get(url, FILES).json()["total_size"] == 0


def test_a_job_is_made_from_a_file(simulate: Simulate) -> None:
    """``file_id`` stands for the upload; one that is not there is 404, and billed nothing."""
    url = simulate()
    file_id = _keep(url, content=b"one\ntwo").json()["id"]
    options = {"tier": "agentic", "version": "latest"}
    job = httpx.post(f"{url}{JOBS}", headers=AUTH, json={**options, "file_id": file_id}).json()
    assert (job["name"], job["status"]) == ("a.pdf", "PENDING")
    eventually(lambda: ledger(url)["jobs"][0]["status"] == "COMPLETED")
    httpx.delete(f"{url}{FILES}/{file_id}", headers=AUTH)
    gone = httpx.post(f"{url}{JOBS}", headers=AUTH, json={**options, "file_id": file_id})
    assert (gone.status_code, gone.json()["detail"]) == (404, "Source file not found in storage")
    both = {**options, "file_id": file_id, "source_url": "http://127.0.0.1/"}
    assert httpx.post(f"{url}{JOBS}", headers=AUTH, json=both).status_code == 422
    assert httpx.post(f"{url}{JOBS}", headers=AUTH, json=options).status_code == 422
    assert ledger(url)["totals"] == {"jobs": 1, "pages": 2, "credits": 20}


def _source() -> Starlette:
    def answer(request: Request) -> Response:
        match request.url.path:
            case "/terms.pdf":
                return PlainTextResponse("one\ntwo\nthree")
            case "/moved.pdf":
                return RedirectResponse("/terms.pdf")
            case "/empty.pdf":
                return PlainTextResponse("")
            case _:
                return PlainTextResponse("no", 404)

    return Starlette(routes=[Route("/{name}", answer)])


def test_a_job_is_made_from_an_address(simulate: Simulate) -> None:
    """``source_url`` is fetched from this machine, the name is the address's last part."""
    url = simulate()
    with Serving(_source()) as source:
        options = {"tier": "fast", "version": "latest", "source_url": f"{source.url}/terms.pdf"}
        job = httpx.post(f"{url}{JOBS}", headers=AUTH, json=options).json()
    assert job["name"] == "terms.pdf"
    eventually(lambda: ledger(url)["totals"]["pages"] == 3)


@pytest.mark.parametrize("name", ["moved.pdf", "empty.pdf", "missing.pdf"])
def test_an_address_without_a_document_is_refused(simulate: Simulate, name: str) -> None:
    """A redirect, an empty answer and a 404 are no document: 400, no job."""
    url = simulate()
    with Serving(_source()) as source:
        options = {"tier": "fast", "version": "latest", "source_url": f"{source.url}/{name}"}
        answer = httpx.post(f"{url}{JOBS}", headers=AUTH, json=options)
    assert answer.status_code == 400
    assert ledger(url)["totals"]["jobs"] == 0


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1/a.pdf",
        "https://127.0.0.1/a.pdf",
        "http://127.0.0.1.example.com/a.pdf",
        "http://127.0.0.1:1/a.pdf",
        "http://user@example.com/@127.0.0.1",
        "http://[::1/a.pdf",
        "http:nowhere",
    ],
)
def test_the_simulator_fetches_nothing_from_elsewhere(simulate: Simulate, address: str) -> None:
    """Only this machine over http; anything else is a 400 that says so, and no request leaves."""
    options = {"tier": "fast", "version": "latest", "source_url": address}
    answer = httpx.post(f"{simulate()}{JOBS}", headers=AUTH, json=options)
    assert answer.status_code == 400
    assert "source_url" in answer.json()["detail"]
