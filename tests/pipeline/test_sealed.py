"""Where finished jobs go, and what signs it, is sealed in the database; the key lies elsewhere and may change."""

import io
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.console import Console
from core.domain.jobs import JobStatus
from core.errors import SettingsError
from core.pipeline.handoff import WAITS, HandOff, begin
from core.serving import Served
from core.settings import Settings
from core.store import handoffs, jobs
from core.store.outbox import HandoffFilter
from core.store.seal import KEY_FILE
from core.telemetry import configure_logs
from core.webhooks.standard import sign
from tests.factories import ALICE, submitted

Maker = Callable[..., Console]
OLD, NEW = "an old key of enough characters 0123", "a new key of enough characters 45678"


@pytest.fixture
def heard() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A next stage on loopback: its address, and what it was told."""
    told: list[tuple[dict[str, str], bytes]] = []

    async def take(request: Request) -> Response:
        told.append((dict(request.headers), await request.body()))
        return Response()

    with Served(Starlette(routes=[Route("/{path:path}", take, methods=["POST"])])) as served:
        yield f"{served.url}/very-private", told


def _parsed(console: Console, name: str) -> str:
    job_id = submitted(console, {name: name.encode()}, key=name).job_ids[0]
    now = console.clock()
    with console.store.write() as tx:
        jobs.change_job(tx, job_id, JobStatus.PARSING, ALICE, "t", now)
        begin(tx, jobs.change_job(tx, job_id, JobStatus.PARSED, ALICE, "t", now), now)
    return job_id


def _sent(console: Console, later: timedelta = timedelta(0)) -> None:
    def clock() -> datetime:
        return console.clock() + later

    HandOff(console.store, console.seal, clock, allow_private=True).send_due()


def _holds(secret: str, request: tuple[dict[str, str], bytes]) -> bool:
    headers, body = request
    expected = sign(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    return headers["webhook-signature"] == expected


def test_neither_address_nor_secret_lies_open_in_the_database(
    make_console: Maker, database_url: str, tmp_path: Path
) -> None:
    """A copy of the database tells neither; the key is a file that only its owner may read."""
    console = make_console(database_url=database_url, downstream_private=True)
    secret = console.downstreams.add("https://127.0.0.1/very-private", ALICE)
    with console.store.read() as tx:
        row = str(tx.connection().execute(text("SELECT * FROM downstream")).one())
    assert "very-private" not in row
    assert secret.removeprefix("whsec_") not in row
    assert (tmp_path / "data" / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_after_a_restart_the_same_secret_signs(
    make_console: Maker, heard: tuple[str, list[tuple[dict[str, str], bytes]]]
) -> None:
    """The receiver's secret goes on to fit when Parsedeck was stopped and started."""
    url, told = heard
    first = make_console(downstream_private=True)
    secret = first.downstreams.add(url, ALICE)
    first.close()
    second = make_console(downstream_private=True)
    _parsed(second, "a.txt")
    _sent(second)
    assert [_holds(secret, one) for one in told] == [True]


def test_the_key_is_rotated_by_one_start_with_both(make_console: Maker) -> None:
    """Started once with the new key before the old one, the old one is needed no more."""
    prints = []
    for keys in (OLD, f"{NEW},{OLD}", NEW):
        console = make_console(downstream_private=True, downstream_keys=keys)
        if keys == OLD:
            console.downstreams.add("https://127.0.0.1/x", ALICE)
        prints.append(console.downstreams.known()[0].fingerprint)
        console.close()
    assert len(set(prints)) == 1
    assert prints[0] != "–"


def test_a_key_that_is_gone_is_told_and_loses_nothing(
    make_console: Maker, heard: tuple[str, list[tuple[dict[str, str], bytes]]], tmp_path: Path
) -> None:
    """Screen, doctor and the hand-off say what to put back; once it is back, the event is delivered."""
    url, told = heard
    console = make_console(downstream_private=True)
    secret = console.downstreams.add(url, ALICE)
    hidden = (tmp_path / "data" / KEY_FILE).rename(tmp_path / "hidden")
    log = io.StringIO()
    configure_logs(log)
    _parsed(console, "a.txt")
    _sent(console)
    (one,) = console.downstreams.page(HandoffFilter()).lines
    (tried,) = console.downstreams.view(one.id).tries
    (target,) = console.downstreams.known()
    facts = [fact for fact in console.setup.facts() if fact.topic == "Downstream"]
    for told_so in (tried.error, target.trouble, f"{facts[0].what} {facts[0].next_step}"):
        assert f"{KEY_FILE} back into the data folder" in told_so
    assert url not in f"{log.getvalue()}{one}{target}{tried}"
    hidden.rename(tmp_path / "data" / KEY_FILE)
    _sent(console, later=WAITS[0])
    assert all(_holds(secret, request) for request in told)
    assert told


def test_what_an_older_version_stored_openly_is_sealed_at_the_start(make_console: Maker) -> None:
    """Rows from before are sealed by the first start, and go on to work."""
    console = make_console(downstream_private=True)
    console.downstreams.add("https://127.0.0.1/x", ALICE)
    (before,) = console.downstreams.known()
    with console.store.write() as tx:
        (row,) = handoffs.downstreams(tx)
        facts = {"url": console.seal.open(row.url), "secret": console.seal.open(row.secret)}
        handoffs.update_downstream(tx, row.id, **facts)
    console.close()
    again = make_console(downstream_private=True)
    with again.store.read() as tx:
        (sealed,) = handoffs.downstreams(tx)
    assert "127.0.0.1" not in sealed.url
    assert not sealed.secret.startswith("whsec_")
    assert again.downstreams.known() == (before,)


def test_a_key_that_can_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short key stops the start, and the message names the variable and no secret."""
    monkeypatch.setenv("PARSEDECK_DOWNSTREAM_KEY", f"{NEW},too-short")
    with pytest.raises(SettingsError, match="at least 32 characters") as refused:
        Settings.load()
    assert refused.value.variable == "PARSEDECK_DOWNSTREAM_KEY"
    assert "too-short" not in str(refused.value)
