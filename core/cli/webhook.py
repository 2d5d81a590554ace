"""``parsedeck webhook``: craft, check, forward and send again."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import typer

from core.cli.common import opened_console as opened
from core.errors import ConsoleError

__all__ = ["app"]

app = typer.Typer(help="Craft, check, forward and replay webhooks.", no_args_is_help=True)

_INGRESS = "http://127.0.0.1:8502/api/v1/webhooks/llamaparse"
_To = Annotated[str, typer.Option("--to", help="Where to send; else Parsedeck's ingress port.")]


@app.command()
def send(  # noqa: PLR0913 - one option each
    template: Annotated[
        str, typer.Option(help="An event type such as parse.success, or flat.parsed.")
    ] = "parse.success",
    job: Annotated[str, typer.Option(help="The vendor's id of the job it is about.")] = "",
    from_: Annotated[str, typer.Option("--from", help="Start from this recorded delivery.")] = "",
    body: Annotated[str, typer.Option(help="A file with the payload; - reads it from stdin.")] = "",
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="stale, future, bad_signature, truncated, duplicate, reordered, double_encoded, "
            "oversized; again for more."
        ),
    ] = None,
    to: _To = _INGRESS,
    dry_run: Annotated[bool, typer.Option(help="Only say what it would do.")] = False,
) -> None:
    """Send a test event, signed with the secret for tests; no real job changes by it."""
    from core.services.workbench import Draft  # noqa: PLC0415
    from core.webhooks.workbench import known_faults  # noqa: PLC0415

    faults = known_faults(fault or [])
    _check(to)
    with opened(worker=False) as console:
        bench = console.workbench
        if body:
            text = _read(body).decode("utf-8", "replace")
        else:
            text = bench.from_delivery(from_) if from_ else bench.template(template, job)
        crafted = bench.crafted(Draft(text, faults))
        for told in bench.foresee(crafted):
            typer.echo(f"would be {told.status_code} {told.verdict}: {told.change}")
        if dry_run:
            return
        failed = False
        for sent in bench.send(crafted, to):
            failed |= sent.answer.status is None
            typer.echo(sent.answer.error or f"{sent.answer.status} {sent.answer.text}")
    if failed:
        raise ConsoleError(f"Not delivered to {to}.", "Start `parsedeck up`, or correct --to.")


@app.command()
def verify(
    signature: Annotated[str, typer.Option(help="The value of the signature header.")],
    body: Annotated[str, typer.Option(help="A file with the raw body; - reads it from stdin.")],
    header: Annotated[str, typer.Option(help="The header it came in.")] = "LC-Signature",
) -> None:
    """Check a signature with the secrets configured here; exit 1, with the likely mistake, if none fits."""
    raw = _read(body)
    with opened(worker=False) as console:
        secret, findings = console.deliveries.verify(raw, header, signature)
    if secret:
        typer.echo(f"It holds: made with {secret}.")
        return
    for finding in findings:
        typer.echo(f"{finding.mistake.value}: {finding.what} {finding.next_step}")
    raise typer.Exit(1)


@app.command(name="list")
def list_(
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """The newest deliveries."""
    from core.domain import times  # noqa: PLC0415
    from core.store.inbox import DeliveryFilter  # noqa: PLC0415

    with opened(worker=False) as console:
        lines = console.deliveries.page(DeliveryFilter(), limit=count).lines
        zone = console.rules().timezone
    rows = [
        {
            "id": line.id,
            "received_at": line.received_at.isoformat(timespec="seconds")
            if as_json
            else times.stamp(line.received_at, zone),
            "verdict": line.state,
            "event_type": line.event_type,
            "job": line.job_id or line.vendor_job_id,
            "note": line.outcome or line.reason,
        }
        for line in lines
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    for row in rows if not as_json else []:
        typer.echo("  ".join(row.values()).rstrip())


@app.command()
def replay(  # noqa: PLR0913 - one option each
    ids: Annotated[list[str] | None, typer.Argument(help="Deliveries; else give --since.")] = None,
    since: Annotated[str, typer.Option(help="From this moment on, as 2026-11-24T12:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Up to this moment.")] = "",
    sign_anew: Annotated[bool, typer.Option(help="Sign with the secret of today.")] = False,
    per_second: Annotated[float, typer.Option(min=0.01, help="At most so many a second.")] = 10.0,
    to: Annotated[str, typer.Option("--to", help="An endpoint of yours instead.")] = "",
    dry_run: Annotated[bool, typer.Option(help="Only say what it would do.")] = False,
    save: Annotated[str, typer.Option(help="Write the sequence to a file for tests.")] = "",
) -> None:
    """Send recorded deliveries again: exempt from age and repetition, never a regress, on record."""
    from core.console import local_actor  # noqa: PLC0415
    from core.store.inbox import DeliveryFilter  # noqa: PLC0415

    if not ids and not since:
        raise ConsoleError("Nothing was chosen.", "Give ids of deliveries, or --since.")
    if to:
        _check(to)
    with opened(worker=False) as console:
        zone = ZoneInfo(console.rules().timezone)
        which = DeliveryFilter(since=_moment(since, zone), until=_moment(until, zone))
        replays = console.replays
        chosen = replays.select(ids or [], which)
        if not chosen:
            typer.echo("No delivery fits; nothing is sent.")
            return
        if save:
            _write(save, replays.saved(chosen))
        outcomes = (
            replays.foresee(chosen, sign_anew=sign_anew)
            if dry_run or save
            else replays.run(
                chosen, local_actor(), sign_anew=sign_anew, per_second=per_second, to=to
            )
        )
        untaken = 0
        for outcome in outcomes:
            typer.echo(f"{outcome.original.id} {outcome.verdict}: {outcome.what} {outcome.new_id}")
            untaken += bool(to) and outcome.verdict != "sent"
    if untaken and not (dry_run or save):
        was = "was" if untaken == 1 else "were"
        raise ConsoleError(
            f"{untaken} of {len(chosen)} {was} not taken by {to}.", "Start it, or correct --to."
        )


@app.command()
def listen(
    forward_to: Annotated[str, typer.Option(help="An address of yours.")],
    count: Annotated[int, typer.Option(help="Stop after so many; 0 goes on.")] = 0,
) -> None:
    """Forward each accepted delivery as it comes, with its original bytes and signature."""
    _check(forward_to)
    done = 0
    with opened(worker=False) as console:
        typer.echo(f"Forwarding to {forward_to}; Ctrl-C ends it.")
        for delivery, answer in console.deliveries.forwarded(forward_to):
            what = answer.error or answer.status
            typer.echo(f"{delivery.id} {delivery.event_type} -> {what} ({answer.took_ms:.0f} ms)")
            done += 1
            if done == count:
                return


@app.command(name="test-path")
def test_path() -> None:
    """Send a test event to PARSEDECK_PUBLIC_URL and report the way hop by hop; exit 1 when one fails."""
    with opened(worker=False) as console:
        hops = console.path_test.run()
    for hop in hops:
        mark = "ok  " if hop.works else "FAIL"
        typer.echo(f"{mark} {hop.name}: {hop.found} {hop.next_step}".rstrip())
    raise typer.Exit(0 if all(hop.works for hop in hops) else 1)


@app.command()
def missing() -> None:
    """Jobs whose event is late or never came, with the likely causes."""
    with opened(worker=False) as console:
        found = console.missing.find()
    for one in found:
        state = "result was fetched all the same" if one.is_healed else "asked for it"
        typer.echo(f"{one.job_id} {one.document}: {state}. {' '.join(one.causes)}")
    if not found:
        typer.echo("Every event that was expected came.")


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    """A moment that was typed; without an offset it is meant as the lists show it."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConsoleError(f"{text!r} is no moment.", "Write it as 2026-11-24T12:00Z.") from None


def _check(address: str) -> None:
    """Raises ``ConsoleError`` for an address that nothing can be sent to, and names what was typed."""
    from core.webhooks.outbound import check_target  # noqa: PLC0415

    try:
        parts = urlsplit(address)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_one = False
    if not is_one:
        raise ConsoleError(
            f"{address!r} is no http(s) address.", "Write it as http://127.0.0.1:3000/hook."
        )
    check_target(address, allow_private=True)


def _write(name: str, text: str) -> None:
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConsoleError(f"{name} cannot be written ({error.strerror}).") from error


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ConsoleError(f"{name} cannot be read ({error.strerror}).") from error
