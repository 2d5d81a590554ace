"""Limits, prices and quotes as people change and read them, on both databases."""

import io
import zipfile
from datetime import date, timedelta
from decimal import Decimal

import pytest

from core.console import Console
from core.domain.budgets import Unit, Window
from core.domain.jobs import JobStatus
from core.domain.money import PriceKind, Tier
from core.domain.routing import Mode
from core.errors import ConsoleError, NotAllowed, Overtaken
from core.services.quotes import limit_shares, share_sentence
from core.store import jobs, prices
from tests.factories import ALICE, finished, submitted, wait_until
from tests.money.office import DAILY, Maker

HOURLY = ("all", Window.HOUR, Unit.SUBMITS)


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("-5", "above zero"),
        ("0", "above zero"),
        ("ten", "not a number"),
        ("", "not a number"),
        ("1e12", "is no limit"),
        ("Infinity", "is no limit"),
        ("NaN", "is no limit"),
        ("0.0000001", "six decimals"),
    ],
)
def test_wrong_amounts_change_nothing_and_say_why(
    make_console: Maker, amount: str, words: str
) -> None:
    """Negative, zero, absurd and non-numeric limits are refused with what to write instead."""
    console = make_console()
    with pytest.raises(NotAllowed, match=words):
        console.limits.change("real", DAILY, amount, ALICE, "try")
    assert console.limits.history("real") == ()


def test_half_a_submit_is_refused(make_console: Maker) -> None:
    """Submits are whole."""
    with pytest.raises(NotAllowed, match="whole numbers"):
        make_console().limits.change("real", HOURLY, "1.5", ALICE, "try")


def test_a_change_needs_a_reason_and_a_scope_that_exists(make_console: Maker) -> None:
    """Nobody changes a limit without saying why, or for a team that there is not."""
    console = make_console()
    with pytest.raises(NotAllowed, match="reason"):
        console.limits.change("real", DAILY, "5", ALICE, " ")
    with pytest.raises(NotAllowed, match="team:none"):
        console.limits.change("real", ("team:none", *DAILY[1:]), "5", ALICE, "try")
    console.limits.add_team("  Sales  EMEA ", ALICE)
    console.limits.change("real", ("team:Sales EMEA", *DAILY[1:]), "5", ALICE, "try")
    assert console.limits.lines("real")[-1].use.limit.scope == "team:Sales EMEA"


def test_a_limit_under_what_is_spent_is_stored_with_a_warning(make_console: Maker) -> None:
    """A limit below what is used already stops new work, and whoever sets it is told so."""
    console = make_console()
    submitted(console, {"a.txt": b"one"})
    said = console.limits.change("mock", DAILY, "0.01", ALICE, "stop")
    assert "nothing new starts until" in said
    held = submitted(console, {"b.txt": b"two"}, key="press-2").job_ids[0]
    assert console.jobs.view(held).job.status is JobStatus.HELD


def test_the_second_of_two_leads_is_told_and_overwrites_nothing(make_console: Maker) -> None:
    """Two leads open the editor; the later one reads who was quicker, and decides again."""
    console = make_console()
    seen = console.limits.lines("real")[0].revision
    console.limits.change("real", HOURLY, "7", ALICE, "first", seen_revision=seen)
    with pytest.raises(Overtaken, match=r"alice.*first"):
        console.limits.change("real", HOURLY, "9", ALICE, "second", seen_revision=seen)
    assert console.limits.lines("real")[0].use.limit.amount == 7


def test_simulated_limits_are_a_copy_of_their_own(make_console: Maker) -> None:
    """Trying a limit in MOCK changes nothing for real money."""
    console = make_console()
    console.limits.change("mock", DAILY, "1", ALICE, "try")
    real = console.limits.lines("hybrid")[1].use.limit
    assert (real.window, real.amount) == (Window.DAY, 10_000_000)


def test_a_raise_for_some_hours_ends_by_itself(make_console: Maker) -> None:
    """After its hours the limit from before holds again; the raise stays on record."""
    console = make_console()
    console.limits.change("mock", DAILY, "50", ALICE, "quarter end", hours=2)
    assert console.limits.lines("mock")[1].use.limit.amount == 50_000_000
    now = console.clock()
    console.limits._clock = lambda: now + timedelta(hours=3)
    assert console.limits.lines("mock")[1].use.limit.amount == 10_000_000
    assert console.limits.history("mock")[0].expires_at is not None


@pytest.mark.parametrize("hours", [0, -1, 10_000, float("nan")])
def test_a_raise_has_a_sensible_end(make_console: Maker, hours: float) -> None:
    """No raise for no time, or for ever."""
    with pytest.raises(NotAllowed, match="hours"):
        make_console().limits.change("mock", DAILY, "50", ALICE, "x", hours=hours)


def _add_price(console: Console, amount: str | None, tier: Tier = Tier.AGENTIC) -> None:
    console.prices.add(PriceKind.PAGE, tier, amount, console.prices.today(), ALICE, "their page")


@pytest.mark.parametrize(
    ("amount", "words"), [("x", "not a number"), ("-1", "no price"), ("1.5", "whole credits")]
)
def test_wrong_prices_are_refused(make_console: Maker, amount: str, words: str) -> None:
    """A price that cannot be is not stored."""
    with pytest.raises(NotAllowed, match=words):
        _add_price(make_console(), amount)


def test_what_was_quoted_on_a_day_that_is_over_keeps_its_price(make_console: Maker) -> None:
    """No price can be changed in hindsight."""
    console = make_console()
    with pytest.raises(NotAllowed, match="is over"):
        console.prices.add(PriceKind.PAGE, Tier.FAST, "2", date(2026, 1, 1), ALICE, "x")


def test_without_a_price_nothing_is_spent_and_the_quote_says_so(make_console: Maker) -> None:
    """A tier without a price makes no job; what waits on it is held with what to do."""
    console = make_console(worker=False)
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    before = console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK)
    _add_price(console, None)
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK)
    assert quote.parsable == ()
    assert "Nothing is spent unquoted" in quote.lines[0].note
    with pytest.raises(NotAllowed, match="price book changed"):
        console.submissions.submit(before, ALICE, "late press")
    assert console.jobs.counts() == {}
    fast = console.submissions.quote([upload], Tier.FAST, Mode.MOCK)
    assert fast.usd == Decimal("0.00125")


def test_a_retry_at_a_tier_without_a_price_is_held(make_console: Maker) -> None:
    """What was begun at a price is not begun again without one."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    console.jobs.cancel([job_id], ALICE)
    _add_price(console, None)
    job = console.jobs.retry([job_id], ALICE)[0]
    assert (job.status, "has no price" in job.reason) == (JobStatus.HELD, True)


def test_a_quote_says_what_it_takes_of_each_limit(make_console: Maker) -> None:
    """The share of what is left, of every limit that the work counts in, the team's too."""
    console = make_console()
    console.limits.add_team("sales", ALICE)
    console.limits.add_team("legal", ALICE)
    for team in ("sales", "legal"):
        console.limits.change("mock", (f"team:{team}", *DAILY[1:]), "0.05", ALICE, "x")
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK, team="sales")
    shares = {use.limit.scope: share for use, _asked, share in limit_shares(quote)}
    assert shares["team:sales"] == pytest.approx(0.25)
    assert "team:legal" not in shares


def test_the_limit_that_is_passed_is_the_one_that_is_named(make_console: Maker) -> None:
    """Beside plenty left for all, the little that a team has is what the operator reads, before the press."""
    console = make_console()
    console.limits.add_team("sales", ALICE)
    console.limits.change("mock", ("team:sales", *DAILY[1:]), "0.0124", ALICE, "x")
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))

    def said(team: str) -> str:
        return share_sentence(
            console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK, team=team)
        )

    assert said("") == "This takes $0.01 of the $10.00 left today."
    words = "This takes $0.0125, but only $0.0124 of today's limit for the team sales is left: what does not fit is held."
    assert said("sales") == words
    console.limits.change("mock", ("team:sales", *DAILY[1:]), "5", ALICE, "x")
    assert said("sales") == said("")
    console.limits.change("mock", DAILY, "0.01", ALICE, "x")
    assert "only $0.01 of today's limit is left" in said("sales")


def test_a_team_that_does_not_exist_is_refused(make_console: Maker) -> None:
    """Work is booked on a team of the list or on none; nothing is made otherwise."""
    console = make_console()
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.FAST, Mode.MOCK, team="nobody")
    with pytest.raises(NotAllowed, match="nobody"):
        console.submissions.submit(quote, ALICE, "press")
    assert console.jobs.counts() == {}


def test_a_second_parse_within_two_days_is_likely_free(make_console: Maker) -> None:
    """The service keeps results for 48 hours: the quote says so where real money is asked for."""
    console = make_console(api_key="llx-test")
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    first = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
    job_id = console.submissions.submit(first, ALICE, "press").job_ids[0]
    with console.store.write() as tx:
        for after in (JobStatus.PARSING, JobStatus.PARSED, JobStatus.COMPLETE):
            jobs.change_job(tx, job_id, after, ALICE, "t", console.clock())
    again = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL, parse_again=True)
    assert "likely 0 credits" in again.lines[0].note
    assert again.usd == first.usd


def test_when_the_ledger_cannot_be_read_nothing_is_spent(make_console: Maker) -> None:
    """Fail closed: without a ledger no job is made, and the message says what to do."""
    console = make_console()
    upload = console.submissions.preflight("a.txt", io.BytesIO(b"words"))
    quote = console.submissions.quote([upload], Tier.FAST, Mode.MOCK)
    with console.store.write() as tx:
        from sqlalchemy import text  # noqa: PLC0415

        tx.execute(text("ALTER TABLE ledger RENAME TO lost_ledger"))
    with pytest.raises(ConsoleError, match="Nothing was"):
        console.submissions.submit(quote, ALICE, "press")
    assert console.jobs.counts() == {}


def test_a_retry_reserves_what_a_page_costs_now(make_console: Maker) -> None:
    """After a price went up, a document that is begun again takes the new price out of the limits."""
    console = make_console()
    job_id = submitted(console, {"a.txt": b"one"}).job_ids[0]
    console.jobs.cancel([job_id], ALICE)
    _add_price(console, "20")
    console.jobs.retry([job_id], ALICE)
    use = console.spend.today(Mode.MOCK).use(Window.DAY, Unit.USD)
    assert use is not None
    assert use.used == 25_000


def test_pages_are_not_ordered_again_at_a_price_nobody_saw(make_console: Maker) -> None:
    """When a page costs more than was shown, the order says so and spends nothing."""
    console = make_console(worker=True)
    job = finished(console, submitted(console, {"a.txt": b"one"}).id).jobs[0]
    wanted = console.again.at_tier(job, [1], Tier.AGENTIC)
    _add_price(console, "20")
    with pytest.raises(NotAllowed, match="price book changed"):
        console.again.order(wanted, ALICE)
    assert console.jobs.view(job.id).job.generation == 1


def test_a_sheet_is_priced_reserved_billed_and_on_the_receipt(make_console: Maker) -> None:
    """A spreadsheet costs a credit a sheet on top: in the quote, the reservation, the bill and the receipt."""
    console = make_console(worker=True)
    upload = console.submissions.preflight("table.csv", io.BytesIO(b"a,b\n1,2\n"))
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.MOCK)
    assert (quote.credits, quote.usd) == (11, Decimal("0.01375"))
    assert quote.lines[0].by_tier[Tier.FAST] == Decimal("0.0025")
    submission = console.submissions.submit(quote, ALICE, "press")
    (job,) = finished(console, submission.id).jobs
    wait_until(lambda: console.jobs.view(job.id).job.billed_credits == 11)
    receipt = console.receipts.of_job(job.id)
    assert "1 sheet x (10 + 1) credits" in receipt.lines[0].words
    assert (receipt.quoted_credits, receipt.lines[0].reserved_credits) == (11, 11)
    assert receipt.causes == ()
    again = console.again.at_tier(job, [1], Tier.AGENTIC_PLUS)
    assert again.usd == Decimal("0.0575")


def test_a_workbook_is_quoted_by_its_sheets(make_console: Maker) -> None:
    """How many sheets a workbook has is read before it is parsed, and each is priced."""
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as archive:
        for number in (1, 2, 3):
            archive.writestr(f"xl/worksheets/sheet{number}.xml", "<worksheet/>")
    console = make_console(api_key="llx-test")
    upload = console.submissions.preflight("book.xlsx", book)
    quote = console.submissions.quote([upload], Tier.COST_EFFECTIVE, Mode.REAL)
    assert (upload.document.page_count, quote.credits) == (3, 3 * (3 + 1))


@pytest.mark.parametrize(("name", "credits_"), [("book.xlsx", 4 * 11), ("report.pdf", 4 * 10)])
def test_a_link_to_a_spreadsheet_reserves_its_sheets_at_the_ceiling(
    make_console: Maker, name: str, credits_: int
) -> None:
    """What is behind a link has as many sheets as pages may be ordered, and is priced so."""
    console = make_console(api_key="llx-test")
    upload = console.submissions.link(f"https://example.org/{name}?x=1", 4)
    quote = console.submissions.quote([upload], Tier.AGENTIC, Mode.REAL)
    assert quote.credits == credits_


def test_sound_is_not_taken_since_nobody_could_quote_it(make_console: Maker) -> None:
    """Neither as a file nor behind a link: it is billed by minutes that are not known before."""
    console = make_console(api_key="llx-test")
    sound = console.submissions.preflight("a.wav", io.BytesIO(b"RIFF\0\0\0\0WAVEfmt \0\0"))
    link = console.submissions.link("https://example.org/talk.MP3")
    quote = console.submissions.quote([sound, link], Tier.AGENTIC, Mode.REAL)
    assert quote.parsable == ()
    assert "by the minute" in link.document.problem
    assert all(line.note for line in quote.lines)


def test_the_price_book_shows_what_can_be_ordered_and_nothing_else(make_console: Maker) -> None:
    """A price that an earlier version stored for what is never ordered is not shown as holding."""
    console = make_console()
    with console.store.write() as tx:
        option = prices.PriceChange(
            kind=PriceKind.OPTION,
            key="forms=enrich",
            version="*",
            valid_from=date(2026, 1, 1),
            amount=Decimal(10),
            actor="system:migration",
            reason="built in",
            at=console.clock(),
        )
        prices.add(tx, option)
    kinds = {entry.kind for entry in console.prices.current()}
    assert {PriceKind.PAGE, PriceKind.SHEET} <= kinds
    assert PriceKind.OPTION not in kinds
    with pytest.raises(NotAllowed, match="no price"):
        console.prices.add(
            PriceKind.AUDIO_MINUTE, "*", "3", console.prices.today(), ALICE, "their page"
        )
