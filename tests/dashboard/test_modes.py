"""Modes and health: what each mode means now, switching it, holding LlamaParse, editing the rules."""

import io
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.runtime
from core.console import Console
from core.domain.availability import Period
from core.domain.documents import EngineName, PageClass
from core.domain.health import HealthPolicy, Hold, Outcome, Signal
from core.domain.jobs import JobStatus
from core.domain.money import Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy
from core.domain.routing import Mode
from core.pipeline.health import Watch
from core.samples import pdf_of_images, pdf_of_text, scan_of
from core.services.health import Health, Span
from core.serving import Served
from core.store import Store, availability, health
from dashboard.components import health_charts
from tests.engines.toy import Toy, toy_card
from tests.factories import ALICE
from tests.store.work import statements_of, work_of
from tests.vendor import Switches, a_vendor, pages_that

APP = str(Path(dashboard.runtime.__file__).with_name("app.py"))
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def open_modes() -> Callable[[Console], AppTest]:
    """The screen, reached from the entry script as a person would."""

    def open_(console: Console) -> AppTest:
        dashboard.runtime.get_console.clear()
        dashboard.runtime.install(console)
        app = AppTest.from_file(APP, default_timeout=30).run()
        return app.switch_page("screens/modes.py").run()

    return open_


@contextmanager
def _served(tmp_path: Path, switches: Switches) -> Iterator[Served]:
    with Served(a_vendor(tmp_path / "vendor", switches, pages_that(1))) as served:
        yield served


def _text(app: AppTest) -> str:
    assert not app.exception, app.exception
    shown = [*app.markdown, *app.caption, *app.success, *app.warning, *app.info, *app.error]
    return " ".join(element.value for element in shown).replace("\\", "")


def _press(console: Console, mode: Mode) -> str:
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, mode, parse_again=True)
    return console.submissions.submit(quote, ALICE, "press").job_ids[0]


def test_the_mode_is_switched_with_a_reason(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """A switch of mode is stored with its reason for all processes; without one nothing happens."""
    console = make_console()
    app = open_modes(console)
    app.button(key="switch-hybrid").click().run()
    app.button(key="switch-now").click().run()
    assert "needs a reason" in _text(app)
    assert console.modes.current() is Mode.MOCK
    app.text_input(key="switch-reason").input("trying").run()
    app.button(key="switch-now").click().run()
    assert console.modes.current() is Mode.HYBRID
    assert console.modes.history()[0].reason == "trying"


@pytest.mark.parametrize(("status", "words"), [(0, "answers in"), (401, "cannot be used now")])
def test_real_says_before_it_is_confirmed_whether_the_vendor_can_be_reached(
    make_console: Callable[..., Console],
    open_modes: Callable[[Console], AppTest],
    tmp_path: Path,
    status: int,
    words: str,
) -> None:
    """The dialog asks LlamaParse once, with the key, and shows what came of it."""
    with _served(tmp_path, Switches(status=status)) as service:
        console = make_console(api_key="llx-k", base_url=service.url, mode="mock")
        app = open_modes(console)
        app.button(key="switch-real").click().run()
        assert words in _text(app)
    assert console.modes.current() is Mode.MOCK


def test_held_jobs_are_planned_again_at_a_price_that_was_shown(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """In an outage HYBRID frees what REAL holds, if the person says so; the price stands beside it."""
    console = make_console(api_key="llx-k", mode="real")
    job_id = _press(console, Mode.REAL)
    console.watch.heard("probe", "unauthorized", 0.1)
    console.watch.write_now()
    app = open_modes(console)
    assert "refused the key" in _text(app)
    # the record speaks as the badges do, and not of breakers
    assert "healthy → not used" in _text(app)
    assert not re.search(
        r"\bclosed|\bopen\b|half.open|breaker", _text(app).replace("system:breaker", "")
    )
    app.button(key="switch-hybrid").click().run()
    assert "1 job waits" in _text(app)
    again = app.radio(key="switch-plan").options[1]
    assert again.replace("\\", "") == "Plan them again: $0.00, 1 with stand-ins"
    app.radio(key="switch-plan").set_value("again").run()
    app.text_input(key="switch-reason").input("outage").run()
    app.button(key="switch-now").click().run()
    job = console.jobs.view(job_id).job
    assert (job.mode, job.status, job.is_provisional) == (
        Mode.HYBRID,
        JobStatus.PARSE_QUEUED,
        True,
    )
    assert console.spend.today(Mode.REAL).total_usd == 0
    assert any("planned again" in entry.cause for entry in console.jobs.view(job_id).timeline)


def test_a_switch_to_real_shows_what_waiting_documents_would_cost(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest], tmp_path: Path
) -> None:
    """What waits simulated costs real money once it is planned again: the price stands there before the switch."""
    with _served(tmp_path, Switches()) as service:
        console = make_console(api_key="llx-k", base_url=service.url, mode="mock")
        job_id = _press(console, Mode.MOCK)
        app = open_modes(console)
        app.button(key="switch-real").click().run()
        again = app.radio(key="switch-plan").options[1].replace("\\", "")
        assert again == "Plan them again: $0.01"
        app.radio(key="switch-plan").set_value("again").run()
        app.text_input(key="switch-reason").input("for real").run()
        app.button(key="switch-now").click().run()
    job = console.jobs.view(job_id).job
    assert (job.mode, job.status) == (Mode.REAL, JobStatus.PARSE_QUEUED)
    assert console.spend.today(Mode.REAL).total_usd == Decimal("0.0125")


def test_a_price_that_changed_in_the_dialog_is_shown_before_it_counts(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """LlamaParse is put on hold while the dialog is open: nothing is switched until the new price was seen."""
    console = make_console(api_key="llx-k", mode="real")
    job_id = _press(console, Mode.REAL)
    app = open_modes(console)
    app.button(key="switch-hybrid").click().run()
    app.radio(key="switch-plan").set_value("again").run()
    app.text_input(key="switch-reason").input("a try").run()
    console.watch.hold(Hold(console.clock() + timedelta(hours=1), "bob", "a test"))
    app.button(key="switch-now").click().run()
    assert "now $0.00, not $0.0125" in _text(app)
    assert app.radio(key="switch-plan").options[1].endswith("1 with stand-ins")
    assert console.modes.current() is Mode.REAL
    app.button(key="switch-now").click().run()
    assert console.modes.current() is Mode.HYBRID
    assert console.jobs.view(job_id).job.is_provisional


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("unauthorized", "New documents wait; nothing is lost. Check the key in Setup."),
        ("quota", "New documents wait; nothing is lost. Buy credits at LlamaParse"),
        ("server", "New documents wait and go on by themselves; nothing is lost."),
    ],
)
@pytest.mark.parametrize("screen", ["overview", "submit", "jobs"])
def test_wherever_documents_are_met_an_outage_says_what_to_do(
    make_console: Callable[..., Console], screen: str, kind: str, words: str
) -> None:
    """What a person has to mend does not go by itself, and the banner names it; an outage does."""
    console = make_console(api_key="llx-k", mode="real", health=HealthPolicy(in_a_row=1))
    console.watch.heard("submit", kind, 0.1)
    console.watch.write_now()
    dashboard.runtime.get_console.clear()
    dashboard.runtime.install(console)
    app = AppTest.from_file(APP, default_timeout=30).run()
    assert words in _text(app.switch_page(f"screens/{screen}.py").run())


def test_jobs_keep_their_plan_unless_asked(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """Switching alone changes no job that waits."""
    console = make_console(api_key="llx-k", mode="real")
    job_id = _press(console, Mode.REAL)
    app = open_modes(console)
    app.button(key="switch-mock").click().run()
    app.text_input(key="switch-reason").input("demo").run()
    app.button(key="switch-now").click().run()
    assert console.modes.current() is Mode.MOCK
    assert console.jobs.view(job_id).job.mode is Mode.REAL
    assert console.jobs.view(job_id).job.generation == 1


def test_llamaparse_is_held_and_released_from_the_screen(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """A hold says until when, by whom and why; releasing it ends it; both are on record."""
    console = make_console(api_key="llx-k", mode="hybrid")
    app = open_modes(console)
    assert "healthy" in _text(app)
    app.text_input(key="hold-reason").input("key rotation").run()
    app.button(key="hold").click().run()
    assert "key rotation" in console.health.trouble()
    app = open_modes(console)
    assert "key rotation" in _text(app)
    assert "healthy → on hold until" in _text(app)
    app.button(key="release").click().run()
    assert console.health.trouble() == ""
    assert "on hold → healthy" in _text(app)
    assert len(console.health.changes()) == 2


def test_rules_show_what_they_would_do_before_they_are_stored(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """Choosing economy shows the price of a recent document at once; storing needs a reason."""
    console = make_console(api_key="llx-k", mode="hybrid")
    page = "Heading\n" + "A sentence of plain words that fills the line of a page.\n" * 30
    files = {"text.pdf": pdf_of_text([page, page]), "scan.pdf": pdf_of_images([scan_of("x")])}
    uploads = [console.submissions.preflight(n, io.BytesIO(data)) for n, data in files.items()]
    quote = console.submissions.quote(uploads[:1], Tier.AGENTIC, Mode.HYBRID)
    console.submissions.submit(quote, ALICE, "press")
    app = open_modes(console)
    assert "costs $0.03: all pages go to LlamaParse" in _text(app)
    app.segmented_control(key="policy-hybrid").set_value(HybridPolicy.ECONOMY).run()
    assert "costs $0.00 instead of $0.03: all pages stay here" in _text(app)
    assert console.routes.policy() == RoutePolicy()
    app.text_input(key="policy-reason").input("thrift")
    next(b for b in app.button if b.label.startswith("Put these rules")).click().run()
    assert console.routes.policy().hybrid is HybridPolicy.ECONOMY
    assert console.routes.history()[0].reason == "thrift"


def test_the_strip_says_in_words_what_its_colours_show() -> None:
    """Answered, failed and slow calls are counted beside the strip; an empty period is said to be one."""
    found = (
        Period(NOW, calls=4, failed=1, slow=1, p50_s=0.2, p95_s=0.3),
        Period(NOW + timedelta(minutes=5)),
    )
    assert "75.0% of 4 calls answered" in health_charts.summary(found)
    assert "failures in 1 period of 5 minutes (hatched)" in health_charts.summary(found)
    assert "slow answers in 1 (yellow)" in health_charts.summary(found)
    strip = health_charts.availability(found)
    assert list(strip.data[0].customdata) == [
        "4 calls, 1 failed, 1 slow, median 200 ms",
        "nobody asked",
    ]
    assert list(health_charts.latency(found).data[1].y) == [pytest.approx(300), None]


def test_periods_that_are_over_are_summed_once(make_console: Callable[..., Console]) -> None:
    """A chart that is looked at again reads what is new, and shows the same."""
    console, now = make_console(), NOW + timedelta(minutes=30)
    seen = Health(console.store, console.watch, None, lambda: now)
    with console.store.write() as tx:
        calls = [Outcome(now - timedelta(hours=n), "status", Signal.OK, 0.1) for n in range(24)]
        health.add_outcomes(tx, "llamaparse", calls)
    before = seen.series(Span.WEEK)
    assert sum(period.calls for period in before) == 24
    with console.store.write() as tx:
        health.tidy(tx, now - timedelta(hours=5))
        health.add_outcomes(tx, "llamaparse", [Outcome(now, "status", Signal.FAILED, 0.1)])
    after = seen.series(Span.WEEK)
    assert [p.start for p in after] == [p.start for p in before]
    assert sum(period.calls for period in after) == 25
    assert sum(period.failed for period in after) == 1


def _calls(now: datetime, per_hour: int) -> list[Outcome]:
    """A week of calls, the present hour always with one."""
    ago = [
        timedelta(hours=h + (n + 1) / (per_hour + 1))
        for h in range(1, 167)
        for n in range(per_hour)
    ]
    dice = random.Random(7)
    return [
        Outcome(
            now - one, "probe", dice.choice([Signal.OK, Signal.SLOW, Signal.FAILED]), dice.random()
        )
        for one in [*ago, timedelta(minutes=1)]
    ]


def test_the_first_chart_of_a_week_reads_sums_and_no_calls(store: Store) -> None:
    """However many calls a week had: a process that never looked reads what was summed, and shows the same."""
    now = NOW + timedelta(minutes=30)
    work = []
    for name, per_hour in (("quiet", 2), ("busy", 40)):
        watch = Watch(store, EngineName(name), HealthPolicy(), lambda: now, lambda: "UTC")
        with store.write() as tx:
            health.add_outcomes(tx, name, _calls(now, per_hour))
        counted = Health(store, watch, None, lambda: now).series(Span.WEEK)
        watch.sum_up()
        fresh = Health(store, watch, None, lambda: now)
        work.append(work_of(store, partial(fresh.series, Span.WEEK)))
        assert Health(store, watch, None, lambda: now).series(Span.WEEK) == counted
        assert sum(period.calls for period in counted) == 166 * per_hour + 1
    assert work[1] < 1.1 * work[0]


def test_hours_are_summed_once_and_those_of_a_pause_too(store: Store) -> None:
    """After a night without a process the hours since are summed; what is kept is not counted again."""
    moment = [NOW]
    watch = Watch(
        store, EngineName("llamaparse"), HealthPolicy(), lambda: moment[-1], lambda: "UTC"
    )
    watch.sum_up()
    with store.write() as tx:
        call = Outcome(NOW + timedelta(hours=3, minutes=1), "probe", Signal.OK, 0.1)
        health.add_outcomes(tx, "llamaparse", [call])
    moment.append(NOW + timedelta(hours=8))
    watch.sum_up()
    assert statements_of(store, watch.sum_up) == []
    with store.read() as tx:
        kept = availability.hours(tx, "llamaparse", NOW, NOW + timedelta(days=1))
    # the hour that ends now is not over for those who write late
    assert [kept[NOW + timedelta(hours=n)].calls for n in range(7)] == [0, 0, 0, 1, 0, 0, 0]
    assert len(kept) == 7


def test_the_last_failures_of_a_day_are_found_where_they_are(
    make_console: Callable[..., Console],
) -> None:
    """Newest first and as many as asked for, however many good calls lie between them."""
    console, now = make_console(), NOW + timedelta(hours=12)
    seen = Health(console.store, console.watch, None, lambda: now)
    signals = {1: Signal.SLOW, 2: Signal.FAILED, 400: Signal.KEY, 1300: Signal.QUOTA}
    with console.store.write() as tx:
        calls = [
            Outcome(now - timedelta(minutes=n), "status", signals.get(n, Signal.OK), 0.1)
            for n in range(1435)
        ]
        health.add_outcomes(tx, "llamaparse", calls)
    found = [one.signal for one in seen.failures(seen.series(Span.DAY))]
    assert found == [Signal.SLOW, Signal.FAILED, Signal.KEY, Signal.QUOTA]
    assert [one.signal for one in seen.failures(seen.series(Span.DAY), limit=3)] == found[:3]


@pytest.mark.parametrize(
    ("name", "open_s", "words"),
    [
        ("llamaparse", 5400, "calls in a row to LlamaParse failed. It is tried again in 1 h"),
        ("toy", 5400, "calls in a row to Toy failed. It is tried again in 1 h"),
        ("llamaparse", 0, "a few documents or probes: 0 of 2 went well, 1 under way"),
        ("toy", 0, "a few documents or probes: 0 of 2 went well, 1 under way"),
    ],
)
def test_the_card_of_an_engine_says_what_is_being_tried_and_when(
    make_console: Callable[..., Console],
    open_modes: Callable[[Console], AppTest],
    name: str,
    open_s: float,
    words: str,
) -> None:
    """Not used: until when. On trial: what is let through, how it went so far, that a failure stops it."""
    policy = HealthPolicy(in_a_row=2, open_s=open_s, longest_open_s=open_s)
    console = make_console(mode="hybrid", health=policy)
    toy = Toy()
    console.engines.add(toy_card(toy), lambda _mode: toy)
    watch = console.watches.of(EngineName(name))
    assert watch.claim_probe("somebody", 30)
    for _ in range(2):
        watch.heard("submit", "server", 0.1)
    watch.write_now()
    watch.gate()
    shown = _text(open_modes(console))
    assert words in shown
    assert "Next probe in" in shown or "The next probe is due." in shown


def test_an_added_engine_is_shown_and_can_be_chosen(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """An engine of one line has its card with price and health, and its place in the rules of HYBRID."""
    console, toy = make_console(mode="hybrid"), Toy()
    console.engines.add(toy_card(toy), lambda _mode: toy)
    watch = console.watches.of(toy.name)
    assert watch.claim_probe("somebody", 30)
    watch.heard("probe", "ok", 0.25)
    watch.write_now()
    app = open_modes(console)
    shown = _text(app)
    assert "Toy" in shown
    assert "A page costs $0.0025." in shown
    assert "The newest took 250 ms." in shown
    app.selectbox(key="policy-plain").set_value("toy").run()
    app.text_input(key="policy-reason").input("louder")
    next(b for b in app.button if b.label == "Put these rules in force").click().run()
    assert console.routes.policy().table[PageClass.PLAIN] == "toy"
    assert app.selectbox(key="policy-plain").value == "toy"


def _itself(engine: Toy, _mode: Mode) -> Toy:
    return engine


_TICK = """
from dashboard.components import engine_cards, engine_health
from dashboard.runtime import actor, get_console

console = get_console()
states = console.engines_view.states()
engine_health.show(console, states, actor())
"""


def test_an_open_screen_asks_the_database_for_little(
    make_console: Callable[..., Console], open_modes: Callable[[Console], AppTest]
) -> None:
    """A look and each tick of five seconds cost so many statements, however many engines there are."""
    console = make_console(api_key="llx-k", mode="hybrid")
    for number in range(3):
        toy = Toy()
        toy.name = EngineName(f"toy{number}")
        console.engines.add(replace(toy_card(toy), name=toy.name), partial(_itself, toy))
    for name in console.engines.cards:
        console.watches.of(name).heard("probe", "ok", 0.1)
        console.watches.of(name).write_now()
    app = open_modes(console)
    assert len(statements_of(console.store, app.run)) == 24
    tick = AppTest.from_string(_TICK, default_timeout=30)
    # breaker and probe of all engines; minutes and hours of calls; what waits, what stands in; changes
    assert len(statements_of(console.store, tick.run)) == 6
    assert "Nothing speaks against it" in _text(tick)
