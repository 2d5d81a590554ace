"""Handing documents over: pre-flight, quote, and one transaction that makes the jobs."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from core.clock import Clock, new_id
from core.domain.budgets import book_of, scopes_of
from core.domain.documents import Document, EngineName, safe_name
from core.domain.jobs import Actor, Job, JobStatus, ParseOptions, Submission
from core.domain.links import link_name, linked_document
from core.domain.money import Price, Tier, usd_to_micros
from core.domain.route_policy import RoutePolicy
from core.domain.routing import DEFAULT_MAX_PAGES, Mode, OtherEngine
from core.errors import DocumentRefused, NotAllowed, PriceMissing, RefusalReason
from core.pipeline.admission import admit
from core.pipeline.terms import Rules, Terms
from core.services.quotes import Quote, QuoteLine, Upload, quote_line, taken_by
from core.store import Store, Transaction, documents, jobs, ledger, limits, teams
from core.telemetry import log

__all__ = ["Submissions", "options_key"]

_MAX_FILES_IN_ZIP = 500


class _Content(Protocol):
    def as_file(self) -> AbstractContextManager[Path]: ...


class _Blobs(Protocol):
    def put_file(self, source: BinaryIO) -> tuple[str, int]: ...

    def content(self, sha256: str, size_bytes: int) -> _Content: ...


class Submissions:
    """Pre-flight, quote, submit."""

    def __init__(  # noqa: PLR0913 - each is a collaborator that the composition root hands over
        self,
        store: Store,
        blobs: _Blobs,
        inspect: Callable[[Path, str, str, int], Document],
        enqueue: Callable[[str, str, int], None],
        rules: Callable[[], Rules],
        *,
        max_upload_bytes: int,
        is_configured: bool,
        clock: Clock,
        policy: Callable[[], RoutePolicy] = RoutePolicy,
        trouble: Callable[[EngineName], str] = lambda _name: "",
        lacking_here: Callable[[Document], str] = lambda _document: "",
        others: Callable[[Document], tuple[OtherEngine, ...]] = lambda _document: (),
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._inspect = inspect
        self._enqueue = enqueue
        self._rules = rules
        self._max_bytes = max_upload_bytes
        self._is_configured = is_configured
        self._clock = clock
        self._policy = policy
        self._trouble = trouble
        self._lacking_here = lacking_here
        self._others = others
        self._log = log("submit")

    def preflight(self, name: str, source: BinaryIO, max_pages: int = DEFAULT_MAX_PAGES) -> Upload:
        """Store the bytes and look at them. A file that cannot be taken comes back with its problem.

        One that does not say how many pages it has is parsed up to ``max_pages`` of them.

        Raises ``StorageFull`` or ``BlobError`` when the bytes cannot be stored.
        """
        shown = safe_name(name)
        size = source.seek(0, io.SEEK_END)
        source.seek(0)
        if size == 0:
            return Upload(
                shown, _refused(RefusalReason.EMPTY, "The file is empty.", "Upload it again.")
            )
        if size > self._max_bytes:
            what = f"The file is larger than the limit of {self._max_bytes // 1024 // 1024} MB."
            step = "Split it, or raise PARSEDECK_MAX_UPLOAD_MB (LlamaParse takes 512 MB)."
            return Upload(shown, _refused(RefusalReason.TOO_LARGE, what, step, size))
        sha256, size = self._blobs.put_file(source)
        with self._blobs.content(sha256, size).as_file() as path:
            try:
                document = self._inspect(path, shown, sha256, size)
            except DocumentRefused as refusal:
                document = _refused(refusal.reason, refusal.what, refusal.next_step, size, sha256)
        return Upload(shown, document).at_most(max_pages)

    def link(self, address: str, max_pages: int = DEFAULT_MAX_PAGES) -> Upload:
        """A document that LlamaParse will fetch. Nothing is fetched here, so its length is unknown.

        An address that cannot be taken comes back with its problem.
        """
        try:
            document = linked_document(address)
        except DocumentRefused as refusal:
            refused = _refused(refusal.reason, refusal.what, refusal.next_step)
            return Upload(safe_name(address.partition("?")[0][:80]), refused)
        return Upload(link_name(document.source_url), document).at_most(max_pages)

    def stored(self, job_ids: Sequence[str]) -> list[Upload]:
        """The documents of these jobs, as if they had just been handed over. Raises ``NotFound``."""
        with self._store.read() as tx:
            found = [jobs.job(tx, job_id) for job_id in job_ids]
            kept = [(job, documents.find(tx, job.document_sha256)) for job in found]
        return [
            Upload(job.name, document, max_pages=job.options.max_pages)
            for job, document in kept
            if document is not None
        ]

    def quote(
        self,
        uploads: Sequence[Upload],
        tier: Tier,
        mode: Mode,
        *,
        parse_again: bool = False,
        team: str = "",
    ) -> Quote:
        """The price of parsing these, line by line; spends and stores nothing."""
        now, rules = self._clock(), self._rules()
        is_hybrid = mode is Mode.HYBRID
        policy = self._policy() if is_hybrid else RoutePolicy()
        vendor_trouble, local_trouble = (
            self._trouble(name) if is_hybrid else ""
            for name in (EngineName.LLAMAPARSE, EngineName.LOCAL)
        )
        scopes = scopes_of(EngineName.LLAMAPARSE, team)
        seen: dict[str, str] = {}
        lines: list[QuoteLine] = []
        with self._store.read() as tx:
            price = _price(tx, rules, now)
            in_force = limits.in_force(tx, book_of(mode), rules.limits, now)
            uses = ledger.uses(tx, mode, in_force, now, rules.timezone)
            for upload in uploads:
                sha = upload.document.sha256
                same_as = seen.get(sha, "") if upload.document.is_parsable else ""
                seen.setdefault(sha, upload.name)
                key = options_key(ParseOptions(tier, max_pages=upload.max_pages))
                earlier = jobs.earlier_result(tx, sha, key, [mode]) if sha else None
                lines.append(
                    quote_line(
                        replace(upload, same_as=same_as),
                        mode=mode,
                        tier=tier,
                        price=price,
                        now=now,
                        is_configured=self._is_configured,
                        earlier=earlier,
                        parse_again=parse_again,
                        policy=policy,
                        vendor_trouble=vendor_trouble,
                        local_trouble=local_trouble,
                        lacking_here=self._lacking_here(upload.document),
                        # what the documents before this one take is not left for it
                        limits=taken_by(uses, lines, scopes),
                        scopes=scopes,
                        others=self._others(upload.document) if is_hybrid else (),
                        zone=rules.timezone,
                    )
                )
        return Quote(mode, tier, tuple(lines), uses, now, team, price)

    def submit(self, quote: Quote, actor: Actor, key: str) -> Submission:
        """Make the jobs of a quote, all in one transaction, and hand them to the pipeline.

        The same ``key`` again (a double click, a second tab) answers the first submission. Raises
        ``NotAllowed`` when there is nothing to parse or the price is another one by now,
        ``StoreUnavailable`` with nothing spent.
        """
        lines = quote.parsable
        if not lines:
            raise NotAllowed("There is nothing to parse.", "Add a document that can be read.")
        now = self._clock()
        submission = Submission(
            id=new_id("sub"),
            actor=str(actor),
            mode=quote.mode,
            tier=quote.tier,
            created_at=now,
            correlation_id=new_id("cor"),
            estimated_credits=quote.credits,
            estimated_usd=quote.usd,
            team=quote.team,
        )
        admitted: list[Job] = []
        with self._store.write() as tx:
            earlier = jobs.submission_by_key(tx, key)
            if earlier is not None:
                return earlier
            terms = Terms(tx, self._rules(), now)
            _still_priced(terms, quote)
            if quote.team and not teams.exists(tx, quote.team):
                raise NotAllowed(f"There is no team {quote.team!r}.", "Choose one of the list.")
            jobs.add_submission(tx, submission, key)
            for position, line in enumerate(lines):
                documents.save(tx, line.upload.document, now)
                job = _job(submission, line, position)
                jobs.add_job(tx, job, options_key(job.options), actor)
                admitted.append(admit(terms, job, actor))
            _note_avoided(terms, quote, submission)
        for job in admitted:
            self._log.info(
                "job made", job_id=job.id, status=job.status, correlation_id=job.correlation_id
            )
            if job.status is JobStatus.PARSE_QUEUED:
                # a crash before this line is healed by the worker's sweep
                self._enqueue(job.workflow_id, job.id, job.generation)
        with self._store.read() as tx:
            return jobs.submission(tx, submission.id)

    def unpack(self, name: str, source: BinaryIO) -> list[tuple[str, BinaryIO]]:
        """The files in a ZIP, folders and hidden files left out; any other file as it is.

        Raises ``DocumentRefused`` for a ZIP with too many or too large files.
        """
        if not name.lower().endswith(".zip"):
            return [(name, source)]
        try:
            archive = zipfile.ZipFile(source)
        except zipfile.BadZipFile:
            return [(name, source)]
        wanted = [i for i in archive.infolist() if not i.is_dir() and not _is_hidden(i.filename)]
        if len(wanted) > _MAX_FILES_IN_ZIP or sum(i.file_size for i in wanted) > self._max_bytes:
            raise DocumentRefused(
                RefusalReason.TOO_LARGE,
                f"{safe_name(name)} holds more than {_MAX_FILES_IN_ZIP} files or {self._max_bytes // 1024 // 1024} MB.",
                "Upload it in parts.",
            )
        return [(info.filename, io.BytesIO(archive.read(info))) for info in wanted]


def options_key(options: ParseOptions) -> str:
    """A key that is equal for options that give the same result."""
    facts = [options.tier, options.target_pages]
    if options.max_pages:
        facts.append(f"at most {options.max_pages}")
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _price(tx: Transaction, rules: Rules, now: datetime) -> Price | None:
    try:
        return rules.price(tx, now)
    except PriceMissing:
        return None


def _note_avoided(terms: Terms, quote: Quote, submission: Submission) -> None:
    """What was handed over and not parsed again counts as saved."""
    for position, line in enumerate(quote.lines):
        document = line.upload.document
        is_there = line.upload.same_as or line.earlier is not None
        if line.will_parse or not document.is_parsable or not is_there or quote.price is None:
            continue
        # what a link led to is known once it was parsed
        found = line.earlier.page_count if line.earlier is not None else None
        pages = document.page_count or found or 0
        price = quote.price.of_sheets(has_sheets=document.has_sheets)
        worth = price.usd(price.credits(quote.tier, pages))
        whose = ledger.Reservation(
            job_id=submission.id,
            attempt_id=f"{submission.id}:{position}",
            mode=quote.mode,
            tier=quote.tier,
            actor=submission.actor,
            credits=0,
            micros=0,
            team=quote.team,
            pages=pages,
        )
        micros, calendar = usd_to_micros(worth), terms.rules.timezone
        ledger.note_avoided(terms.tx, whose, micros, terms.now, calendar, line.note)


def _still_priced(terms: Terms, quote: Quote) -> None:
    if terms.price != quote.price:
        raise NotAllowed(
            "The price book changed while you decided.",
            "Look at the new price, then press Parse again.",
        )


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.split("/"))


def _refused(
    reason: RefusalReason, problem: str, next_step: str, size: int = 0, sha256: str = ""
) -> Document:
    return Document(sha256, size, "", None, (), reason, problem, next_step)


def _job(submission: Submission, line: QuoteLine, position: int) -> Job:
    if line.plan is None:
        msg = "a line without a plan makes no job"
        raise ValueError(msg)
    return Job(
        id=new_id("job"),
        submission_id=submission.id,
        position=position,
        document_sha256=line.upload.document.sha256,
        name=line.upload.name,
        status=JobStatus.UPLOADED,
        mode=submission.mode,
        options=ParseOptions(submission.tier, max_pages=line.upload.max_pages),
        plan=line.plan,
        generation=1,
        correlation_id=submission.correlation_id,
        created_at=submission.created_at,
        updated_at=submission.created_at,
        page_count=line.upload.document.page_count,
        estimated_credits=line.credits,
        estimated_usd=line.usd,
        is_provisional=line.plan.is_provisional,
    )
