"""Replay: foretold, recorded under a name, never a regress; saved sequences run as tests."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from core.api import ingress_app
from core.console import Console
from core.domain.jobs import JobStatus
from core.errors import ConsoleError, NotFound
from core.services.replays import Outcome
from core.settings import Settings
from core.store.inbox import DeliveryFilter
from core.webhooks import sequence
from core.webhooks.endpoint import WEBHOOK_PATH
from core.webhooks.signatures import sign
from tests.factories import ALICE, finished, submitted, wait_until
from tests.webhooks.conftest import Door, an_event

Knock = Callable[..., Door]
SEQUENCES = sorted(Path(__file__).with_name("sequences").glob("*.json"))


def test_a_replay_is_a_new_delivery_exempt_from_age_and_repetition(knock: Knock) -> None:
    """What is too old, or was received before, is accepted as a replay, under the name of who did it."""
    door = knock()
    accepted = door.send(an_event("1")).json()["delivery_id"]
    stale = door.send(an_event("2", timestamp=1)).json()["delivery_id"]
    replays = door.console.replays
    chosen = replays.select([accepted, stale])
    assert [o.verdict for o in replays.foresee(chosen)] == ["parked", "parked"]
    done = list(replays.run(chosen, ALICE, per_second=1000))
    assert [o.verdict for o in done] == ["parked", "parked"]
    new = door.console.deliveries.view(done[0].new_id).delivery
    assert (new.replay_of, new.body) == (accepted, chosen[0].body)
    assert new.actor.startswith("alice")


def test_a_refused_delivery_is_verified_again_with_the_secrets_of_today(
    knock: Knock, make_console: Callable[..., Console]
) -> None:
    """Once the missing secret is configured, the original bytes and signature are accepted."""
    door = knock()
    refused = door.send(an_event(), secret="whsec_forgotten").json()["delivery_id"]
    assert [o.verdict for o in _replayed(door.console, refused)] == ["bad_signature"]
    door.console.close()
    repaired = make_console(webhook_secrets="whsec_forgotten")
    assert [o.verdict for o in _replayed(repaired, refused)] == ["parked"]


def _replayed(console: Console, delivery_id: str) -> list[Outcome]:
    chosen = console.replays.select([delivery_id])
    return list(console.replays.run(chosen, ALICE, per_second=1000))


def test_a_refused_delivery_can_be_signed_anew_by_a_person(knock: Knock) -> None:
    """A person may vouch for bytes that were signed with nobody's secret."""
    door = knock(webhook_secrets="whsec_mine")
    refused = door.send(an_event(), secret="wrong").json()["delivery_id"]
    done = list(
        door.console.replays.run(door.console.replays.select([refused]), ALICE, sign_anew=True)
    )
    assert door.console.deliveries.view(done[0].new_id).delivery.scope == "real"


def test_what_was_kept_in_part_cannot_be_replayed(knock: Knock) -> None:
    """A refused body that was cut says so instead of being sent as something else."""
    door = knock(max_webhook_kb=20)
    refused = door.send(b"[" + b"1," * 9000 + b"1]").json()["delivery_id"]
    told = door.console.replays.foresee(door.console.replays.select([refused]))
    assert told[0].verdict == "not possible"
    with pytest.raises(NotFound):
        door.console.replays.select(["dlv-none"])


def test_replaying_the_events_of_a_finished_job_changes_nothing_and_is_on_its_timeline(
    make_console: Callable[..., Console],
) -> None:
    """Replayed in any order, a finished job stays as it is; each replay is marked on its timeline."""
    console = make_console(worker=True)
    job_id = finished(console, submitted(console, {"a.txt": b"words"}).id).jobs[0].id
    recorded = [d.id for d in console.jobs.view(job_id).deliveries if d.verdict == "accepted"]
    chosen = console.replays.select(recorded)
    assert all("final" in o.what for o in console.replays.foresee(chosen))
    list(console.replays.run(list(reversed(chosen)), ALICE, per_second=1000))

    def marked() -> int:
        timeline = console.jobs.view(job_id).timeline
        return sum("replay by alice" in entry.cause for entry in timeline)

    wait_until(lambda: marked() == len(recorded))
    assert console.jobs.view(job_id).job.status is JobStatus.COMPLETE


def test_a_range_is_replayed_oldest_first_and_throttled(knock: Knock) -> None:
    """A time range is taken in its order, and not faster than asked."""
    door = knock()
    for n in range(3):
        door.send(an_event(f"{n}"))
    chosen = door.console.replays.select([], DeliveryFilter())
    assert [d.event_id for d in chosen] == ["0", "1", "2"]
    began = door.console.clock()
    list(door.console.replays.run(chosen, ALICE, per_second=20))
    assert (door.console.clock() - began).total_seconds() >= 0.1


def test_a_replay_is_replayed_only_when_it_is_named(knock: Knock) -> None:
    """A choice by time or verdict leaves replays out, so that a second one repeats what came and no more."""
    door = knock()
    first = door.send(an_event("1")).json()["delivery_id"]
    (done,) = _replayed(door.console, first)
    replays = door.console.replays
    assert [d.id for d in replays.select([], DeliveryFilter())] == [first]
    assert [d.id for d in replays.select([done.new_id])] == [done.new_id]


def test_a_saved_sequence_holds_no_secret_and_gives_the_same_verdicts(
    knock: Knock, tmp_path: Path
) -> None:
    """What was saved runs as a fixture: the same bytes get the same verdicts."""
    door = knock()
    door.send(an_event("1"))
    door.send(an_event("1"))
    door.send(an_event("2"), secret="wrong")
    door.send(b"[]")
    text = door.console.replays.saved(door.console.replays.select([], DeliveryFilter()))
    assert door.secret() not in text
    assert "sha256=" not in text
    _runs_as_recorded(text, tmp_path / "again")


def test_every_kind_of_delivery_is_saved_so_that_it_runs_or_is_left_out_with_the_reason(
    knock: Knock, tmp_path: Path
) -> None:
    """Replays, what nobody signed and compressed bodies run as recorded; what cannot be sent again says why."""
    door = knock(max_webhook_kb=20)
    first = door.send(an_event("1")).json()["delivery_id"]
    door.send(an_event("1"))
    _replayed(door.console, first)
    door.send(an_event("new", event_type="extract.success"))
    plain = json.dumps(an_event("2")).encode()
    kind = {"Content-Type": "application/json"}
    door.client.post(WEBHOOK_PATH, content=plain, headers=kind)
    door.client.post(WEBHOOK_PATH, content=plain, headers={**kind, "X-Signature": "aa"})
    zipped = door.send(gzip.compress(plain), headers={"Content-Encoding": "gzip"})
    _replayed(door.console, zipped.json()["delivery_id"])
    door.client.post(WEBHOOK_PATH, content=plain, headers={b"Content-Type": b"text/\xe9"})
    door.send(an_event("3", timestamp=1))
    door.send(an_event("3"), secret=door.secret("test"))
    door.send(an_event("3", test=True), secret=door.secret("test"))
    door.send(b" " * 30_000)
    door.send(b"[" + b"1," * 9000 + b"1]")
    door.console.receiver._record_flood(3)
    wait_until(lambda: any(d.verdict == "flood" for d in door.recorded()))
    replays = door.console.replays
    text = replays.saved(replays.select([d.id for d in door.recorded()]))
    verdicts = [step.verdict for step in sequence.load(text)]
    assert verdicts == [
        *("accepted", "duplicate", "accepted", "unknown_type"),
        *("missing_signature", "missing_signature", "unsupported", "unsupported", "unsupported"),
        *("stale", "bad_signature", "accepted"),
    ]
    assert [one["verdict"] for one in json.loads(text)["left_out"]] == [
        *("too_large", "malformed", "flood")
    ]
    assert all(one["why"] for one in json.loads(text)["left_out"])
    _runs_as_recorded(text, tmp_path / "again")


def test_a_repeat_without_its_first_is_left_out(knock: Knock) -> None:
    """Alone it would be no repeat; a file in which nothing can be run says so and why."""
    door = knock()
    door.send(an_event("1"))
    repeat = door.send(an_event("1")).json()["delivery_id"]
    text = door.console.replays.saved(door.console.replays.select([repeat]))
    with pytest.raises(ConsoleError, match="first"):
        sequence.load(text)


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "{}", '{"deliveries": 1}', '{"deliveries": [1]}']
)
def test_what_is_no_sequence_says_so(text: str) -> None:
    """Any file may be given; none is a traceback."""
    with pytest.raises(ConsoleError):
        sequence.load(text)


@pytest.mark.parametrize("path", SEQUENCES, ids=lambda path: path.stem)
def test_saved_sequences_get_the_verdicts_they_got(path: Path, tmp_path: Path) -> None:
    """Each saved sequence of deliveries is judged as it was when it was recorded."""
    _runs_as_recorded(path.read_text(encoding="utf-8"), tmp_path / "again")


def _runs_as_recorded(text: str, folder: Path) -> None:
    steps = sequence.load(text)
    now = steps[0].at
    console = Console(
        Settings.load({"data_dir": folder, "webhook_secrets": "whsec_real"}), clock=lambda: now
    )
    client = TestClient(ingress_app(console))
    secrets = {name: (folder / f"{name}-webhook-secret").read_text() for name in ("mock", "test")}
    secrets["real"] = "whsec_real"
    for step in steps:
        now = step.at
        sent = {"Content-Type": step.content_type, "Content-Encoding": step.content_encoding}
        headers = {name: value for name, value in sent.items() if value}
        if step.is_signed:
            headers["LC-Signature"] = sign(secrets.get(step.signed_by, "nobody's"), step.body)
        if step.is_replay:
            delivery_id = console.receiver.replay(headers, step.body, "dlv-1", "alice").delivery_id
        else:
            raw = {n.encode(): v.encode("latin-1", "replace") for n, v in headers.items()}
            answer = client.post(WEBHOOK_PATH, content=step.body, headers=raw)
            delivery_id = answer.json()["delivery_id"]
        found = console.deliveries.view(delivery_id).delivery
        assert found.verdict == step.verdict, found.reason
    console.close()
