"""The main job as a person does it, in a real Chromium against the real command."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from bench.history import fill
from core.console import Console
from core.samples import sample_documents
from core.settings import Settings
from core.store import Store, handoffs, inbox, recording
from core.webhooks.signatures import sign
from dashboard.preload import code_of
from tests.factories import a_delivery, free_port, submitted

IMAGES = Path(__file__).parents[1] / "docs" / "images"
PARSEDECK = Path(sys.executable).with_name("parsedeck")
pytestmark = pytest.mark.browser
expect.set_options(timeout=30_000)


def _file(name: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": "", "buffer": data}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``parsedeck up`` started from an empty folder."""
    limits = {"PARSEDECK_HOURLY_REQUEST_LIMIT": "1000", "PARSEDECK_DAILY_LIMIT_USD": "100"}
    with _up(tmp_path_factory.mktemp("empty"), **limits) as url:
        yield url


@contextmanager
def _up(folder: Path, **variables: str) -> Iterator[str]:
    port = free_port()
    names = ("LLAMAPARSE_", "LLAMA_CLOUD_", "PARSEDECK_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(names)} | variables
    command = [str(PARSEDECK), "up", "--port", str(port), "--ingress-port", str(free_port())]
    with (folder / "up.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for(f"{url}/api/v1/ready", process)
            yield url
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "parsedeck up ended"
        try:
            if httpx.get(url).is_success:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail("parsedeck up did not get ready")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    found = next(
        (p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))),
        None,
    )
    with sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-sync",
        ]
        chromium = playwright.chromium.launch(executable_path=found, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh window that reports what it loads from elsewhere."""
    window = browser.new_page(viewport={"width": 1280, "height": 900})
    window.set_default_timeout(30_000)
    yield window
    window.close()


def test_drop_three_documents_and_read_one(address: str, page: Page) -> None:
    """An operator drops a text PDF, a scan and a web page, sees the price, and reads the markdown."""
    foreign: list[str] = []
    page.on(
        "request",
        lambda r: (
            foreign.append(r.url) if "127.0.0.1" not in r.url and r.url.startswith("http") else None
        ),
    )
    # what the console's own policy stops never leaves the browser
    page.on("requestfailed", lambda r: foreign.remove(r.url) if r.failure == "csp" else None)
    page.goto(address)
    expect(page.get_by_text("No jobs yet.")).to_be_visible()
    page.goto(f"{address}/submit")
    page.locator("input[type=file]").set_input_files(
        [_file(n, b) for n, b in sample_documents().items()]
    )
    button = page.get_by_role("button", name="Parse 3 documents for $0.05 simulated")
    expect(button).to_be_visible()
    button.click()
    expect(page.get_by_text("3 of 3 finished")).to_be_visible()
    page.get_by_role("link", name="welcome.pdf").click()
    rendered = page.locator(".st-key-rendered")
    expect(rendered.get_by_text("You are reading the markdown that was made of it")).to_be_visible()
    expect(rendered.get_by_role("heading", name="Welcome to Parsedeck")).to_be_visible()
    timeline = page.locator(".st-key-timeline")
    expect(timeline.get_by_text("webhook parse.success").first).to_be_visible()
    expect(timeline.get_by_text("verified").first).to_be_visible()
    expect(page.get_by_text("Simulated: no money is spent")).to_be_visible()
    expect(page.locator("img").first).to_be_visible()
    if os.environ.get("PICTURES"):
        IMAGES.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(500)
        page.screenshot(path=IMAGES / "job.png")
    assert foreign == []


def test_a_file_that_cannot_be_read_is_named_with_what_to_do(address: str, page: Page) -> None:
    """Text under a PDF name makes no job and says what to do; the good file beside it is parsed."""
    page.goto(f"{address}/submit")
    page.locator("input[type=file]").set_input_files(
        [
            _file("fake.pdf", b"not a pdf"),
            _file("good.txt", b"a good text"),
        ]
    )
    expect(
        page.get_by_text("fake.pdf: The file is named .pdf, but it is plain text.")
    ).to_be_visible()
    page.get_by_role("button", name="Parse 1 document for").click()
    expect(page.get_by_text("1 of 1 finished")).to_be_visible()


def test_results_are_taken_away_and_what_waits_is_called_off(
    tmp_path: Path, browser: Browser
) -> None:
    """A batch has one ZIP, a document its markdown and JSON; what waits for room is cancelled, and tried again."""
    with _up(tmp_path, PARSEDECK_HOURLY_REQUEST_LIMIT="2") as url:
        window = browser.new_page(viewport={"width": 1280, "height": 900})
        window.goto(f"{url}/submit")
        names = ["note.txt", "note.md", "late.txt"]
        window.locator("input[type=file]").set_input_files(
            [_file(n, f"words of {n}".encode()) for n in names]
        )
        window.get_by_role("button", name="Parse 3 documents for").click()
        expect(window.get_by_text("2 of 3 finished")).to_be_visible(timeout=60_000)
        expect(window.get_by_text("this hour's limit").first).to_be_visible()
        with window.expect_download() as download:
            window.get_by_role("button", name="Download all results").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            texts = {n: archive.read(n).decode() for n in archive.namelist() if n.endswith(".md")}
        assert sorted(texts) == ["note.simulated-2.md", "note.simulated.md"]
        assert {n for n in names if f"words of {n}" in "".join(texts.values())} == set(names[:2])
        window.get_by_role("button", name="Cancel 1 unfinished").click()
        expect(window.get_by_text("3 of 3 finished, 1 cancelled")).to_be_visible(timeout=30_000)
        window.get_by_role("button", name="Retry 1 cancelled for about $0.01 simulated").click()
        waits = window.get_by_role("button", name="Cancel 1 unfinished")
        expect(waits).to_be_visible(timeout=30_000)
        window.get_by_role("link", name="note.md").click()
        for kind, words in (("Markdown", "words of note.md"), ("JSON", '"simulated": true')):
            with window.expect_download() as download:
                window.get_by_role("button", name=kind, exact=True).click()
            assert words in download.value.path().read_text()
        window.close()


@pytest.mark.timeout(400)  # a machine that is too busy to send in time tries again later, by design
def test_two_hundred_files_at_once(address: str, page: Page) -> None:
    """As many files as one press takes are priced, parsed and counted."""
    page.goto(f"{address}/submit")
    files = [_file(f"note-{n}.txt", f"note number {n}".encode()) for n in range(200)]
    page.locator("input[type=file]").set_input_files(files)
    page.get_by_role("button", name="Parse 200 documents for").click(timeout=60_000)
    expect(page.get_by_text("200 of 200 finished")).to_be_visible(timeout=300_000)


def test_hostile_names_are_harmless(address: str, page: Page) -> None:
    """Names with control characters, marks, markup or 300 letters are shown tame and parsed."""
    names = ["a\x07b.txt", "\u202efdp.txt", "<b>bold</b> $1$.txt", f"{'x' * 300}.txt", "..txt"]
    page.goto(f"{address}/submit")
    page.locator("input[type=file]").set_input_files([_file(n, n.encode()) for n in names])
    page.get_by_role("button", name="Parse 5 documents for").click()
    expect(page.get_by_text("5 of 5 finished")).to_be_visible()
    expect(page.get_by_role("link", name="fdp.txt", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="b_ $1$.txt", exact=True)).to_be_visible()


def test_a_browser_closed_in_mid_upload_leaves_nothing_behind(
    address: str, browser: Browser, page: Page
) -> None:
    """Leaving while a file is on its way makes no job, costs nothing and harms nobody else."""
    page.goto(f"{address}/jobs")
    before = page.get_by_text(re.compile(r"^[\d,]+ jobs?$")).inner_text()
    leaving = browser.new_page()
    leaving.goto(f"{address}/submit")
    slow = leaving.context.new_cdp_session(leaving)
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000},
    )
    with leaving.expect_request(lambda request: request.method in {"PUT", "POST"}):
        leaving.locator("input[type=file]").set_input_files([_file("big.txt", b"x" * 20_000_000)])
    leaving.close()
    page.reload()
    expect(page.get_by_text(before, exact=True)).to_be_visible()
    assert httpx.get(f"{address}/api/v1/ready").is_success


def test_over_a_limit_a_lead_approves_and_the_document_goes_on(address: str, page: Page) -> None:
    """A document over its team's limit is held with a choice; approved with a reason, it finishes."""
    page.goto(f"{address}/limits")
    page.get_by_role("button", name="Add a team…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("lab")
    dialog.get_by_label("Name").press("Enter")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Change a limit…").click()
    dialog.get_by_role("combobox").first.click()
    page.get_by_role("option", name="the team lab").click()
    for label, words in (("At most", "0.01"), ("Why", "a trial")):
        dialog.get_by_label(label, exact=True).fill(words)
        dialog.get_by_label(label, exact=True).press("Enter")
    dialog.get_by_role("button", name="Store", exact=True).click()
    expect(dialog).to_have_count(0)
    page.goto(f"{address}/submit?team=lab")
    page.locator("input[type=file]").set_input_files([_file("large.txt", b"a large document")])
    page.get_by_role("button", name="Parse 1 document for").click()
    expect(page.get_by_text("larger than a day's limit").first).to_be_visible()
    page.get_by_role("button", name="Decide…").first.click()
    expect(dialog.get_by_text("Waiting does not help")).to_be_visible()
    if os.environ.get("PICTURES"):
        page.screenshot(path=IMAGES / "decide.png")
    dialog.get_by_role("button", name="Approve this one").click()
    expect(dialog.get_by_text("An approval needs a reason")).to_be_visible()
    dialog.get_by_label("Why").fill("the auditor waits")
    dialog.get_by_label("Why").press("Enter")
    dialog.get_by_role("button", name="Approve this one").click()
    expect(page.get_by_text("1 of 1 finished")).to_be_visible()


def test_spend_draws_three_weeks(tmp_path: Path, browser: Browser) -> None:
    """With three weeks of history every chart is drawn, and the words say where today leads."""
    (tmp_path / "var").mkdir()
    store = Store.open(f"sqlite:///{tmp_path / 'var' / 'parsedeck.sqlite'}")
    fill(store, entries=4000, days=21, now=datetime.now(UTC))
    store.close()
    with _up(tmp_path) as url:
        window = browser.new_page(viewport={"width": 1280, "height": 1500})
        window.goto(f"{url}/spend?by=tier")
        expect(window.locator(".js-plotly-plot")).to_have_count(5, timeout=60_000)
        expect(window.get_by_text("by its end")).to_be_visible()
        expect(window.get_by_text("could not be shown")).to_have_count(0)
        if os.environ.get("PICTURES"):
            window.wait_for_timeout(500)
            window.screenshot(path=IMAGES / "spend.png")
        window.close()


@pytest.mark.parametrize(
    "screen",
    ["", "submit", "jobs", "webhooks", "webhooks?tab=Workbench", "setup", "spend", "limits"],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_screen_shows_without_an_error(
    address: str, browser: Browser, screen: str, scheme: str, width: int
) -> None:
    """Every screen opens in light and dark, wide and narrow; nothing runs out of the window, the theme is taken whole."""
    window = browser.new_page(
        viewport={"width": width, "height": 844},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    told: list[str] = []
    window.on("console", lambda message: told.append(message.text))
    window.goto(f"{address}/{screen}")
    expect(window.get_by_role("heading", level=1)).to_be_visible()
    expect(window.get_by_text("could not be shown")).to_have_count(0)
    window.wait_for_function("!document.querySelector('[data-test-script-state=running]')")
    assert window.evaluate("document.documentElement.scrollWidth <= innerWidth + 1")
    assert [words for words in told if "in theme" in words] == []
    window.close()


def test_what_the_overview_needs_is_announced_with_the_page(
    tmp_path: Path, browser: Browser
) -> None:
    """The code of all that stands on a new Overview comes with the page, in no second round; all of it is used."""
    with _up(tmp_path) as url:
        announced = re.findall(r"<([^>]+)>; rel=modulepreload", httpx.get(url).headers["link"])
        assert all(httpx.get(f"{url}{path}").is_success for path in announced)
        window = browser.new_page()
        window.goto(url)
        expect(window.get_by_text("Submits this hour")).to_be_visible()
        expect(window.get_by_text("No jobs yet.")).to_be_visible()
        window.wait_for_load_state("networkidle")
        script = "performance.getEntriesByType('resource').map(e => [new URL(e.name).pathname, e.startTime])"
        began = dict(window.evaluate(script))
        window.close()
    connected = began["/_stcore/health"]
    assert announced
    assert all(began[path] < connected for path in announced)
    late = {path for path in began if path.endswith(".js") and began[path] >= connected}
    # the style of ours comes when it comes: no number waits for it
    assert late <= {f"/static/js/{name}" for name in code_of(["Html"])}


def test_a_job_that_does_not_exist_says_so(address: str, page: Page) -> None:
    """A wrong link ends in a sentence, not in a traceback."""
    page.goto(f"{address}/job?job=job-none")
    expect(page.get_by_text("There is no job")).to_be_visible()


def test_foreign_hosts_and_forwarded_requests_are_refused(address: str) -> None:
    """The console answers what was asked for on this machine, and nothing that a tunnel passes on."""
    assert httpx.get(address, headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(address, headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 403
    assert httpx.get(address).status_code == 200


def _secret(factory: pytest.TempPathFactory) -> str:
    """The secret that the running console generated for MOCK."""
    (path,) = factory.getbasetemp().glob("empty0/var/mock-webhook-secret")
    return path.read_text(encoding="utf-8")


def _event(event_id: str) -> dict[str, object]:
    data = {"id": "pjb-none", "job_id": "pjb-none"}
    kind = "parse.success"
    return {"event_id": event_id, "event_type": kind, "timestamp": time.time(), "data": data}


def test_the_workbench_foretells_and_sends(address: str, page: Page) -> None:
    """An engineer breaks an event on purpose, reads what would happen, sends it, and opens what came of it."""
    page.goto(f"{address}/webhooks?tab=Workbench")
    ahead = page.locator(".st-key-ahead-0")
    expect(ahead.get_by_text("200 parked")).to_be_visible()
    page.get_by_role("button", name="bad signature").click()
    expect(ahead.get_by_text("401 bad signature")).to_be_visible()
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("link", name="Open the delivery").click()
    expect(page.locator(".st-key-checklist").get_by_text("not made with a known")).to_be_visible()


def test_copied_commands_lead_to_the_ingress_port(
    address: str, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is copied from the workbench works in a shell, whatever the ingress port is, and outlives this start."""
    (log,) = tmp_path_factory.getbasetemp().glob("empty0/up.log")
    (ingress,) = re.findall(r"Webhooks for a tunnel: (\S+)", log.read_text())
    page.goto(f"{address}/webhooks?tab=Workbench")
    page.get_by_text("As a command").click()
    command = page.locator("code", has_text="parsedeck webhook send")
    expect(command).to_contain_text("--body -")
    path = f"{PARSEDECK.parent}:{os.environ['PATH']}"
    sent = subprocess.run(
        ["/bin/bash", "-c", command.inner_text()],
        cwd=log.parent,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sent.returncode == 0, sent.stderr
    assert '"status":"parked"' in sent.stdout.replace(" ", "")
    expect(page.locator("code", has_text="curl")).to_contain_text(ingress)
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("link", name="Open the delivery").click()
    page.get_by_text("As a command").click()
    expect(page.locator("code", has_text="curl")).to_contain_text(ingress)
    expect(page.locator("code", has_text="send --from")).to_contain_text(f"--to {ingress}")


def test_a_refused_webhook_names_the_mistake(
    address: str, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A body that a proxy re-indented is found in the inbox, and its page says so."""
    event = _event("browser-forensics")
    signature = sign(_secret(tmp_path_factory), json.dumps(event).encode())
    sent = httpx.post(
        f"{address}/api/v1/webhooks/llamaparse",
        content=json.dumps(event, indent=2).encode(),
        headers={"LC-Signature": signature},
    )
    assert sent.status_code == 401
    page.goto(f"{address}/webhooks?text=browser-forensics")
    expect(page.get_by_text("Filters: body contains")).to_be_visible()
    page.goto(f"{address}/delivery?delivery={sent.json()['delivery_id']}")
    expect(page.get_by_text("body re-encoded on the way")).to_be_visible()
    expect(page.get_by_text("pass the body on untouched")).to_be_visible()


def test_a_webhook_is_replayed_after_a_dry_run(
    address: str, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An engineer opens a delivery, reads what a replay would do, and replays it."""
    body = json.dumps(_event("browser-replay")).encode()
    headers = {"LC-Signature": sign(_secret(tmp_path_factory), body)}
    sent = httpx.post(f"{address}/api/v1/webhooks/llamaparse", content=body, headers=headers)
    page.goto(f"{address}/delivery?delivery={sent.json()['delivery_id']}")
    page.get_by_role("link", name="Replay", exact=True).click()
    expect(page.get_by_text("Dry run over 1")).to_be_visible()
    page.get_by_role("button", name="Replay 1 delivery").click()
    expect(page.get_by_text("What came of it")).to_be_visible()


def test_a_replay_that_a_click_cuts_short_goes_on_with_the_rest(
    address: str, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A click in mid replay loses no outcome: the screen says how far it came, and goes on without repeating."""
    count = 40
    for n in range(count):
        event = {**_event(f"cut-{n}"), "data": {"id": "pjb-cut", "job_id": "pjb-cut"}}
        body = json.dumps(event).encode()
        headers = {"LC-Signature": sign(_secret(tmp_path_factory), body)}
        httpx.post(f"{address}/api/v1/webhooks/llamaparse", content=body, headers=headers)
    page.goto(f"{address}/webhooks?tab=Replay&replay-job=pjb-cut")
    page.get_by_role("button", name=f"Replay {count} deliveries").click()
    expect(page.get_by_text(re.compile(rf"^[1-9]\d* of {count}$"))).to_be_visible()
    page.get_by_text("Sign anew with").click()
    expect(page.get_by_text(re.compile(rf"^[1-9]\d* of {count} done"))).to_be_visible()
    page.get_by_role("button", name=re.compile(r"Go on with the other \d+")).click()
    expect(page.get_by_text(f"All {count} were replayed.")).to_be_visible()
    expect(page.get_by_role("button", name=f"Replay {count} deliveries")).to_be_visible()
    (path,) = tmp_path_factory.getbasetemp().glob("empty0/var/parsedeck.sqlite")
    store = Store.open(f"sqlite:///{path}")
    with store.read() as tx:
        found = inbox.page(tx, inbox.DeliveryFilter(job="pjb-cut"), limit=3 * count)
    store.close()
    replayed = [line.replay_of for line in found if line.replay_of]
    assert len(replayed) == len(set(replayed)) == count


def test_what_gets_too_old_for_the_filter_leaves_the_live_list(
    address: str, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Under "last minute" the inbox shows the last minute of now, not of when it was opened."""
    page.goto(f"{address}/webhooks?time=last+minute&job=pjb-aging")
    nothing = page.get_by_text("No delivery fits these filters.")
    expect(nothing).to_be_visible()
    (path,) = tmp_path_factory.getbasetemp().glob("empty0/var/parsedeck.sqlite")
    store = Store.open(f"sqlite:///{path}")
    with store.write() as tx:
        half = datetime.now(UTC) - timedelta(seconds=30)
        recording.add(tx, a_delivery(1, half, vendor_job_id="pjb-aging"))
    store.close()
    expect(nothing).not_to_be_visible()
    expect(nothing).to_be_visible(timeout=90_000)


def test_what_gets_too_old_leaves_the_list_of_hand_offs(
    address: str, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Under "last minute" the hand-offs of the last minute of now are shown, too."""
    (folder,) = tmp_path_factory.getbasetemp().glob("empty0/var")
    console = Console(Settings.load({"data_dir": folder}))
    (job_id,) = submitted(console, {"aging.txt": b"words"}).job_ids

    def handed_on(number: int, age: timedelta) -> None:
        one = handoffs.Handoff(
            id=f"hof-aging-{number}",
            message_id=f"msg-aging-{number}",
            downstream_id="dwn-gone",
            job_id=job_id,
            generation=1,
            event_type="job.parsed",
            body=b"{}",
            status=handoffs.DELIVERED,
            created_at=console.clock() - age,
            next_at=None,
        )
        with console.store.write() as tx:
            handoffs.add(tx, [one])

    handed_on(1, timedelta(hours=1))
    page.goto(f"{address}/webhooks?tab=Downstream&within=last+minute&about={job_id}")
    nothing = page.get_by_text("No hand-off fits these filters.")
    expect(nothing).to_be_visible()
    handed_on(2, timedelta(seconds=30))
    console.close()
    expect(nothing).not_to_be_visible()
    expect(nothing).to_be_visible(timeout=90_000)


def test_a_large_body_makes_no_endless_page(
    address: str, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A delivery of 360 KB is read in a bounded place, and can be taken away whole, byte for byte."""
    numbers = [f"number {n}" for n in range(20_000)]
    body = json.dumps({**_event("browser-large"), "numbers": numbers}).encode()
    headers = {"LC-Signature": sign(_secret(tmp_path_factory), body)}
    sent = httpx.post(f"{address}/api/v1/webhooks/llamaparse", content=body, headers=headers)
    page.goto(f"{address}/delivery?delivery={sent.json()['delivery_id']}")
    expect(page.get_by_text("As it reads")).to_be_visible()
    expect(page.locator("code", has_text="number 19999").first).to_be_attached()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_bytes() == body
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollHeight") < 4000
