"""The ``parsedeck`` command. Heavy imports happen inside the commands, so that --help is quick."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli import webhook
from core.cli.common import Json as _Json
from core.cli.common import choice as _choice
from core.cli.common import opened_console as _console
from core.cli.spend import app as spend_app
from core.errors import ConsoleError

if TYPE_CHECKING:
    from core.cli.stopping import Stopping
    from core.console import Console
    from core.domain.jobs import Job

__all__ = ["app", "main"]

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

app = typer.Typer(
    help="Parsedeck: an operator console for LlamaParse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
jobs_app = typer.Typer(help="Look at jobs, retry and cancel them.", invoke_without_command=True)
app.add_typer(jobs_app, name="jobs")
app.add_typer(webhook.app, name="webhook")
app.add_typer(spend_app, name="spend")


def main() -> None:
    """Run a command; whatever goes wrong ends as one clear line and exit code 1."""
    try:
        app()
    except ConsoleError as error:
        typer.echo(f"parsedeck: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def up(
    host: Annotated[str, typer.Option(help="Only loopback, until login exists.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The console.")] = 8501,
    ingress_port: Annotated[
        int, typer.Option(help="Webhooks and health only, for a tunnel.")
    ] = 8502,
) -> None:
    """Console, API and worker in one process."""
    if host not in _LOOPBACK:
        typer.echo(
            f"parsedeck: {host} is refused, because the console has no login yet. On your own machine run\n"
            f"  ssh -L {port}:127.0.0.1:{port} THIS-MACHINE\nand open http://127.0.0.1:{port}",
            err=True,
        )
        raise typer.Exit(1)
    from core.cli.stopping import Stopping  # noqa: PLC0415

    with Stopping() as stopping:
        _serve(host, port, ingress_port, stopping)


def _serve(host: str, port: int, ingress_port: int, stopping: "Stopping") -> None:
    import uvicorn  # noqa: PLC0415
    from uvicorn.importer import import_from_string  # noqa: PLC0415

    from core.api import ingress_app  # noqa: PLC0415
    from core.serving import Served, prepare_process, server_config  # noqa: PLC0415
    from core.webhooks.endpoint import WEBHOOK_PATH  # noqa: PLC0415

    _refuse_taken(host, port, ingress_port)
    stopping.check()
    with _console() as console:
        stopping.check()
        console.run_worker()
        stopping.check()
        create_app = import_from_string("dashboard.asgi:create_app")
        application = create_app(console)
        stopping.check()
        console.ingress_url = f"http://127.0.0.1:{ingress_port}{WEBHOOK_PATH}"
        _announce(console, host, port)
        prepare_process()
        with Served(ingress_app(console), port=ingress_port):
            server = uvicorn.Server(server_config(application, host=host, port=port))
            # until uvicorn listens for signals itself; after that it hands on what it heard
            stopping.then(lambda: setattr(server, "should_exit", True))
            stopping.check()
            server.run()
        stopping.check()


@app.command()
def worker() -> None:
    """Parse what others submit, until stopped."""
    import signal  # noqa: PLC0415
    import threading  # noqa: PLC0415

    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())
    with _console(worker=True):
        typer.echo("The worker runs.")
        stopping.wait()


@app.command()
def api(
    port: Annotated[int, typer.Option(help="Where to listen, on loopback.")] = 8502,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
) -> None:
    """Webhooks and health on their own, apart from console and worker."""
    from core.serving import serve_processes  # noqa: PLC0415

    _refuse_taken("127.0.0.1", port)
    with _console(worker=False):
        # opened once before the others, so that the schema is up to date and a fault is told once
        pass
    serve_processes("core.api:ingress_of_this_process", port=port, count=workers)


@app.command()
def parse(  # noqa: PLR0913 - the options of the command
    files: Annotated[
        list[str], typer.Argument(help="Documents: files, or links that LlamaParse fetches.")
    ],
    mode: Annotated[str, typer.Option(help="mock, real or hybrid; else the mode in force.")] = "",
    tier: Annotated[
        str, typer.Option(help="fast, cost_effective, agentic or agentic_plus.")
    ] = "agentic",
    out: Annotated[Path, typer.Option(help="Folder for STEM.md and STEM.json.")] = Path(),
    max_pages: Annotated[
        int,
        typer.Option(
            min=1,
            max=1000,
            help="Of what has no page count (a link, some office files), at most so many pages: its price.",
        ),
    ] = 100,
    as_json: _Json = False,
    team: Annotated[str, typer.Option(help="The team that it is booked on.")] = "",
    quote: Annotated[bool, typer.Option("--quote", help="Only say what it would cost.")] = False,
    max_usd: Annotated[
        str, typer.Option(help="Do nothing if it would cost more dollars than this.")
    ] = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until held documents have started and ended.")
    ] = False,
) -> None:
    """Parse documents and write their markdown; exit 0 only if all were parsed, 3 when some are held."""
    from core.cli.parse import Wishes, parse_files  # noqa: PLC0415
    from core.domain.money import Tier  # noqa: PLC0415
    from core.domain.routing import Mode  # noqa: PLC0415

    tier_ = _choice(Tier, tier, "--tier")
    mode_ = _choice(Mode, mode, "--mode") if mode else None
    out.mkdir(parents=True, exist_ok=True)
    with _console(worker=False) as console:
        wishes = Wishes(tier_, mode_, team, max_usd, max_pages, quote_only=quote, wait=wait)
        code = parse_files(console, files, wishes, out, as_json=as_json)
    raise typer.Exit(code)


@app.command()
def simulator(
    port: Annotated[int, typer.Option(help="Where to listen, on loopback.")] = 9700,
    api_key: Annotated[str, typer.Option(help="Accept only this key.")] = "",
    webhook_secret: Annotated[
        str, typer.Option(help="Sign the events of jobs that bring no secret.")
    ] = "",
    fault: Annotated[
        list[str] | None,
        typer.Option(help="NAME=NUMBER[@OPERATION], such as lost_answer=0.3@submit."),
    ] = None,
    seed: Annotated[str, typer.Option(help="Draw ids and faults from this seed.")] = "",
) -> None:
    """The LlamaCloud look-alike on its own; PUT /__simulator/faults changes its faults."""
    import uvicorn  # noqa: PLC0415

    from core.engines.local import LocalEngine  # noqa: PLC0415
    from core.serving import server_config  # noqa: PLC0415
    from core.settings import Settings  # noqa: PLC0415
    from core.simulator import SimulatorConfig, create_simulator  # noqa: PLC0415

    folder = Settings.load().data_dir / "simulator-alone"
    folder.mkdir(parents=True, exist_ok=True)
    local = LocalEngine()
    try:
        config = SimulatorConfig(
            seed=seed, api_key=api_key, webhook_secret=webhook_secret, faults=tuple(fault or ())
        )
        try:
            look_alike = create_simulator(
                config, folder, local.read, page_image=local.page_image, figures=local
            )
        except ValueError as error:
            raise ConsoleError(str(error)) from error
        typer.echo(f"The simulator listens on http://127.0.0.1:{port}")
        uvicorn.Server(server_config(look_alike, port=port)).run()
    finally:
        local.close_workers()


@app.command()
def doctor(
    live: Annotated[
        bool, typer.Option("--live", help="Parse one page for real, after showing its price.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --live: do not ask.")] = False,
    wait: Annotated[float, typer.Option(help="With --live: seconds to wait for the bill.")] = 120,
    as_json: _Json = False,
) -> None:
    """What is configured, reachable, missing, and what to do; exit 1 when something is broken."""
    if live:
        _first_contact(wait, yes=yes, as_json=as_json)
    with _console(worker=False) as console:
        facts = console.setup.facts()
    if as_json:
        typer.echo(json.dumps([fact.as_json() for fact in facts], indent=2))
    for fact in facts if not as_json else []:
        typer.echo(f"{fact.grade:8} {fact.topic}: {fact.what} {fact.next_step}".rstrip())
    raise typer.Exit(1 if any(fact.grade == "problem" for fact in facts) else 0)


@app.command()
def mode(
    to: Annotated[
        str, typer.Argument(help="real, mock or hybrid; empty shows the present one.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    as_json: _Json = False,
) -> None:
    """Show or switch the mode, for all processes."""
    from core.console import local_actor  # noqa: PLC0415
    from core.domain.routing import Mode  # noqa: PLC0415

    with _console(worker=False) as console:
        if to:
            console.modes.switch(_choice(Mode, to, "MODE"), local_actor(), reason)
        current = console.modes.current().value
    typer.echo(json.dumps({"mode": current}) if as_json else current)


@jobs_app.callback()
def jobs_list(context: typer.Context, as_json: _Json = False) -> None:
    """The newest jobs."""
    if context.invoked_subcommand is not None:
        return
    from core.store.jobs import JobFilter  # noqa: PLC0415

    with _console(worker=False) as console:
        page = console.jobs.find(JobFilter(), limit=50)
    _print_jobs(page.jobs, as_json=as_json)


@jobs_app.command()
def show(job_id: str, as_json: _Json = False) -> None:
    """One job and its timeline."""
    from core.domain import times  # noqa: PLC0415

    with _console(worker=False) as console:
        view, zone = console.jobs.view(job_id), console.rules().timezone
    if as_json:
        entries = [
            {
                "at": e.at.isoformat(),
                "subject": e.subject,
                "before": e.before,
                "after": e.after,
                "actor": e.actor,
                "cause": e.cause,
            }
            for e in view.timeline
        ]
        typer.echo(json.dumps({**_job_facts(view.job), "timeline": entries}, indent=2))
        return
    _print_jobs((view.job,), as_json=False)
    for entry in view.timeline:
        typer.echo(
            f"  {times.exact(entry.at, zone)} {entry.subject} {entry.before}>{entry.after} · {entry.cause} · {entry.actor}"
        )


@jobs_app.command()
def retry(job_ids: list[str], as_json: _Json = False) -> None:
    """Parse failed, cancelled or held jobs again."""
    from core.console import local_actor  # noqa: PLC0415

    with _console(worker=False) as console:
        _print_jobs(console.jobs.retry(job_ids, local_actor()), as_json=as_json)


@jobs_app.command()
def cancel(job_ids: list[str]) -> None:
    """Stop unfinished jobs."""
    from core.console import local_actor  # noqa: PLC0415

    with _console(worker=False) as console:
        console.jobs.cancel(job_ids, local_actor())
    typer.echo("Asked to stop.")


def _first_contact(wait_s: float, *, yes: bool, as_json: bool) -> None:
    from dataclasses import asdict  # noqa: PLC0415

    from core.console import local_actor  # noqa: PLC0415

    with _console(worker=False) as console:
        contact = console.first_contact
        quote = contact.quote()
        price = f"{quote.credits} credits, ${quote.usd:.4f}"
        what = f"One page is parsed for real at {console.settings.base_url}: {price}."
        typer.echo(what, err=True)
        if not yes and not typer.confirm("Go on?", err=True):
            typer.echo("Nothing was sent.", err=True)
            raise typer.Exit(1)
        if not console.has_worker():
            console.run_worker()
        facts = contact.run(quote, local_actor(), billed_within_s=wait_s)
    if as_json:
        typer.echo(json.dumps([asdict(fact) for fact in facts], indent=2))
    for fact in facts if not as_json else []:
        typer.echo(f"{fact.verdict:10} {fact.topic}: {fact.what}")
    raise typer.Exit(1 if any(fact.verdict == "different" for fact in facts) else 0)


def _announce(console: "Console", host: str, port: int) -> None:
    current = console.modes.current()
    typer.echo(f"Parsedeck is at http://{host}:{port} in {current.value.upper()} mode.")
    if current == "mock":
        typer.echo("Simulated: no money is spent, results are made locally.")
    typer.echo(f"Webhooks for a tunnel: {console.ingress_url}")
    if not console.settings.sends_webhooks:
        typer.echo(
            "REAL is polling only: no public HTTPS address with a webhook secret is configured."
        )
    for override in console.setup.overrides():
        typer.echo(override.words)
    typer.echo(f"Data and log: {console.settings.data_dir}", err=False)


def _refuse_taken(host: str, *ports: int) -> None:
    import socket  # noqa: PLC0415

    for port in ports:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                raise ConsoleError(
                    f"Port {port} is taken.",
                    "Stop what uses it, or choose another with --port or --ingress-port.",
                ) from None


def _job_facts(job: "Job") -> dict[str, object]:
    return {
        "id": job.id,
        "document": job.name,
        "status": job.status.value,
        "mode": job.mode.value,
        "tier": job.options.tier.value,
        "pages": job.page_count,
        "estimated_usd": str(job.estimated_usd),
        "billed_credits": job.billed_credits,
        "reason": job.reason,
        "next_step": job.next_step,
        "created_at": job.created_at.isoformat(),
    }


def _print_jobs(jobs: "tuple[Job, ...]", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_job_facts(job) for job in jobs], indent=2))
        return
    for job in jobs:
        typer.echo(
            f"{job.id}  {job.status.value:13} {job.mode.value:6} {job.name}  {job.reason}".rstrip()
        )
    if not jobs:
        typer.echo("No jobs yet.")
