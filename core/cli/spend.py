"""``parsedeck spend``: what was spent, on what, under which limits; and changing them."""

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.common import Json, choice, opened_console
from core.errors import ConsoleError

if TYPE_CHECKING:
    from core.console import Console
    from core.domain.budgets import LimitUse
    from core.services.receipts import Receipt

__all__ = ["app"]

app = typer.Typer(
    help="What was spent, on what, and the limits.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
)
_Mode = Annotated[str, typer.Option(help="mock, real or hybrid; else the mode in force.")]
_Reason = Annotated[str, typer.Option(help="Why, for the record.")]


@app.callback()
def today(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="team, actor, tier, engine, service or outcome.")] = "",
    days: Annotated[int, typer.Option(help="With --by: so many days up to today.")] = 1,
    as_json: Json = False,
) -> None:
    """What was spent today, and what is left; with --by, who or what it went to."""
    if context.invoked_subcommand is not None:
        return
    with opened_console() as console:
        facts = _by(console, by, days) if by else _today(console)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    note = " (simulated)" if facts["simulated"] else ""
    if by:
        typer.echo(f"Settled in {days} day{'' if days == 1 else 's'}{note}:")
        for row in facts["rows"]:  # type: ignore[attr-defined]
            typer.echo(f"  {row['value'] or 'none':20} ${row['settled_usd']}  {row['pages']} pages")
        return
    typer.echo(f"Today{note}: ${facts['settled_usd']} settled, ${facts['reserved_usd']} reserved")


@app.command()
def limits(mode: _Mode = "", as_json: Json = False) -> None:
    """Every limit, and what is used and left of it."""
    from core.services.limits import limit_words  # noqa: PLC0415

    with opened_console() as console:
        lines = console.limits.lines(_mode(console, mode))
    facts = [_limit_facts(line.use) for line in lines]
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for line, fact in zip(lines, facts, strict=True):
        words = limit_words(*line.use.limit.key)
        typer.echo(f"{fact['limit']:>12} {words}: {fact['used']} used, {fact['left']} left")


@app.command("set-limit")
def set_limit(  # noqa: PLR0913 - the command's options
    amount: Annotated[str, typer.Argument(help="Such as 25, or none for no limit.")],
    window: Annotated[str, typer.Option(help="hour, day or month.")] = "day",
    unit: Annotated[str, typer.Option(help="usd or submits.")] = "usd",
    scope: Annotated[str, typer.Option(help="all, service:llamaparse or team:NAME.")] = "all",
    reason: _Reason = "",
    hours: Annotated[float, typer.Option(help="Only for so many hours; 0: until changed.")] = 0,
    mode: _Mode = "",
) -> None:
    """Change a limit, for real or simulated money."""
    from core.console import local_actor  # noqa: PLC0415
    from core.domain.budgets import Unit, Window  # noqa: PLC0415

    key = (scope, choice(Window, window, "--window"), choice(Unit, unit, "--unit"))
    wanted = None if amount.lower() == "none" else amount
    with opened_console() as console:
        said = console.limits.change(
            _mode(console, mode), key, wanted, local_actor(), reason, hours=hours or None
        )
    typer.echo(said or "Stored.")


@app.command("add-team")
def add_team(name: str) -> None:
    """A new team that work can be booked on."""
    from core.console import local_actor  # noqa: PLC0415

    with opened_console() as console:
        console.limits.add_team(name, local_actor())
        typer.echo(", ".join(console.limits.teams()))


@app.command()
def approve(job_ids: list[str], reason: _Reason = "") -> None:
    """Let held jobs pass the limits, once, on record."""
    from core.console import local_actor  # noqa: PLC0415

    with opened_console() as console:
        for job in console.holds.approve(job_ids, reason, local_actor()):
            typer.echo(f"{job.id}  {job.status.value}  {job.name}")


@app.command()
def refuse(job_ids: list[str], reason: _Reason = "") -> None:
    """Say no to what was asked for held jobs, on record; they go on waiting."""
    from core.console import local_actor  # noqa: PLC0415

    with opened_console() as console:
        console.holds.refuse(job_ids, reason, local_actor())
    typer.echo("Refused: they wait for room.")


@app.command()
def asked(as_json: Json = False) -> None:
    """What waits for a lead: who asked to let which job pass, and why."""
    with opened_console() as console:
        found = console.holds.asked()
    facts = [
        {
            "job": one.job.id,
            "document": one.job.name,
            "simulated": one.job.mode == "mock",
            "usd": str(one.job.estimated_usd),
            "actor": one.actor,
            "why": one.note,
            "at": one.at.isoformat(),
        }
        for one in found
    ]
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for fact in facts:
        note = " simulated" if fact["simulated"] else ""
        why = fact["why"] or "no reason given"
        typer.echo(
            f"{fact['job']}  ${fact['usd']}{note}  {fact['document']}  {fact['actor']}: {why}"
        )
    if not facts:
        typer.echo("Nobody waits for a lead.")


@app.command()
def job(job_id: str, as_json: Json = False) -> None:
    """The receipt of one job: why it cost what it cost."""
    with opened_console() as console:
        receipt = console.receipts.of_job(job_id)
    if as_json:
        typer.echo(json.dumps(receipt.as_json(), indent=2))
        return
    _print_receipt(receipt)


@app.command()
def statement(
    month: Annotated[str, typer.Option(help="Such as 2026-11; else this month.")] = "",
    mode: _Mode = "",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line per item, for a table.")] = False,
) -> None:
    """The month by tier, the plan's fee and credits, and what goes beyond."""
    from core.domain.routing import Mode  # noqa: PLC0415

    with opened_console() as console:
        bill = console.statements.of(Mode(_mode(console, mode)), console.statements.month_of(month))
    if as_json:
        typer.echo(json.dumps(bill.as_json(), indent=2))
        return
    if as_csv:
        typer.echo(bill.frame().to_csv(index=False), nl=False)
        return
    note = " (simulated)" if bill.is_simulated else ""
    typer.echo(f"{bill.month:%B %Y}, plan {bill.plan}{note}")
    for line in bill.lines:
        typer.echo(f"  {line.tier}: {line.pages:,} pages, {line.credits:,} credits")
    typer.echo(
        f"  {bill.credits:,} credits, {bill.included:,} included, {bill.over_credits:,} beyond"
    )
    typer.echo(f"  fee ${bill.fee_usd}, beyond ${bill.over_usd}: ${bill.total_usd} in all")


def _print_receipt(receipt: "Receipt") -> None:
    note = " (simulated)" if receipt.is_simulated else ""
    typer.echo(f"{receipt.name}{note}")
    for line in receipt.lines:
        typer.echo(f"  {line.words}")
    typer.echo(f"  quoted ${receipt.quoted_usd}, billed {receipt.billed_words}")
    for cause in receipt.causes:
        typer.echo(f"  {cause}")


def _today(console: "Console") -> dict[str, object]:
    mode = console.modes.current()
    facts = console.spend.today(mode)
    return {
        "mode": mode.value,
        "simulated": mode == "mock",
        "settled_usd": f"{facts.settled_usd:.4f}",
        "reserved_usd": f"{facts.reserved_usd:.4f}",
        "credits": facts.credits,
        "limits": [_limit_facts(use) for use in facts.limits],
    }


def _by(console: "Console", by: str, days: int) -> dict[str, object]:
    from core.store.rollups import DIMENSIONS  # noqa: PLC0415

    if by not in DIMENSIONS:
        raise ConsoleError(f"--by {by!r} is not known.", f"Use one of {', '.join(DIMENSIONS)}.")
    if not 1 <= days <= 366:  # noqa: PLR2004 - a year
        raise ConsoleError(f"--days {days} is not possible.", "Choose 1 to 366.")
    mode = console.modes.current()
    table = console.reports.spend(mode, days, by).drivers
    rows = [
        {
            "value": row["value"],
            "settled_usd": f"{row['settled_usd']:.4f}",
            "reserved_usd": f"{row['reserved_usd']:.4f}",
            "credits": int(row["credits"]),
            "pages": int(row["pages"]),
            "submits": int(row["submits"]),
        }
        for row in table.to_dict("records")
    ]
    return {"mode": mode.value, "simulated": mode == "mock", "by": by, "days": days, "rows": rows}


def _limit_facts(use: "LimitUse") -> dict[str, str]:
    is_usd = use.limit.unit == "usd"

    def shown(amount: int) -> str:
        return str(Decimal(amount) / 1_000_000) if is_usd else str(amount)

    return {
        "scope": use.limit.scope,
        "window": use.limit.window.value,
        "unit": use.limit.unit.value,
        "limit": shown(use.limit.amount),
        "settled": shown(use.settled),
        "reserved": shown(use.reserved),
        "used": shown(use.used),
        "left": shown(use.left),
    }


def _mode(console: "Console", mode: str) -> str:
    from core.domain.routing import Mode  # noqa: PLC0415

    return choice(Mode, mode, "--mode") if mode else console.modes.current()
