"""Webhooks: workbench, replay, and who is told of finished jobs."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from core.console import Console
from core.services.workbench import Draft
from core.store import handoffs, recording
from core.store.inbox import DeliveryFilter
from core.store.outbox import HandoffFilter
from core.store.seal import KEY_FILE
from core.webhooks.workbench import Fault
from dashboard.components.verdicts import VERDICT_SIGNS
from tests.dashboard.reading import Open, no_traceback, words
from tests.factories import ALICE, a_delivery, submitted


def test_the_workbench_says_what_an_event_would_do_and_sends_it(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A template with a fault is foretold, sent over HTTP, and its answer shown."""
    app = open_screen(make_console(), "screens/webhooks.py", tab="Workbench", faults="too old")
    no_traceback(app)
    assert "too long" in words(app)
    app.button(key="send").click().run()
    no_traceback(app)
    assert any('"stale"' in code.value for code in app.code)
    # an answer belongs to what was sent
    app.text_area(key="workbench-text").set_value(f"{app.text_area[0].value} ").run()
    no_traceback(app)
    assert not any('"stale"' in code.value for code in app.code)


def test_a_downstream_is_added_shown_masked_and_switched_off(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """The address of a next stage is never shown in full; its secret once; a private one says why not."""
    console = make_console()
    app = open_screen(console, "screens/webhooks.py", tab="Downstream")
    app.text_input[0].set_value("http://127.0.0.1:9/T0/private-part")
    app.button[0].click().run()
    no_traceback(app)
    assert any("private address" in error.value for error in app.error)
    trusting = make_console(downstream_private=True)
    app = open_screen(trusting, "screens/webhooks.py", tab="Downstream")
    app.text_input[0].set_value("http://127.0.0.1:9/T0/private-part")
    app.button[0].click().run()
    no_traceback(app)
    assert any(code.value.startswith("whsec_") for code in app.code)
    app = open_screen(trusting, "screens/webhooks.py", tab="Downstream")
    shown = words(app)
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
    no_traceback(app)
    assert "60 hand-offs" in words(app)
    # a narrow window shows the first two columns
    assert list(app.dataframe[0].value.columns)[1] == "open"
    assert len(app.dataframe[0].value) == 50
    app.button(key="sent-older").click().run()
    assert len(app.dataframe[0].value) == 10
    app.multiselect(key="state").select("failed").run()
    # a list whose filters change begins at its top
    assert list(app.dataframe[0].value["document"]) == ["lease.txt"]
    assert "1 hand-off · filters: not taken" in words(app)
    name = console.downstreams.known()[0].name
    query = {"endpoint": name, "kind": "job.parsed", "within": "last 24 hours"}
    app = open_screen(console, "screens/webhooks.py", tab="Downstream", **query)
    assert len(app.dataframe[0].value) == 11
    assert "private-part" not in words(app) + app.dataframe[0].value.to_csv()
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
    no_traceback(app)
    assert console.downstreams.counts(HandoffFilter()) == {
        "delivered": 2,
        "failed": 1,
        "pending": 1,
    }
    assert "send-again" not in [button.key for button in app.button]


def test_the_page_of_a_hand_off_leads_to_where_it_was_sent_again(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """One that nobody took is replayed from its page; whoever opens that page later is led on.

    One that is being sent says so, and cannot be sent at the same time.
    """
    console = make_console(downstream_private=True)
    _handed_on(console, 2)
    (failed,) = console.downstreams.page(HandoffFilter(statuses=frozenset({"failed"}))).lines
    query = {"tab": "Downstream", "handoff": failed.id}
    app = open_screen(console, "screens/webhooks.py", **query)
    app.button(key="handoff-replay").click().run()
    no_traceback(app)
    newest = console.downstreams.view(failed.id).newest
    assert newest.status == "pending"
    assert app.button(key="handoff-replay").label == "Send now"
    assert not app.button(key="handoff-replay").disabled
    with console.store.write() as tx:
        assert handoffs.claim_due(tx, newest.downstream_id, console.clock(), timedelta(minutes=1))
    app.run()
    assert "being sent" in words(app)
    assert app.button(key="handoff-replay").disabled
    app = open_screen(console, "screens/webhooks.py", **query)
    assert "Sent again by" in words(app)
    assert "handoff-replay" not in [button.key for button in app.button]
    app.button(key="handoff-newest").click().run()
    no_traceback(app)
    assert newest.id in app.query_params["handoff"]


def test_a_sealed_endpoint_says_what_to_put_back(
    make_console: Callable[..., Console], open_screen: Open, tmp_path: Path
) -> None:
    """Without the key each endpoint is marked, what to do is said once, and the list still shows."""
    console = make_console(downstream_private=True)
    _handed_on(console, 1)
    (tmp_path / "data" / KEY_FILE).unlink()
    app = open_screen(console, "screens/webhooks.py", tab="Downstream")
    no_traceback(app)
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
    no_traceback(app)
    # a narrow window shows the first two columns
    assert list(app.dataframe[0].value.columns)[1] == "open"
    refused, parked = app.dataframe[0].value["note"]
    assert parked == "parked until its job is known"
    assert "not made with a known secret" in refused


def test_the_inbox_counts_every_verdict_and_its_filters_take_any_event(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """The badges add up to all of the day, however many verdicts there are; an event type may be typed."""
    console = make_console()
    now = console.clock() - timedelta(minutes=1)
    verdicts = [name for name in VERDICT_SIGNS if name not in {"accepted", "parked"}]
    with console.store.write() as tx:
        recording.add_all(tx, [a_delivery(n, now, verdict=v) for n, v in enumerate(verdicts)])
        recording.add_all(tx, [a_delivery(98, now), a_delivery(99, now, applied_at=now)])
    app = open_screen(console, "screens/webhooks.py", tab="Inbox")
    shown = words(app)
    for sign in VERDICT_SIGNS.values():
        assert f"1 {sign.word}]" in shown
    app = open_screen(console, "screens/webhooks.py", tab="Inbox", event="some.other")
    no_traceback(app)
    assert "some.other" in words(app)
    app = open_screen(console, "screens/webhooks.py", tab="Inbox", verdict="parked")
    assert list(app.dataframe[0].value["verdict"]) == ["○ parked"]


def test_replay_shows_what_it_would_do_before_it_does_it(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """The dry run stands above the button; afterwards the outcome of each is listed."""
    console = make_console()
    console.workbench.send(
        console.workbench.crafted(Draft(console.workbench.template("parse.error")))
    )
    app = open_screen(console, "screens/webhooks.py", tab="Replay")
    no_traceback(app)
    assert "Dry run over 1: they would be 1 parked." in words(app)
    app.button(key="replay").click().run()
    no_traceback(app)
    assert len(console.deliveries.page(DeliveryFilter()).lines) == 2
    assert any("What came of it" in head.value for head in app.subheader)


def test_what_came_of_a_replay_stays_with_its_selection(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Under another choice the outcome is gone, and a replay is no part of what can be replayed at once."""
    console = make_console()
    console.workbench.send(
        console.workbench.crafted(Draft(console.workbench.template("parse.error")))
    )
    app = open_screen(console, "screens/webhooks.py", tab="Replay")
    app.button(key="replay").click().run()
    assert app.button(key="replay").label == "Replay 1 delivery"
    app.multiselect(key="replay-verdict").select("parked").run()
    no_traceback(app)
    assert app.button(key="replay").label == "Replay 1 delivery"
    assert not any("What came of it" in head.value for head in app.subheader)
