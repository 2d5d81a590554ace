"""Receipts: why a document cost what it cost, from its quote to its bill."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from core.domain import times
from core.domain.counts import counted
from core.domain.jobs import Attempt, Job
from core.domain.money import PriceBook, PriceKind, usd_from_micros
from core.domain.routing import Mode
from core.domain.speaker import told_of
from core.pipeline.driving.timing import BILL_WAITS
from core.pipeline.terms import Rules
from core.store import Store, documents, jobs, ledger, prices
from core.store.ledger import NEVER_BILLED, Entry
from core.store.prices import PriceChange

__all__ = ["Receipt", "ReceiptLine", "Receipts"]

_NOT_YET = "LlamaParse has not billed it yet; the reservation stays until it does, and"
_CAUSES = {
    "cached": "LlamaParse had the result in its cache: nothing was billed.",
    "failed": "It failed; what LlamaParse billed for it is settled, the rest was released.",
    "cancelled": "It was cancelled; what LlamaParse billed for it is settled, the rest was released.",
    "repeat": "The same pages were paid at this tier before: this was paid again.",
}


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """One attempt: pages times credits times a dated rate; then what was reported and billed."""

    generation: int
    engine: str
    tier: str
    pages: int
    credits_per_page: int | None
    usd_per_credit: Decimal | None
    priced_from: date | None
    reserved_credits: int
    reserved_usd: Decimal
    reported_credits: int | None
    billed_credits: int | None
    billed_usd: Decimal | None
    outcome: str
    adjustments: tuple[tuple[datetime, int, str], ...]
    approval_id: int | None
    is_assumed: bool = False
    credits_per_sheet: int = 0

    @property
    def _how(self) -> str:
        return "never billed, taken as" if self.is_assumed else "billed"

    @property
    def words(self) -> str:
        """One line for the terminal and the screen."""
        pages = counted(self.pages, "sheet" if self.credits_per_sheet else "page")
        if self.engine == "local":
            return f"{pages} by the local engine: free"
        per_page = "?" if self.credits_per_page is None else f"{self.credits_per_page}"
        if self.credits_per_sheet:
            per_page = f"({per_page} + {self.credits_per_sheet})"
        rate = "?" if self.usd_per_credit is None else f"${self.usd_per_credit.normalize():f}"
        since = "" if self.priced_from is None else f" (price from {self.priced_from.isoformat()})"
        billed = (
            "not billed yet"
            if self.billed_credits is None
            else f"{self._how} {self.billed_credits:,} credits, ${self.billed_usd}"
        )
        return (
            f"{pages} x {per_page} credits x {rate}{since} = "
            f"{self.reserved_credits:,} credits, ${self.reserved_usd} reserved; {billed}"
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """A job's lines, its quote, its bill, and each cause of a difference between them."""

    job_id: str
    name: str
    is_simulated: bool
    quoted_credits: int
    quoted_usd: Decimal
    lines: tuple[ReceiptLine, ...]
    causes: tuple[str, ...]

    @property
    def billed_usd(self) -> Decimal | None:
        """Dollars billed so far; None while any line is not billed yet."""
        billed = [line.billed_usd for line in self.lines]
        known = [usd for usd in billed if usd is not None]
        return sum(known, Decimal(0)) if len(known) == len(billed) else None

    @property
    def billed_words(self) -> str:
        """The bill in words."""
        return "not known yet" if self.billed_usd is None else f"${self.billed_usd}"

    def as_json(self) -> dict[str, object]:
        """For scripts: money as text, so that no digit is lost."""
        return {
            "job": self.job_id,
            "document": self.name,
            "simulated": self.is_simulated,
            "quoted_credits": self.quoted_credits,
            "quoted_usd": str(self.quoted_usd),
            "billed_usd": None if self.billed_usd is None else str(self.billed_usd),
            "lines": [
                {
                    "generation": line.generation,
                    "engine": line.engine,
                    "tier": line.tier,
                    "pages": line.pages,
                    "credits_per_page": line.credits_per_page,
                    "credits_per_sheet": line.credits_per_sheet,
                    "usd_per_credit": None
                    if line.usd_per_credit is None
                    else str(line.usd_per_credit),
                    "priced_from": line.priced_from.isoformat() if line.priced_from else None,
                    "reserved_credits": line.reserved_credits,
                    "reported_credits": line.reported_credits,
                    "billed_credits": line.billed_credits,
                    "billed_usd": None if line.billed_usd is None else str(line.billed_usd),
                    "taken_as_quoted": line.is_assumed,
                    "outcome": line.outcome,
                }
                for line in self.lines
            ],
            "causes": list(self.causes),
        }


class Receipts:
    """Reads the ledger job by job."""

    def __init__(self, store: Store, rules: Callable[[], Rules]) -> None:
        self._store = store
        self._rules = rules

    def of_job(self, job_id: str) -> Receipt:
        """The receipt of a job. Raises ``NotFound``."""
        zone = self._rules().timezone
        with self._store.read() as tx:
            job = jobs.job(tx, job_id)
            attempts = {attempt.id: attempt for attempt in jobs.attempts(tx, job_id)}
            entries = ledger.entries_of(tx, job_id)
            book = {change.id: change for change in prices.history(tx)}
            document = documents.find(tx, job.document_sha256)
            sheets = prices.book(tx) if document is not None and document.has_sheets else None
        ids = dict.fromkeys(e.attempt_id for e in entries if e.kind == "reserve")
        lines = tuple(
            _line(
                [e for e in entries if e.attempt_id == attempt_id],
                attempts.get(attempt_id),
                book,
                sheets,
            )
            for attempt_id in ids
        )
        return Receipt(
            job.id,
            job.name,
            job.mode is Mode.MOCK,
            job.estimated_credits,
            job.estimated_usd.normalize(),
            lines,
            tuple(told_of(c, simulated=job.mode is Mode.MOCK) for c in _causes(job, lines, zone)),
        )


def _line(
    entries: Sequence[Entry],
    attempt: Attempt | None,
    book: dict[int, PriceChange],
    sheets: PriceBook | None,
) -> ReceiptLine:
    first = entries[0]
    day = date.fromisoformat(first.day)
    sheet = sheets.entry(PriceKind.SHEET, day) if sheets is not None else None
    ended = [e for e in entries if e.kind in {"settle", "release"}]
    adjusted = [e for e in entries if e.kind == "adjust"]
    page, credit = book.get(first.page_price_id or 0), book.get(first.credit_price_id or 0)
    dates = [change.valid_from for change in (page, credit) if change is not None]
    settled = [*ended, *adjusted]
    return ReceiptLine(
        generation=attempt.generation if attempt else 1,
        engine=first.engine,
        tier=first.tier,
        pages=ended[0].pages if ended else first.pages,
        credits_per_page=int(page.amount) if page and page.amount is not None else None,
        usd_per_credit=credit.amount if credit and credit.kind is PriceKind.CREDIT else None,
        priced_from=max(dates, default=None),
        reserved_credits=first.reserved_credits,
        reserved_usd=usd_from_micros(first.reserved_micros).normalize(),
        reported_credits=attempt.reported_credits if attempt else None,
        billed_credits=sum(e.settled_credits for e in settled) if ended else None,
        billed_usd=usd_from_micros(sum(e.settled_micros for e in settled)).normalize()
        if ended
        else None,
        outcome=ended[0].outcome if ended else "open",
        adjustments=tuple((e.at, e.settled_credits, e.cause) for e in adjusted),
        approval_id=first.approval_id,
        is_assumed=bool(ended) and ended[0].cause == NEVER_BILLED and not adjusted,
        credits_per_sheet=int(sheet.amount or 0) if sheet is not None else 0,
    )


def _causes(job: Job, lines: Sequence[ReceiptLine], zone: str) -> list[str]:
    found = []
    for line in lines:
        if line.outcome in _CAUSES:
            found.append(_CAUSES[line.outcome])
        if line.approval_id is not None:
            found.append(f"It passed the limit by approval {line.approval_id}.")
        if line.billed_credits is None:
            found.append(f"{_NOT_YET} after {BILL_WAITS.days} days it is taken as quoted.")
        elif line.is_assumed:
            found.append(
                f"LlamaParse never billed it: after {BILL_WAITS.days} days it was taken as quoted. A bill"
                " that comes after all is adjusted."
            )
        elif line.outcome in {"done", "repeat"}:
            found += _difference(line)
        for at, credits_, cause in line.adjustments:
            found.append(f"Adjusted on {times.day(at, zone)} by {credits_:+,} credits: {cause}.")
    paid = [line for line in lines if line.engine != "local"]
    if len({line.generation for line in paid}) > 1:
        found.append(f"It was sent in {len(paid)} attempts; each is billed on its own.")
    if lines and sum(line.reserved_credits for line in lines[:1]) != job.estimated_credits:
        found.append("The reservation was made at another price or plan than the first quote.")
    return list(dict.fromkeys(found))


def _difference(line: ReceiptLine) -> list[str]:
    billed, reserved = line.billed_credits or 0, line.reserved_credits
    if billed == reserved or line.credits_per_page is None or line.engine == "local":
        return []
    each = line.credits_per_page + line.credits_per_sheet
    by_page = line.pages * each
    if billed == by_page:
        return [f"It had {line.pages} pages, not as many as were quoted."]
    more = "more" if billed > reserved else "less"
    words = f"LlamaParse billed {abs(billed - reserved):,} credits {more} than {line.pages} pages"
    return [f"{words} at {each} come to: options, simpler pages, an older price."]
