"""The command line, as a script uses it: real processes, their output and exit codes."""

import json
import os
import signal
import subprocess
import sys
import threading
from decimal import Decimal
from itertools import takewhile
from pathlib import Path

import pytest

from core.console import Console, local_actor
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from core.samples import sample_documents
from core.services.workbench import Draft
from core.settings import Settings
from core.store.jobs import JobFilter
from tests.factories import ALICE, free_port, wait_until

PARSEDECK = Path(sys.executable).with_name("parsedeck")


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PARSEDECK), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def documents(tmp_path: Path) -> list[str]:
    """The sample documents as files."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in sample_documents().items():
        (folder / name).write_bytes(data)
    return [str(path) for path in sorted(folder.iterdir())]


def test_parse_writes_markdown_and_json(documents: list[str], tmp_path: Path) -> None:
    """Every good document becomes STEM.md and STEM.json, marked as simulated; exit code 0."""
    done = _run("parse", *documents, "--mode", "mock", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "welcome.md").read_text().startswith("<!-- simulated")
    assert json.loads((tmp_path / "out" / "release-notes.json").read_text())["simulated"] is True
    assert "Traceback" not in done.stderr


def test_a_broken_file_is_named_and_the_others_are_parsed(
    documents: list[str], tmp_path: Path
) -> None:
    """One broken file makes exit code 1 and a clear line; the good ones are written."""
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"not a pdf")
    done = _run("parse", str(broken), documents[0], "--json", "--out", str(tmp_path / "out"))
    lines = {line["document"]: line for line in json.loads(done.stdout)}
    assert done.returncode == 1
    assert "plain text" in lines["broken.pdf"]["what"]
    assert [line["ok"] for line in lines.values()].count(True) == 1


def test_two_files_of_one_name_are_both_written(tmp_path: Path) -> None:
    """A second STEM becomes STEM-2."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "note.txt").write_text(f"from {folder}")
    files = [str(tmp_path / folder / "note.txt") for folder in ("a", "b")]
    done = _run("parse", *files, "--out", str(tmp_path / "out"))
    assert done.returncode == 0
    assert {p.name for p in (tmp_path / "out").glob("*.md")} == {"note.md", "note-2.md"}


def test_held_documents_make_exit_code_3(documents: list[str], tmp_path: Path) -> None:
    """What does not fit a limit is held, and the exit code says so."""
    done = _run(
        "parse", *documents, "--out", str(tmp_path / "out"), PARSEDECK_HOURLY_REQUEST_LIMIT="1"
    )
    assert done.returncode == 3
    assert "limit" in done.stdout


def test_waiting_for_what_is_held_ends_when_it_may_start(
    documents: list[str], tmp_path: Path
) -> None:
    """``--wait`` stays until a lead made room, and then ends as if nothing had been held."""
    command = [str(PARSEDECK), "parse", *documents, "--wait", "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PARSEDECK_HOURLY_REQUEST_LIMIT": "1"},
    )
    console = Console(Settings.load({"data_dir": tmp_path / "var"}))
    held = JobFilter(statuses=frozenset({JobStatus.HELD}))
    try:
        wait_until(lambda: console.jobs.find(held).total > 0, within_s=60)
        assert process.poll() is None
        hourly = ("all", Window.HOUR, Unit.SUBMITS)
        console.limits.change("mock", hourly, "100", ALICE, "room")
        said, trouble = process.communicate(timeout=120)
    finally:
        process.kill()
        console.close()
    assert process.returncode == 0, said + trouble
    assert len(list((tmp_path / "out").glob("*.md"))) == len(documents)


def test_the_mode_is_switched_on_record_and_others_follow_at_once(tmp_path: Path) -> None:
    """A script switches with a reason, never without; who is running already sees it at its next look."""
    running = Console(Settings.load({"data_dir": tmp_path / "var"}))
    try:
        refused = _run("mode", "hybrid")
        assert (refused.returncode, "needs a reason" in refused.stderr) == (1, True)
        assert running.modes.current().value == "mock"
        assert _run("mode", "hybrid", "--reason", "a try").stdout.strip() == "hybrid"
        assert running.modes.current().value == "hybrid"
        newest = running.modes.history()[0]
        assert (newest.reason, newest.actor) == ("a try", str(local_actor()))
        assert json.loads(_run("mode", "--json").stdout) == {"mode": "hybrid"}
    finally:
        running.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("up", "--host", "0.0.0.0"), "ssh -L"),  # noqa: S104 - that it is refused is the point
        (("parse", "missing.pdf"), "cannot be read"),
        (("parse", "x", "--tier", "golden"), "agentic_plus"),
        (("mode", "real", "--reason", "try"), "LLAMAPARSE_API_KEY"),
        (("jobs", "show", "job-none"), "There is no job"),
        (("webhook", "replay", "--since", "9999-12-31T23:59:59-12:00"), "is no moment"),
        (("webhook", "replay", "dlv-1", "--to", "nonsense"), "'nonsense' is no http(s) address"),
        (("webhook", "send", "--to", "nonsense"), "'nonsense' is no http(s) address"),
        (("webhook", "listen", "--forward-to", "nonsense"), "'nonsense' is no http(s) address"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(arguments: tuple[str, ...], words: str) -> None:
    """A mistake ends with exit code 1 and a sentence, never with a traceback."""
    done = _run(*arguments)
    assert done.returncode == 1
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "Forwarding" not in done.stdout


def test_a_wrong_setting_stops_the_start() -> None:
    """The variable to change is named."""
    done = _run("doctor", PARSEDECK_DAILY_LIMIT_USD="-5")
    assert done.returncode == 1
    assert "PARSEDECK_DAILY_LIMIT_USD" in done.stderr


def test_the_start_line_names_what_is_overridden(tmp_path: Path) -> None:
    """Whoever set a variable that does not count learns it at the start: by what and by whom."""
    console = Console(Settings.load({"data_dir": tmp_path / "var"}))
    daily = ("all", Window.DAY, Unit.USD)
    console.limits.change("real", daily, "3", ALICE, "a slow week")
    console.close()
    command = [str(PARSEDECK), "up", "--port", str(free_port()), "--ingress-port", str(free_port())]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PARSEDECK_DAILY_LIMIT_USD": "7"},
    )
    assert process.stdout is not None
    # whatever happens, it ends: then there is nothing more to read, and the test says what was said
    limit = threading.Timer(120, process.kill)
    limit.start()
    with process.stdout as said:
        lines = list(takewhile(lambda line: "Data and log" not in line, said))
        process.send_signal(signal.SIGINT)
        process.wait()
    limit.cancel()
    assert process.returncode == 130, lines
    assert any(
        "PARSEDECK_DAILY_LIMIT_USD does not count for real money: alice" in line for line in lines
    ), lines


def test_doctor_and_spend_speak_json() -> None:
    """Scripts can read what is configured and what was spent."""
    facts = json.loads(_run("doctor", "--json").stdout)
    assert {"Database", "Files", "LlamaParse"} <= {fact["topic"] for fact in facts}
    assert json.loads(_run("spend", "--json").stdout)["simulated"] is True
    statement = json.loads(_run("spend", "statement", "--json").stdout)
    assert Decimal(statement["total_usd"]) == 0
    assert _run("spend", "statement", "--csv").stdout.startswith("month,money,item,")
    wrong = _run("spend", "statement", "--month", "May")
    assert (wrong.returncode, "Write it like 2026-11" in wrong.stderr) == (1, True)


def test_a_quote_costs_nothing_and_says_all(documents: list[str], tmp_path: Path) -> None:
    """``--quote`` prints pages, credits, dollars and the other tiers, and makes no job."""
    done = _run("parse", *documents, "--quote", "--json")
    facts = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (len(facts["lines"]), facts["simulated"]) == (len(documents), True)
    assert float(facts["lines"][0]["by_tier"]["fast"]) < float(facts["lines"][0]["usd"])
    assert "No jobs yet." in _run("jobs").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-usd", "0.001"), "choose a cheaper --tier"),
        (("--max-usd", "cheap"), "is not a number"),
        (("--team", "nobody"), "There is no team"),
    ],
)
def test_what_would_cost_too_much_is_not_parsed(
    documents: list[str], arguments: tuple[str, ...], words: str
) -> None:
    """Above ``--max-usd``, or on an account that there is not, nothing is parsed and nothing spent."""
    done = _run("parse", *documents, *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "No jobs yet." in _run("jobs").stdout


def test_held_documents_are_named_approved_and_explained(
    documents: list[str], tmp_path: Path
) -> None:
    """Held ids come on stderr with exit code 3; a lead approves by id; the receipt says why it cost that."""
    stored = _run("spend", "set-limit", "1", "--unit", "submits", "--window", "hour")
    assert "needs a reason" in stored.stderr
    set_ = ("spend", "set-limit", "1", "--unit", "submits", "--window", "hour")
    assert _run(*set_, "--reason", "try").returncode == 0
    held = _run("parse", documents[0], documents[1], "--out", str(tmp_path / "out"))
    assert held.returncode == 3
    job_id = held.stderr.split("held: ")[1].split()[0]
    assert "queued" in _run("spend", "approve", job_id, "--reason", "the auditor waits").stdout
    receipt = json.loads(_run("spend", "job", job_id, "--json").stdout)
    assert receipt["simulated"] is True
    assert any("by approval" in cause for cause in receipt["causes"])
    limits = json.loads(_run("spend", "limits", "--json").stdout)
    assert limits[0]["limit"] == "1"
    by = json.loads(_run("spend", "--by", "tier", "--json").stdout)
    assert [row["value"] for row in by["rows"]] == ["agentic"]


def test_help_imports_nothing_heavy() -> None:
    """``--help`` is quick because nothing heavy is imported for it."""
    script = (
        "import sys\nfrom core.cli import main\nsys.argv = ['parsedeck', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('streamlit', 'dbos', 'pandas', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip().endswith("[]")


def test_a_link_is_an_argument_like_a_file(tmp_path: Path) -> None:
    """A link is taken as one; in MOCK, which fetches nothing from outside, it is refused with the reason."""
    link = "https://files.example.com/lease.pdf?signature=5ec2e7"
    done = _run("parse", link, "--mode", "mock", "--json", "--out", str(tmp_path / "out"))
    (line,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert line["document"] == "lease.pdf"
    assert "works in REAL" in line["what"]
    assert "5ec2e7" not in done.stdout + done.stderr


def test_the_webhook_commands_say_what_came_of_it(tmp_path: Path) -> None:
    """A parked event is called so; a file that cannot be written, an endpoint that took nothing: exit code 1."""
    console = Console(Settings.load({"data_dir": tmp_path / "var"}))
    template = console.workbench.template("parse.success")
    (sent,) = console.workbench.send(console.workbench.crafted(Draft(template)))
    console.close()
    one = sent.answer.delivery_id
    listed = _run("webhook", "list").stdout
    assert "  parked  " in listed
    assert json.loads(_run("webhook", "list", "--json").stdout)[0]["verdict"] == "parked"
    unwritten = _run("webhook", "replay", one, "--save", str(tmp_path / "none" / "x.json"))
    assert unwritten.returncode == 1
    assert "x.json cannot be written (No such file or directory)" in unwritten.stderr
    nobody = f"http://127.0.0.1:{free_port()}/hook"
    untaken = _run("webhook", "replay", one, "--to", nobody)
    assert untaken.returncode == 1
    assert f"1 of 1 was not taken by {nobody}" in untaken.stderr
    for more in ("--dry-run", "--to=http://127.0.0.1:9/hook"):
        nothing = _run("webhook", "replay", "--since", "2100-01-01T00:00Z", more)
        assert (nothing.returncode, nothing.stdout) == (0, "No delivery fits; nothing is sent.\n")
