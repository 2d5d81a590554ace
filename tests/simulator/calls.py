"""How these tests speak to the look-alike: the calls a script would make, over real HTTP."""

import json
from typing import Any

import httpx2 as httpx

from tests.simulator.cast import eventually

__all__ = ["AUTH", "JOBS", "done", "get", "ledger", "post", "upload_v1"]

AUTH = {"Authorization": "Bearer llx-test"}
JOBS = "/api/v2/parse"
_FINAL = {"COMPLETED", "FAILED", "CANCELLED"}


def post(
    url: str, content: bytes = b"one\ntwo", name: str = "a.pdf", **options: Any
) -> httpx.Response:
    """A v2 upload."""
    configuration = json.dumps({"tier": "agentic", "version": "latest", **options})
    return httpx.post(
        f"{url}{JOBS}/upload",
        headers=AUTH,
        data={"configuration": configuration},
        files={"file": (name, content, "application/pdf")},
    )


def get(url: str, path: str, **params: Any) -> httpx.Response:
    """A GET with the key."""
    return httpx.get(f"{url}{path}", headers=AUTH, params=params)


def done(url: str, *args: Any, **options: Any) -> str:
    """A v2 upload whose job has ended: its id."""
    answer = post(url, *args, **options)
    assert answer.status_code == 200, answer.text
    job_id: str = answer.json()["id"]
    eventually(lambda: get(url, f"{JOBS}/{job_id}").json()["job"]["status"] in _FINAL)
    return job_id


def upload_v1(
    url: str,
    content: bytes = b"one\ntwo",
    name: str = "a.pdf",
    *,
    prefix: str = "/api/parsing",
    form: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A v1 upload whose job has ended: the job."""
    answer = httpx.post(
        f"{url}{prefix}/upload", headers=AUTH, data=form or {}, files={"file": (name, content)}
    )
    assert answer.status_code == 200, answer.text
    path = f"{prefix}/job/{answer.json()['id']}"
    eventually(lambda: get(url, path).json()["status"] != "PENDING")
    job: dict[str, Any] = get(url, path).json()
    return job


def ledger(url: str) -> dict[str, Any]:
    """What the look-alike received, billed and sent."""
    answer: dict[str, Any] = httpx.get(f"{url}/__simulator/ledger").json()
    return answer
