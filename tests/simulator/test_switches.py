"""The other side of each switch: what the look-alike does where nobody knows what the service does."""

import io
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest
from PIL import Image

from core.simulator import SimulatorConfig, create_simulator
from tests.simulator.calls import AUTH, JOBS, done, get, ledger, post, upload_v1
from tests.simulator.cast import Mailbox, eventually, read_lines
from tests.simulator.serving import Serving

Simulate = Callable[..., str]


def test_only_the_first_receiver_may_be_told(simulate: Simulate, mailbox: Mailbox) -> None:
    """An older page says that only the first entry of the list is used."""
    url = simulate(first_webhook_only=True, events=("parse.success",))
    hooks = [{"webhook_url": f"{mailbox.url}/{n}"} for n in range(2)]
    post(url, webhook_configurations=hooks)
    eventually(lambda: [w["status"] for w in ledger(url)["webhooks"]] == ["delivered"])
    assert len(mailbox.received) == 1


def test_v1_may_show_nulls_and_credits(simulate: Simulate) -> None:
    """Error keys are null instead of absent, and the credit fields tell the credits."""
    url = simulate(v1_error_keys=True, v1_reports_credits=True)
    job = upload_v1(url)
    assert (job["error_code"], job["error_message"]) == (None, None)
    metadata = get(url, f"/api/parsing/job/{job['id']}/result/text").json()["job_metadata"]
    assert (metadata["credits_used"], metadata["job_credits_usage"]) == (6, 6)


def test_v1_may_take_a_tier_without_a_version(simulate: Simulate) -> None:
    """Then the tier's price counts."""
    url = simulate(v1_tier_needs_version=False)
    assert upload_v1(url, form={"tier": "agentic"})["status"] == "SUCCESS"
    assert ledger(url)["totals"]["credits"] == 20


def test_pages_may_be_joined_otherwise(simulate: Simulate) -> None:
    """The separator is the simulator's, unless a v1 request brings its own, with its prefix and suffix."""
    url = simulate(page_separator="\n~~~\n")
    full = get(url, f"{JOBS}/{done(url)}", expand="markdown_full").json()["markdown_full"]
    assert full == "# one\n~~~\n# two"
    form = {"page_separator": "|", "page_prefix": "<{pageNumber}>", "page_suffix": "!"}
    job = upload_v1(url, form=form)
    markdown = get(url, f"/api/parsing/job/{job['id']}/result/markdown").json()["markdown"]
    assert markdown == "<1># one!|<2># two!"


def test_failed_pages_may_fail_the_job(simulate: Simulate) -> None:
    """The documented default lets a job with too many failed pages fail; a request may say its own."""
    url = simulate()
    lax = {"job_failure_conditions": {"allowed_page_failure_ratio": 0.5}}
    done(url, b"one\nfail")
    done(url, b"two\nfail", processing_control=lax)
    found = [(job["status"], job["credits"]) for job in ledger(url)["jobs"]]
    assert found == [("FAILED", 0), ("COMPLETED", 20)]


@pytest.mark.parametrize("status", [400, 409])
def test_the_refusal_of_a_wrong_state(simulate: Simulate, status: int) -> None:
    """Cancelling what has ended is refused with the status of the switch."""
    url = simulate(refusal_status=status)
    job_id = done(url)
    assert httpx.post(f"{url}{JOBS}/{job_id}/cancel", headers=AUTH).status_code == status


@pytest.mark.parametrize(
    ("config", "options", "credits_"),
    [
        ({"layout_credits": 3}, {}, 26),
        ({}, {"processing_options": {"confidence_score_effort": "high"}}, 30),
        ({}, {"processing_options": {"forms": "enrich"}}, 30),
        ({"form_page_credits": 4}, {"processing_options": {"forms": "enrich"}}, 24),
    ],
)
def test_what_extras_cost(
    simulate: Simulate, config: dict[str, int], options: dict[str, object], credits_: int
) -> None:
    """Layout, high effort and pages with a form on them come on top of two agentic pages."""
    url = simulate(**config)
    done(url, b"- [ ] not a heading\nplain", **options)
    assert ledger(url)["totals"]["credits"] == credits_


def test_a_pdf_may_always_be_saved(tmp_path: Path) -> None:
    """One page of the documentation asks for the output PDF without having switched it on."""
    app = create_simulator(SimulatorConfig(pdf_is_always_saved=True), tmp_path, read_lines)
    with Serving(app) as served:
        job_id = done(served.url, b"%PDF-1")
        pdf = get(served.url, f"/api/parsing/job/{job_id}/result/pdf")
    assert pdf.content == b"%PDF-1"


def test_screenshots_alone(tmp_path: Path) -> None:
    """``/screenshot`` makes a job for the page images; ``/read`` links to one of them."""

    def draw(_path: Path, _number: int) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (4, 5)).save(out, "PNG")
        return out.getvalue()

    app = create_simulator(SimulatorConfig(), tmp_path, read_lines, page_image=draw)
    with Serving(app) as served:
        url = served.url
        made = httpx.post(
            f"{url}/api/v1/parsing/screenshot",
            headers=AUTH,
            files={"file": ("a.pdf", b"%PDF-1\ntwo")},
        ).json()
        job = f"/api/v1/parsing/job/{made['id']}"
        eventually(lambda: get(url, job).json()["status"] == "SUCCESS")
        pages = get(url, f"{job}/result/json").json()["pages"]
        name = pages[1]["images"][0]["name"]
        assert (name, ledger(url)["totals"]["credits"]) == ("page_2.jpg", 2)
        link = get(url, f"{job}/read/{name}").json()
        assert httpx.get(link["url"]).content == get(url, f"{job}/result/image/{name}").content
        assert get(url, f"{job}/read/page_9.jpg").status_code == 404
