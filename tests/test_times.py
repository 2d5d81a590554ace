"""Every time that a person reads stands in the zone in force, on screens and in the terminal."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

import dashboard.runtime
from core.clock import utc_now
from core.console import Console
from core.domain import times
from core.domain.budgets import Unit, Window
from core.domain.money import Tier
from core.domain.routing import Mode
from core.store import handoffs, workers
from dashboard.navigation import ENTRIES
from tests.factories import ALICE, finished, submitted

APP = str(Path(dashboard.runtime.__file__).with_name("app.py"))
PARSEDECK = Path(sys.executable).with_name("parsedeck")

ZONE = "Asia/Kathmandu"
"""Five hours and three quarters ahead of UTC, so that hour, minutes and on this evening the day are others."""
EVENING = datetime(2026, 11, 24, 20, 17, tzinfo=UTC)
IN_UTC = re.compile(r"\b20:\d\d|\b24 Nov|2026-11-24|\bUTC\b")
MEANT_IN_UTC = ("day (UTC)",)
"""The days of LlamaParse's own bill, which it counts in UTC."""


@dataclass
class House:
    """A console in which every kind of thing with a time has happened."""

    console: Console
    job: str
    held: str
    delivery: str
    submission: str


def _evening() -> Callable[[], datetime]:
    """A clock that goes on from that evening."""
    offset = EVENING - utc_now()
    return lambda: utc_now() + offset


@pytest.fixture
def house(make_console: Callable[..., Console]) -> House:
    """Parsed, held and asked for, limits and settings changed, LlamaParse on hold, a receiver that is gone."""
    console = make_console(
        worker=True,
        clock=_evening(),
        timezone=ZONE,
        api_key="llx-key",
        base_url="http://127.0.0.1:9",
        mode="mock",
        downstream_private=True,
    )
    done = finished(console, submitted(console, {"lease.txt": b"words"}).id)
    job = done.jobs[0].id
    console.setup.store("requests_per_minute", "30", ALICE)
    console.modes.switch(Mode.HYBRID, ALICE, "for the test")
    console.modes.switch(Mode.MOCK, ALICE, "for the test")
    console.health.hold(timedelta(minutes=30), ALICE, "the key is rotated")
    daily = ("all", Window.DAY, Unit.USD)
    console.limits.change("mock", daily, "0.015", ALICE, "for the test", hours=1)
    held = submitted(console, {"a.txt": b"one"}, key="press-2").job_ids[0]
    console.holds.ask(held, "the board meets", ALICE)
    console.alerts.look()
    last = console.clock() - timedelta(minutes=5)
    with console.store.write() as tx:
        workers.start(tx, workers.Worker("api-gone", "elsewhere", 99, last, last, role=workers.API))
    console.downstreams.add("http://127.0.0.1:9/next", ALICE)
    target = console.downstreams.known()[0].id
    with console.store.write() as tx:
        handoffs.add(
            tx,
            [
                handoffs.Handoff(
                    id="hof-1",
                    message_id="msg-1",
                    downstream_id=target,
                    job_id=job,
                    generation=1,
                    event_type="job.parsed",
                    body=b"{}",
                    status=handoffs.PENDING,
                    created_at=console.clock(),
                    next_at=console.clock() + timedelta(minutes=5),
                )
            ],
        )
    delivery = console.jobs.view(job).deliveries[0].id
    return House(console, job, held, delivery, done.submission.id)


def _shown(app: AppTest) -> str:
    assert not app.exception, app.exception
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.success, app.warning)
    texts = [e.value for kind in (*kinds, app.info, app.error) for e in kind]
    texts += [button.label for button in app.button]
    texts += [f"{m.label} {m.value} {m.delta}" for m in app.metric]
    texts += [frame.value.to_csv() for frame in app.dataframe]
    return " ".join(texts).replace("\\", "")


def _in_utc(text: str) -> list[str]:
    for meant in MEANT_IN_UTC:
        text = text.replace(meant, "")
    return [text[max(0, m.start() - 60) : m.end() + 20] for m in IN_UTC.finditer(text)]


def _open(house: House, file: str, **query: str) -> AppTest:
    dashboard.runtime.get_console.clear()
    dashboard.runtime.install(house.console)
    app = AppTest.from_file(APP, default_timeout=30).run()
    for name, value in query.items():
        app.query_params[name] = value
    return app.switch_page(file).run()


def test_no_screen_shows_a_time_of_another_zone(house: House) -> None:
    """No time on any screen is UTC's, and no sentence says UTC, when another zone is in force."""
    ways = [(e.file, dict[str, str]()) for e in ENTRIES if not e.is_hidden]
    ways += [("screens/job.py", {"job": house.job}), ("screens/job.py", {"job": house.held})]
    ways += [("screens/submission.py", {"submission": house.submission})]
    ways += [("screens/delivery.py", {"delivery": house.delivery})]
    ways += [("screens/webhooks.py", {"tab": t}) for t in ("Workbench", "Replay", "Downstream")]
    wrong, right = {}, 0
    for file, query in ways:
        text = _shown(_open(house, file, **query))
        right += bool(re.search(r"\b02:\d\d\b|25 Nov|2026-11-25", text))
        if found := _in_utc(text):
            wrong[f"{file} {query}"] = found
    assert wrong == {}
    # the walk has met times, so that it can tell
    assert right >= 7


def test_a_changed_zone_holds_at_once(house: House) -> None:
    """A time on a screen is of the zone in force, also after it was changed in Setup."""
    at = house.console.jobs.view(house.job).timeline[0].at
    for zone in ("Asia/Tokyo", "America/New_York"):
        house.console.setup.store("timezone", zone, ALICE)
        app = _open(house, "screens/job.py", job=house.job)
        assert f"{at.astimezone(ZoneInfo(zone)):%H:%M:%S}" in _shown(app)


def test_what_was_parsed_before_is_dated_in_the_zone(house: House) -> None:
    """The note on Submit names the day, or the moment, on which it was parsed, where the operator is."""
    again = house.console.submissions.stored([house.job])
    parsed = house.console.submissions.quote(again, Tier.AGENTIC, Mode.MOCK).lines[0]
    assert "25 Nov 2026" in parsed.note


def test_a_hold_says_until_when_where_the_operator_is(house: House) -> None:
    """The sentence that stands on held documents, and what the record of the hold says, are in the zone."""
    assert "is on hold until 25 Nov 02:" in house.console.health.trouble()
    assert "on hold until 25 Nov 02:" in house.console.health.changes()[0].after


@pytest.mark.parametrize(
    "command",
    [
        ["jobs"],
        ["jobs", "show", "JOB"],
        ["jobs", "show", "HELD"],
        ["spend"],
        ["spend", "limits"],
        ["spend", "asked"],
        ["spend", "job", "JOB"],
        ["webhook", "list"],
        ["webhook", "missing"],
        ["doctor"],
        ["mode"],
    ],
    ids=" ".join,
)
def test_no_command_prints_a_time_of_another_zone(
    house: House, command: list[str], tmp_path: Path
) -> None:
    """What the terminal shows of the same house stands in the same zone."""
    named = {"JOB": house.job, "HELD": house.held}
    done = subprocess.run(
        [str(PARSEDECK), *(named.get(word, word) for word in command)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PARSEDECK_DATA_DIR": str(tmp_path / "data"), "PARSEDECK_TIMEZONE": ZONE},
    )
    assert done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    assert _in_utc(done.stdout) == []


def test_a_moment_is_written_in_one_way() -> None:
    """Clock, day and date of one moment, in the zone that is asked for."""
    at = datetime(2026, 11, 24, 20, 17, 5, tzinfo=UTC)
    written = [
        write(at, ZONE)
        for write in (times.minute, times.clock, times.day, times.short, times.exact, times.stamp)
    ]
    assert written == [
        "02:02",
        "02:02:05",
        "25 Nov 2026",
        "25 Nov 02:02",
        "25 Nov 02:02:05",
        "2026-11-25 02:02:05",
    ]
    assert times.here(at, ZONE).tzinfo == ZoneInfo(ZONE)
