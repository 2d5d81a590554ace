"""The price before the button is pressed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf

from core.domain import times
from core.domain.budgets import EVERYTHING, Ask, LimitUse, Unit, Window, scopes_of, with_reserved
from core.domain.counts import counted
from core.domain.documents import Document, EngineName
from core.domain.jobs import Job
from core.domain.links import leads_here, leads_inside
from core.domain.money import (
    Price,
    Tier,
    usd_exact,
    usd_from_micros,
    usd_left,
    usd_to_micros,
    usd_words,
)
from core.domain.route_policy import RoutePolicy
from core.domain.routing import (
    MAX_PAGES_UNKNOWN,
    Mode,
    OtherEngine,
    RouteFacts,
    RoutePlan,
    plan_route,
)
from core.errors import PriceMissing

__all__ = [
    "VENDOR_CACHE",
    "Quote",
    "QuoteLine",
    "Upload",
    "is_over",
    "limit_shares",
    "quote_line",
    "share_sentence",
    "taken_by",
]

VENDOR_CACHE = timedelta(hours=48)
"""How long LlamaParse reuses a result of the same bytes and options, free (fact sheet, section 2.4)."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file or link that was handed over: its name, what pre-flight learned, what it repeats.

    ``max_pages`` is the ceiling chosen for a document of unknown length.
    """

    name: str
    document: Document
    same_as: str = ""
    max_pages: int | None = None

    @property
    def needs_ceiling(self) -> bool:
        """Whether it can be parsed, and nobody knows how long it is."""
        return self.document.is_parsable and not self.document.page_count

    def at_most(self, pages: int) -> "Upload":
        """The same with this page ceiling; one whose length is known needs none."""
        return (
            replace(self, max_pages=min(max(1, pages), MAX_PAGES_UNKNOWN))
            if self.needs_ceiling
            else self
        )

    @property
    def priced_pages(self) -> int:
        """Its pages; of a document of unknown length the ceiling: the most that is ordered and priced."""
        return self.document.page_count or self.max_pages or MAX_PAGES_UNKNOWN


@dataclass(frozen=True, slots=True)
class QuoteLine:
    """What will be done with one upload, and for how much. ``note`` says why nothing is.

    ``full_usd`` is what all its pages would cost at the tier that was asked for.
    """

    upload: Upload
    plan: RoutePlan | None
    credits: int
    usd: Decimal
    by_tier: dict[Tier, Decimal]
    earlier: Job | None = None
    note: str = ""
    full_usd: Decimal = Decimal(0)

    @property
    def will_parse(self) -> bool:
        """Whether pressing Parse makes a job of it."""
        return self.plan is not None


@dataclass(frozen=True, slots=True)
class Quote:
    """All lines, the sum, and what is left of the limits."""

    mode: Mode
    tier: Tier
    lines: tuple[QuoteLine, ...]
    limits: tuple[LimitUse, ...]
    now: datetime
    team: str = ""
    price: Price | None = None

    @property
    def ask(self) -> Ask:
        """What it takes of the limits."""
        plans = [line.plan for line in self.parsable if line.plan is not None]
        paid = sum(a.engine is not EngineName.LOCAL for plan in plans for a in plan.attempts)
        return Ask(usd_to_micros(self.usd), paid, scopes_of(EngineName.LLAMAPARSE, self.team))

    @property
    def parsable(self) -> tuple[QuoteLine, ...]:
        """Lines that become jobs."""
        return tuple(line for line in self.lines if line.will_parse)

    @property
    def credits(self) -> int:
        """Credits of all jobs."""
        return sum(line.credits for line in self.lines)

    @property
    def usd(self) -> Decimal:
        """Dollars of all jobs."""
        return sum((line.usd for line in self.lines), Decimal(0))


def quote_line(  # noqa: PLR0913 - the facts of one line
    upload: Upload,
    *,
    mode: Mode,
    tier: Tier,
    price: Price | None,
    now: datetime,
    is_configured: bool,
    earlier: Job | None,
    parse_again: bool = False,
    policy: RoutePolicy = RoutePolicy(),  # noqa: B008 - frozen
    vendor_trouble: str = "",
    local_trouble: str = "",
    lacking_here: str = "",
    limits: tuple[LimitUse, ...] = (),
    scopes: tuple[str, ...] = (EVERYTHING,),
    others: tuple[OtherEngine, ...] = (),
    zone: str = "UTC",
) -> QuoteLine:
    """The line for one upload.

    ``lacking_here`` says why the local engine cannot read it; empty when it can. Times in a note are
    in ``zone``.
    """
    nothing = QuoteLine(upload, None, 0, Decimal(0), {}, earlier)
    if not upload.document.is_parsable:
        return _with_note(nothing, f"{upload.document.problem} {upload.document.next_step}".strip())
    if upload.same_as:
        return _with_note(nothing, f"same content as {upload.same_as}: parsed once")
    if earlier is not None and not parse_again:
        return _with_note(nothing, _parsed_before(upload, earlier, zone))
    if price is None or tier not in price.credits_per_page:
        what = "a credit" if price is None else f"the tier {tier.value.replace('_', ' ')}"
        missing = PriceMissing(what, now.date())
        return _with_note(nothing, f"{missing.what} {missing.next_step}")
    price = price.of_sheets(has_sheets=upload.document.has_sheets)
    plans = {
        each: plan_route(
            RouteFacts(
                mode=mode,
                tier=each,
                page_count=upload.document.page_count,
                price=price,
                vendor_is_configured=is_configured,
                max_pages=upload.max_pages or MAX_PAGES_UNKNOWN,
                pages=upload.document.pages,
                policy=policy,
                vendor_trouble=vendor_trouble,
                local_trouble=local_trouble,
                local_takes_it=not (lacking_here or upload.document.source_url),
                limits=limits,
                scopes=scopes,
                others=others,
            )
        )
        for each in price.credits_per_page
    }
    plan = plans[tier]
    url = upload.document.source_url
    in_the_way = (
        _why_not_by_link(url, mode, plan) if url else _why_not_here(lacking_here, mode, plan)
    )
    if in_the_way:
        return _with_note(nothing, in_the_way)
    by_tier = {each: price.usd(found.credits) for each, found in plans.items()}
    note = _ceiling(upload) if upload.needs_ceiling else ""
    full = price.usd(price.credits(tier, upload.priced_pages))
    if earlier is not None and mode is not Mode.MOCK and now - earlier.created_at < VENDOR_CACHE:
        since = times.short(earlier.created_at, zone)
        note = f"parsed on {since}: likely 0 credits, LlamaParse keeps results for 48 h"
    return QuoteLine(
        upload, plan, plan.credits, price.usd(plan.credits), by_tier, earlier, note, full
    )


def taken_by(
    limits: tuple[LimitUse, ...], lines: Sequence[QuoteLine], scopes: tuple[str, ...]
) -> tuple[LimitUse, ...]:
    """The limits as they stand once these lines are reserved."""
    micros = sum(usd_to_micros(line.usd) for line in lines)
    submits = sum(
        attempt.engine is EngineName.LLAMAPARSE
        for line in lines
        if line.plan is not None
        for attempt in line.plan.attempts
    )
    return with_reserved(limits, Ask(micros, submits, scopes))


def share_sentence(quote: Quote) -> str:
    """What the quote takes of today's limit, in words; of the tightest limit when it passes one."""
    shares = limit_shares(quote)
    if is_over(quote):
        use, asked, _ = max(shares, key=lambda one: inf if one[2] is None else one[2])
        takes, left = _amounts(use.limit.unit, asked, use.left)
        return f"This takes {takes}, but only {left} of {use.limit.words} is left: what does not fit is held."
    for use, asked, _ in shares:
        if use.limit.key == (EVERYTHING, Window.DAY, Unit.USD):
            takes, left = _amounts(Unit.USD, asked, use.left)
            return f"This takes {takes} of the {left} left today."
    return ""


def is_over(quote: Quote) -> bool:
    """Whether it would pass a limit, so that not all of it can start now."""
    return any(share is None or share > 1 for _use, _asked, share in limit_shares(quote))


def _amounts(unit: Unit, asked: int, left: int) -> tuple[str, str]:
    """What is asked and what is left, told apart also where rounding would make them the same."""
    if unit is Unit.SUBMITS:
        return counted(asked, "submit"), f"{left:,}"
    takes, rest = usd_from_micros(asked), usd_from_micros(left)
    if usd_words(takes) == usd_left(rest) and asked > left:
        return usd_exact(takes), usd_exact(rest)
    return usd_words(takes), usd_left(rest)


def limit_shares(quote: Quote) -> tuple[tuple[LimitUse, int, float | None], ...]:
    """Of each limit that it touches: its use, how much is asked, and the share of what is left.

    The share is None when nothing is left.
    """
    asked = [(use, quote.ask.of(use.limit)) for use in quote.limits]
    return tuple(
        (use, wanted, wanted / use.left if use.left else None) for use, wanted in asked if wanted
    )


def _why_not_by_link(url: str, mode: Mode, plan: RoutePlan) -> str:
    if plan.is_local:
        return "a link is fetched by LlamaParse, and the plan is to do without it"
    if mode is Mode.MOCK and not leads_here(url):
        return (
            "MOCK fetches nothing from outside this machine: such a link works in REAL,"
            " where LlamaParse fetches it"
        )
    if mode is not Mode.MOCK and leads_inside(url):
        return "the link leads into a private network, where LlamaParse cannot fetch it: upload the document"
    return ""


def _why_not_here(lacking: str, mode: Mode, plan: RoutePlan) -> str:
    """Why what this machine would have to read, as the simulator or beside LlamaParse, is not begun."""
    if not lacking or not (mode is Mode.MOCK or plan.is_local):
        return ""
    who = "MOCK reads on this machine" if mode is Mode.MOCK else plan.reason.rstrip(".")
    return f"{who}. {lacking} Converted to PDF it can be read here; REAL takes it as it is."


def _ceiling(upload: Upload) -> str:
    why = "" if upload.document.source_url else ", the file does not say"
    return f"page count unknown{why}: at most {upload.priced_pages:,} pages are parsed, and priced"


def _parsed_before(upload: Upload, earlier: Job, zone: str) -> str:
    day = times.day(earlier.created_at, zone)
    if upload.document.source_url:
        return (
            f"this link was parsed on {day}: open its result, or parse it again"
            " if what it leads to has changed"
        )
    return f"already parsed on {day}: open its result"


def _with_note(line: QuoteLine, note: str) -> QuoteLine:
    return QuoteLine(line.upload, None, 0, Decimal(0), {}, line.earlier, note)
