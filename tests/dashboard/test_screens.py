"""Every screen in four worlds: empty, busy, a broken database, a missing setting."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.runtime
from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.documents import EngineName, ParsedPage
from core.domain.jobs import JobStatus
from core.domain.money import Tier
from core.domain.routing import Mode
from core.services.workbench import Draft
from core.store import handoffs, jobs, visits
from core.store.inbox import DeliveryFilter
from core.store.outbox import HandoffFilter
from core.store.seal import KEY_FILE
from core.webhooks.workbench import Fault
from dashboard.components.hostile import harmless
from dashboard.components.page_strip import mark
from dashboard.components.tables import tables_of
from dashboard.navigation import ENTRIES
from dashboard.wording import STATE_SIGNS, ago, duration, money, plain, size
from tests.factories import ALICE, finished, submitted

APP = str(Path(dashboard.runtime.__file__).with_name("app.py"))
SCREENS = [entry.file for entry in ENTRIES]
Open = Callable[..., AppTest]


@pytest.fixture
def open_screen() -> Open:
    """Open a screen over a console, as a person would: from the entry script."""

    def open_(console: Console, file: str, **query: str) -> AppTest:
        dashboard.runtime.get_console.clear()
        dashboard.runtime.install(console)
        app = AppTest.from_file(APP, default_timeout=30).run()
        for name, value in query.items():
            app.query_params[name] = value
        return app.switch_page(file).run()

    return open_


def _no_traceback(app: AppTest) -> None:
    assert not app.exception, app.exception


@pytest.mark.parametrize("file", SCREENS)
def test_an_empty_console_shows_every_screen(
    make_console: Callable[..., Console], open_screen: Open, file: str
) -> None:
    """Before anything was parsed every screen opens, and says what will appear there."""
    app = open_screen(make_console(), file)
    _no_traceback(app)
    assert app.main.children


@pytest.mark.parametrize("file", SCREENS)
def test_a_busy_console_shows_every_screen(
    make_console: Callable[..., Console], open_screen: Open, file: str
) -> None:
    """With finished, held and failed work every screen opens."""
    console = make_console(worker=True)
    view = finished(console, submitted(console, {"a.txt": b"words", "b.md": b"# Head"}).id)
    job_id = view.jobs[0].id
    event_id = console.jobs.view(job_id).deliveries[0].id
    app = open_screen(console, file, job=job_id, submission=view.submission.id, delivery=event_id)
    _no_traceback(app)
    assert not [e.value for e in app.error]


@pytest.mark.parametrize("file", SCREENS)
def test_a_lost_database_is_a_sentence(
    make_console: Callable[..., Console], open_screen: Open, file: str, tmp_path: Path
) -> None:
    """When the database is gone every screen says so and what to do; nobody sees a traceback."""
    console = make_console()
    console.store.close()
    for path in (tmp_path / "data").glob("parsedeck.sqlite*"):
        path.unlink()
    (tmp_path / "data" / "parsedeck.sqlite").mkdir()
    app = open_screen(console, file)
    _no_traceback(app)
    assert any("Nothing was changed" in error.value for error in app.error)


def test_mock_is_marked_on_every_screen(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """In MOCK every screen says that it is simulated."""
    console = make_console()
    for entry in ENTRIES:
        if not entry.is_hidden:
            app = open_screen(console, entry.file)
            assert any("Simulated" in text.value for text in app.markdown), entry.title


def test_real_without_a_key_is_not_offered(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A missing key shows as a fact with what to do, and REAL cannot be chosen."""
    console = make_console()
    app = open_screen(console, "screens/setup.py")
    assert any("LLAMAPARSE_API_KEY" in m.value.replace("\\", "") for m in app.markdown)
    app = open_screen(console, "screens/modes.py")
    assert app.button(key="switch-real").disabled
    assert not app.button(key="switch-hybrid").disabled


def test_a_new_key_offers_real(make_console: Callable[..., Console], open_screen: Open) -> None:
    """When a key was added while the mode is MOCK, Setup offers REAL."""
    console = make_console(api_key="llx-test", mode="mock")
    app = open_screen(console, "screens/setup.py")
    assert any("Switch to REAL" in info.value for info in app.info)


def test_refused_files_stand_in_the_quote_with_a_reason(
    make_console: Callable[..., Console],
) -> None:
    """A file that cannot be read is a line with a reason and a price of zero."""
    console = make_console()
    upload = console.submissions.preflight("x.pdf", io.BytesIO(b"text"))
    quote = console.submissions.quote([upload, upload], Tier.FAST, Mode.MOCK)
    assert quote.usd == Decimal(0)
    assert not quote.parsable
    assert "right name" in quote.lines[0].note


@pytest.mark.parametrize("mode", [Mode.MOCK, Mode.HYBRID])
@pytest.mark.parametrize(
    ("name", "head", "missing"),
    [
        ("scan.png", b"\x89PNG\r\n\x1a\n0000", "ImageMagick"),
        ("minutes.docx", None, "LibreOffice"),
    ],
)
def test_what_mock_cannot_read_makes_no_job(
    make_console: Callable[..., Console],
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    name: str,
    head: bytes | None,
    missing: str,
) -> None:
    """A file that this machine would have to read and cannot is a line that says what to install."""
    monkeypatch.setenv("PATH", "")  # a machine without converters
    console = make_console()
    upload = console.submissions.preflight(name, io.BytesIO(head or _office_file()))
    quote = console.submissions.quote([upload], Tier.AGENTIC, mode)
    assert upload.document.is_parsable
    assert not quote.parsable
    assert missing in quote.lines[0].note
    assert "REAL takes it" in quote.lines[0].note


def test_what_mock_cannot_read_real_takes(
    make_console: Callable[..., Console], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this machine has no converter for is still LlamaParse's to read."""
    monkeypatch.setenv("PATH", "")
    console = make_console(api_key="llx-test", mode="mock")
    upload = console.submissions.preflight("minutes.docx", io.BytesIO(_office_file()))
    for mode in (Mode.REAL, Mode.HYBRID):
        assert len(console.submissions.quote([upload], Tier.AGENTIC, mode).parsable) == 1


def _office_file() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<document/>")
    return out.getvalue()


def test_the_same_file_twice_is_parsed_once(make_console: Callable[..., Console]) -> None:
    """Two names for the same bytes make one job, and the second line says so."""
    console = make_console()
    uploads = [console.submissions.preflight(n, io.BytesIO(b"same")) for n in ("a.txt", "b.txt")]
    quote = console.submissions.quote(uploads, Tier.FAST, Mode.MOCK)
    assert len(quote.parsable) == 1
    assert "a.txt" in quote.lines[1].note


def test_what_was_parsed_before_is_offered_instead(make_console: Callable[..., Console]) -> None:
    """The same bytes and options again are shown as done, and not paid again unless asked for."""
    console = make_console(worker=True)
    finished(console, submitted(console, {"a.txt": b"words"}).id)
    upload = console.submissions.preflight("again.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK)
    assert quote.parsable == ()
    assert quote.lines[0].earlier is not None


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "![x](https://evil.example/track.png)",
        "![x][ref]\n\n[ref]: https://evil.example/a.png",
        "[click](javascript:alert(1))",
        "<img src=x onerror=alert(1)>",
    ],
)
def test_markdown_from_a_document_is_harmless(hostile: str) -> None:
    """Nothing in a document's markdown runs, or loads anything."""
    shown = harmless(hostile)
    assert "<" not in shown
    assert "![" not in shown
    assert "javascript:" not in shown
    assert "evil.example" not in shown


def test_every_state_has_a_word_an_icon_and_a_colour() -> None:
    """No state is shown by colour alone, and none is forgotten."""
    assert set(STATE_SIGNS) == set(JobStatus)
    assert all(sign.word and sign.icon and sign.mark for sign in STATE_SIGNS.values())


def test_numbers_read_well() -> None:
    """Money, sizes and durations are written as people say them."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert [money(Decimal(x)) for x in ("3.405", "0", "0.0013")] == ["$3.41", "$0.00", "$0.0013"]
    assert [size(x) for x in (10, 2048, 1_900_000)] == ["10 B", "2 KB", "1.8 MB"]
    assert [duration(timedelta(seconds=s)) for s in (1.25, 130, 7260)] == [
        "1.2 s",
        "2 min 10 s",
        "2 h 1 min",
    ]
    assert [ago(now - timedelta(minutes=m), now) for m in (0, 12, 120)] == [
        "just now",
        "12 min ago",
        "2 h ago",
    ]
    assert plain("*a*") == "\\*a\\*"


def _all_text(app: AppTest) -> str:
    return " ".join([e.value for e in app.markdown] + [e.value for e in app.caption])


def test_whoever_comes_back_reads_what_happened_meanwhile(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Overview says what finished, failed and was spent since the person was last here."""
    console = make_console(worker=True)
    actor = dashboard.runtime.actor()
    with console.store.write() as tx:
        visits.record(tx, str(actor), console.clock() - timedelta(hours=2))
    finished(console, submitted(console, {"a.txt": b"one", "b.txt": b"two"}).id)
    app = open_screen(console, "screens/overview.py")
    assert "Since you left 2 h ago: **2 finished**, 0 failed" in _all_text(app)


def test_failures_stand_above_the_list_one_line_per_cause(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Two documents that failed for one reason are one line; it narrows the list to them."""
    console = make_console()
    ids = submitted(console, {f"{n}.txt": b"%d" % n for n in range(3)}).job_ids
    with console.store.write() as tx:
        for job_id in ids[:2]:
            for after in (JobStatus.PARSING, JobStatus.FAILED_PARSE):
                jobs.change_job(
                    tx, job_id, after, ALICE, "t", console.clock(), reason="The page is torn."
                )
    app = open_screen(console, "screens/jobs.py")
    assert "The page is torn" in _all_text(app)
    app.button(key="cause-0-show").click().run()
    _no_traceback(app)
    assert "2 jobs · filters" in _all_text(app)


def test_parse_again_brings_the_document_to_submit_with_its_price(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Parsing a finished document again asks first, with the price, like any other."""
    console = make_console(worker=True)
    view = finished(console, submitted(console, {"a.txt": b"one"}).id)
    app = open_screen(console, "screens/job.py", job=view.jobs[0].id)
    app.button(key="parse-again").click().run()
    _no_traceback(app)
    assert app.button(key="parse").label.startswith("Parse 1 document for")


def test_tables_of_a_page_can_be_taken_out() -> None:
    """Pipe tables become tables; a repeated or missing name in the head is no obstacle."""
    found = tables_of("words\n\n| a | a | |\n|---|---|---|\n| 1 | 2 | 3 |\n| 4 | 5 |\n\nwords")
    assert [table.to_dict("list") for table in found] == [
        {"a": ["1", "4"], "a (2)": ["2", "5"], "column 3": ["3", ""]}
    ]


def test_a_page_that_failed_or_is_empty_is_marked() -> None:
    """The strip of pages shows where to look first."""
    good = ParsedPage(1, "words", "words", EngineName.LLAMAPARSE)
    assert mark(good) == ""
    assert mark(replace(good, error="torn")) == " ✕"
    assert mark(replace(good, markdown="", text=" ")) == " !"
    assert mark(replace(good, engine=EngineName.LOCAL)) == " ⌂"
    assert mark(replace(good, engine=EngineName.LOCAL, is_provisional=True)) == " ◐"


def test_a_pasted_link_is_priced_at_its_ceiling(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A link has a line of its own; its price follows the ceiling, and a bad one says why."""
    console = make_console(api_key="llx-key", mode="real")
    app = open_screen(console, "screens/submit.py")
    app.text_input(key="link-0").set_value("https://files.example.com/lease.pdf").run()
    assert "Parse 1 document for \\$1.25" in [button.label for button in app.button]
    app.number_input(key="ceiling-0").set_value(8).run()
    assert "Parse 1 document for \\$0.10" in [button.label for button in app.button]
    app.text_input(key="link-0").set_value("lease.pdf").run()
    _no_traceback(app)
    assert any("This is not a link" in warning.value for warning in app.warning)


def test_the_workbench_says_what_an_event_would_do_and_sends_it(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A template with a fault is foretold, sent over HTTP, and its answer shown."""
    app = open_screen(make_console(), "screens/webhooks.py", tab="Workbench", faults="too old")
    _no_traceback(app)
    assert "too long" in _all_text(app)
    app.button(key="send").click().run()
    _no_traceback(app)
    assert any('"stale"' in code.value for code in app.code)


def test_a_downstream_is_added_shown_masked_and_switched_off(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """The address of a next stage is never shown in full; its secret once; a private one says why not."""
    console = make_console()
    app = open_screen(console, "screens/webhooks.py", tab="Downstream")
    app.text_input[0].set_value("http://127.0.0.1:9/T0/private-part")
    app.button[0].click().run()
    _no_traceback(app)
    assert any("private address" in error.value for error in app.error)
    trusting = make_console(downstream_private=True)
    app = open_screen(trusting, "screens/webhooks.py", tab="Downstream")
    app.text_input[0].set_value("http://127.0.0.1:9/T0/private-part")
    app.button[0].click().run()
    _no_traceback(app)
    assert any(code.value.startswith("whsec_") for code in app.code)
    app = open_screen(trusting, "screens/webhooks.py", tab="Downstream")
    shown = _all_text(app)
    assert "127" in shown
    assert "private-part" not in shown
    target = trusting.downstreams.known()[0]
    app.button(key=f"disable-{target.id}").click().run()
    assert trusting.downstreams.known()[0].is_disabled


def _handed_on(console: Console, count: int) -> None:
    """Hand-offs of one document, the first of them not taken."""
    console.downstreams.add("http://127.0.0.1:9/private-part", ALICE)
    (target,) = console.downstreams.known()
    (job_id,) = submitted(console, {"lease.txt": b"words"}).job_ids
    with console.store.write() as tx:
        handoffs.add(
            tx,
            [
                handoffs.Handoff(
                    id=f"hof-{n:03}",
                    message_id=f"msg-{n:03}",
                    downstream_id=target.id,
                    job_id=job_id,
                    generation=1,
                    event_type="job.parsed" if n else "job.failed_parse",
                    body=b"{}",
                    status=handoffs.DELIVERED if n else handoffs.FAILED,
                    created_at=console.clock() - timedelta(hours=2 * n),
                    next_at=None,
                )
                for n in range(count)
            ],
        )


def test_downstream_filters_counts_and_pages_what_was_handed_on(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Filters in the URL narrow the list, counts say how much fits, and all pages can be reached."""
    console = make_console(downstream_private=True)
    _handed_on(console, 60)
    app = open_screen(console, "screens/webhooks.py", tab="Downstream")
    _no_traceback(app)
    assert "60 hand-offs" in _all_text(app).replace("\\", "")
    assert len(app.dataframe[0].value) == 50
    app.button(key="sent-older").click().run()
    assert len(app.dataframe[0].value) == 10
    app.multiselect(key="state").select("failed").run()
    # a list whose filters change begins at its top
    assert list(app.dataframe[0].value["document"]) == ["lease.txt"]
    assert "1 hand-off · filters: not taken" in _all_text(app).replace("\\", "")
    name = console.downstreams.known()[0].name
    query = {"endpoint": name, "kind": "job.parsed", "within": "last 24 hours"}
    app = open_screen(console, "screens/webhooks.py", tab="Downstream", **query)
    assert len(app.dataframe[0].value) == 11
    assert "private-part" not in _all_text(app) + app.dataframe[0].value.to_csv()
    app = open_screen(console, "screens/webhooks.py", tab="Downstream", about="job-none")
    assert any("No hand-off fits these filters" in info.value for info in app.info)


def test_downstream_sends_again_what_nobody_took(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """One button sends what fits the filters and was not taken, and says how much that is."""
    console = make_console(downstream_private=True)
    _handed_on(console, 3)
    app = open_screen(console, "screens/webhooks.py", tab="Downstream")
    app.button(key="send-again").click().run()
    _no_traceback(app)
    assert console.downstreams.counts(HandoffFilter()) == {
        "delivered": 2,
        "failed": 1,
        "pending": 1,
    }
    assert "send-again" not in [button.key for button in app.button]


def test_the_page_of_a_hand_off_leads_to_where_it_was_sent_again(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """One that nobody took is replayed from its page; whoever opens that page later is led on."""
    console = make_console(downstream_private=True)
    _handed_on(console, 2)
    (failed,) = console.downstreams.page(HandoffFilter(statuses=frozenset({"failed"}))).lines
    query = {"tab": "Downstream", "handoff": failed.id}
    app = open_screen(console, "screens/webhooks.py", **query)
    app.button(key="handoff-replay").click().run()
    _no_traceback(app)
    newest = console.downstreams.view(failed.id).newest
    assert newest.status == "pending"
    assert app.button(key="handoff-replay").label == "Send now"
    app = open_screen(console, "screens/webhooks.py", **query)
    assert "Sent again by" in _all_text(app)
    assert "handoff-replay" not in [button.key for button in app.button]
    app.button(key="handoff-newest").click().run()
    _no_traceback(app)
    assert newest.id in app.query_params["handoff"]


def test_a_sealed_endpoint_says_what_to_put_back(
    make_console: Callable[..., Console], open_screen: Open, tmp_path: Path
) -> None:
    """Without the key each endpoint is marked, what to do is said once, and the list still shows."""
    console = make_console(downstream_private=True)
    _handed_on(console, 1)
    (tmp_path / "data" / KEY_FILE).unlink()
    app = open_screen(console, "screens/webhooks.py", tab="Downstream")
    _no_traceback(app)
    (error,) = app.error
    assert "data folder" in error.value
    assert len(app.dataframe[0].value) == 1


def test_the_inbox_says_of_each_delivery_why_or_what_it_waits_for(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A refusal has its reason in the list, and an accepted event that changed nothing yet what it waits for."""
    console = make_console()
    template = console.workbench.template("parse.success")
    for faults in (frozenset[Fault](), frozenset({Fault.BAD_SIGNATURE})):
        console.workbench.send(console.workbench.crafted(Draft(template, faults)))
    app = open_screen(console, "screens/webhooks.py", tab="Inbox")
    _no_traceback(app)
    refused, parked = app.dataframe[0].value["note"]
    assert parked == "parked until its job is known"
    assert "not made with a known secret" in refused


def test_replay_shows_what_it_would_do_before_it_does_it(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """The dry run stands above the button; afterwards the outcome of each is listed."""
    console = make_console()
    console.workbench.send(
        console.workbench.crafted(Draft(console.workbench.template("parse.error")))
    )
    app = open_screen(console, "screens/webhooks.py", tab="Replay")
    _no_traceback(app)
    assert "Dry run over 1: they would be 1 parked." in _all_text(app)
    app.button(key="replay").click().run()
    _no_traceback(app)
    assert len(console.replays.select([], DeliveryFilter())) == 2
    assert any("What came of it" in head.value for head in app.subheader)


def test_a_name_from_outside_in_an_error_is_no_markup(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """What somebody put into a link is shown as text, not as a link or a heading of ours."""
    app = open_screen(make_console(), "screens/job.py", job="[free](https://evil.example)")
    assert not any("](https" in error.value for error in app.error)
    assert any("free" in error.value for error in app.error)


def test_trying_failed_documents_again_names_its_price(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A retry costs a new submit, so its button says about how much, and that MOCK's is simulated."""
    console = make_console()
    view = submitted(console, {"a.txt": b"words", "b.txt": b"other"})
    with console.store.write() as tx:
        for job_id in view.job_ids:
            for after in (JobStatus.PARSING, JobStatus.FAILED_PARSE):
                jobs.change_job(tx, job_id, after, ALICE, "test", console.clock())
    app = open_screen(console, "screens/submission.py", submission=view.id)
    assert app.button(key="retry-failed").label.replace("\\", "") == (
        "Retry 2 failed for about $0.03 simulated"
    )


def test_the_way_back_from_a_job_keeps_the_filters(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Who opened a job from a filtered list comes back to the same list."""
    console = make_console()
    submitted(console, {"a.txt": b"words"})
    listed = open_screen(console, "screens/jobs.py", text="a", time="last hour")
    address = listed.dataframe[0].value["open"][0]
    query = parse_qs(urlsplit(address).query)
    assert dict(parse_qsl(query["back"][0])) == {"text": "a", "time": "last hour"}
    opened = open_screen(console, "screens/job.py", job=query["job"][0], back=query["back"][0])
    _no_traceback(opened)
    back = opened.get("page_link")[0].proto
    assert dict(parse_qsl(back.query_string)) == {"text": "a", "time": "last hour"}


def test_a_setting_is_changed_in_setup_and_can_be_taken_back(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Setup stores a setting under the person's name, says what is wrong with a bad one, and undoes it."""
    console = make_console(requests_per_minute=90)
    app = open_screen(console, "screens/setup.py")
    app.text_input(key="requests_per_minute").input("none")
    app.button(key="store-requests_per_minute").click().run()
    assert "PARSEDECK\\_REQUESTS\\_PER\\_MINUTE" in app.error[0].value
    assert console.setup.in_force().requests_per_minute == 90
    app.text_input(key="requests_per_minute").input("30")
    app.button(key="store-requests_per_minute").click().run()
    assert console.setup.in_force().requests_per_minute == 30
    assert plain(f"not stored → 30 · {dashboard.runtime.actor()}") in _all_text(app)
    app.button(key="unset-requests_per_minute").click().run()
    assert console.setup.in_force().requests_per_minute == 90
    assert not app.exception


def test_times_are_shown_in_the_zone_in_force(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A time on a screen is of the zone in which the limits' days begin, also after it was changed."""
    console = make_console(timezone="Asia/Tokyo")
    (job_id,) = submitted(console, {"a.txt": b"words"}).job_ids
    at = console.jobs.view(job_id).timeline[0].at
    for zone in ("Asia/Tokyo", "America/New_York"):
        console.setup.store("timezone", zone, ALICE)
        app = open_screen(console, "screens/job.py", job=job_id)
        assert f"{at.astimezone(ZoneInfo(zone)):%H:%M:%S}" in _all_text(app)


def test_a_submission_is_titled_by_its_documents_and_leads_back(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """The screen of one press of Parse names what was sent, as text, and has a way back to the jobs."""
    console = make_console()
    one = submitted(console, {"a_b.txt": b"one", "b.txt": b"two", "c.txt": b"three"})
    app = open_screen(console, "screens/submission.py", submission=one.id)
    assert [t.value for t in app.title] == [plain("a_b.txt and 2 more")]
    assert any("All jobs" in link.proto.label for link in app.get("page_link"))


def test_simulated_jobs_among_real_ones_are_marked(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """What waits for a person says MOCK of simulated documents, also while the mode is REAL."""
    console = make_console(api_key="llx-key", mode="real")
    (job_id,) = submitted(console, {"a.txt": b"one"}).job_ids
    with console.store.write() as tx:
        for after in (JobStatus.PARSING, JobStatus.FAILED_PARSE):
            jobs.change_job(tx, job_id, after, ALICE, "t", console.clock(), reason="Torn.")
    app = open_screen(console, "screens/overview.py")
    assert console.jobs.view(job_id).job.mode is Mode.MOCK
    assert any("MOCK" in m.value for m in app.markdown)


def test_a_fact_of_setup_says_in_words_how_it_stands(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """No fact is told apart by its colour alone."""
    app = open_screen(make_console(), "screens/setup.py")
    assert "fine] **Database**" in _all_text(app)
    assert "look] **Worker**" in _all_text(app)


def test_a_lead_answers_in_place_what_was_asked(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Overview counts who waits for a lead; Limits names who asked and why, and takes the answer."""
    console = make_console()
    daily = ("all", Window.DAY, Unit.USD)
    console.limits.change("mock", daily, "0.01", ALICE, "for the test")
    job_id = submitted(console, {"large.txt": b"one"}).job_ids[0]
    console.holds.ask(job_id, "the board meets", ALICE)
    assert len(console.holds.asked()) == 1
    app = open_screen(console, "screens/limits.py")
    assert any("the board meets" in words.value for words in app.markdown)
    app.button(key=f"asked-approve-{job_id}").click().run()
    assert any("needs a reason" in error.value for error in app.error)
    app.text_input(key=f"asked-reason-{job_id}").input("so be it").run()
    app.button(key=f"asked-approve-{job_id}").click().run()
    _no_traceback(app)
    assert console.jobs.view(job_id).job.status is JobStatus.PARSE_QUEUED
    assert any("Nobody waits" in caption.value for caption in app.caption)
