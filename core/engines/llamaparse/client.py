"""LlamaParse's v2 Parse API as an engine: submit once, ask gently, fetch, find again."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import httpx2 as httpx
from pydantic import SecretStr, TypeAdapter

from core.clock import Clock, utc_now
from core.domain.documents import EngineName, ParsedDocument
from core.domain.money import Tier
from core.engines.llamaparse.account import Account
from core.engines.llamaparse.answers import (
    engine_job_of,
    numbers_in_document,
    parsed_document_of,
)
from core.engines.llamaparse.calls import SLOWEST_BYTES_PER_S, Calls, OnCall, Params, Unpaced
from core.engines.llamaparse.contact import LiveFact, removal_fact, wire_facts
from core.engines.llamaparse.failures import malformed, result_missing, sent_too_late
from core.engines.llamaparse.links import Links, Resolve, addresses_of
from core.engines.llamaparse.results import JOBS, Results, path_of
from core.engines.llamaparse.upload import UploadBody
from core.engines.llamaparse.usage import (
    Organization,
    Project,
    UsageRecord,
    read_organizations,
    read_projects,
    usage,
)
from core.engines.llamaparse.wire import (
    Expand,
    JobAnswer,
    JobList,
    VersionList,
    WireJob,
    configuration_of,
)
from core.engines.protocol import EngineJob, EngineStatus, Keep, Pace, ParseOrder
from core.errors import UpstreamError, UpstreamKind

__all__ = ["LlamaParseEngine"]

# A clock of ours that was a day off for a while must not hide a job that was taken.
_CLOCKS_DIFFER_BY = timedelta(days=1)
_VERSIONS_LAST_S = 3600.0
_JOB_ANSWER = TypeAdapter(JobAnswer).validate_json
_JOB_LIST = TypeAdapter(JobList).validate_json
_VERSION_LIST = TypeAdapter(VersionList).validate_json

T = TypeVar("T")


def _ignore(_operation: str, _outcome: str, _seconds: float) -> None:
    return


class LlamaParseEngine:
    """A client of one account; belongs to one event loop.

    ``simulated`` says which of the two must answer: with it the simulator and nothing else, without
    it anything but the simulator. Who answers is known before the first document is sent. ``on_call``
    hears of every call: operation, ``ok`` or the kind of failure, seconds. ``pace`` is asked before
    each call; without one, calls are made at once. ``organization_id`` and ``project_id`` say whose
    usage is read; without them it is that of every organization that the key can see. Raises
    ``SettingsError`` for a key that cannot be one.
    """

    name = EngineName.LLAMAPARSE

    def __init__(  # noqa: PLR0913 - facts of the account, and seams for tests
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        timeout_s: float = 30.0,
        max_retries: int = 3,
        retry_pause_s: float = 0.5,
        simulated: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = utc_now,
        on_call: OnCall = _ignore,
        pace: Pace | None = None,
        resolve: Resolve = addresses_of,
        organization_id: str = "",
        project_id: str = "",
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._retry_pause_s = retry_pause_s
        self._organization_id = organization_id
        self._project: Params = {"project_id": project_id} if project_id else {}
        self._versions: dict[str, str] = {}
        self._versions_until: float | None = None
        account = Account(base_url, api_key, simulated)
        self._calls = Calls(
            account,
            timeout_s=timeout_s,
            max_retries=max_retries,
            retry_pause_s=retry_pause_s,
            transport=transport,
            clock=clock,
            on_call=on_call,
            pace=pace or Unpaced(),
        )
        self._links = Links(
            account, timeout_s=timeout_s, transport=transport, resolve=resolve, clock=clock
        )
        self._results = Results(
            self._calls, self._links, retries=max_retries, pause_s=retry_pause_s
        )

    def submit_deadline_s(self, size_bytes: int) -> float:
        """How long a submit of that size may take; after that it can no longer arrive."""
        return self._timeout_s + size_bytes / SLOWEST_BYTES_PER_S

    def known_version(self, tier: Tier) -> str | None:
        """What ``latest`` means for this tier now; None once that was asked an hour ago.

        ``latest`` itself where the service does not say.
        """
        if self._versions_until is None or time.monotonic() > self._versions_until:
            return None
        return self._versions.get(tier.value) or "latest"

    async def ask_version(self, tier: Tier) -> str:
        """What ``latest`` means for this tier, asked once, with a turn that was taken before.

        Also shows, before anything is sent, whether this is the service or the simulator. Raises
        ``UpstreamError``.
        """
        self._versions = await self._latest_versions()
        self._versions_until = time.monotonic() + _VERSIONS_LAST_S
        return self._versions.get(tier.value) or "latest"

    async def _latest_versions(self) -> dict[str, str]:
        try:
            response = await self._calls.get_once("versions", f"{JOBS}/versions")
            return self._calls.read(_VERSION_LIST, response).latest
        except UpstreamError as error:
            # A service without this route has shown all the same that it is not the simulator.
            if error.kind is UpstreamKind.NOT_FOUND:
                return {}
            raise

    async def turn(self) -> float:
        """Take the turn of a submit; seconds to wait before it is made."""
        return await self._calls.turn()

    async def submit(self, order: ParseOrder) -> EngineJob:
        """Upload and create in one request, or create from a link; never repeated here.

        Raises ``UpstreamError``, with ``outcome_unknown`` when the service may have taken it.
        """
        if self._versions_until is None:
            # nothing is sent before it is known whether this is the service or the simulator
            await self.ask_version(order.tier)
        if order.send_by is not None and self._clock() > order.send_by:
            raise sent_too_late()
        configuration = configuration_of(order).model_dump_json(exclude_none=True)
        secret = order.webhook.secret if order.webhook else ""
        if order.content is None:
            response = await self._calls.submit(JOBS, configuration, self._timeout_s, secret)
        else:
            body = UploadBody(configuration, order.name, order.media_type, order.content)
            deadline_s = self.submit_deadline_s(order.content.size_bytes)
            response = await self._calls.submit(f"{JOBS}/upload", body, deadline_s, secret)
        return self._job(self._calls.read(_JOB_ANSWER, response, is_submit=True).job)

    async def status(self, vendor_job_id: str) -> EngineJob:
        """What the service says now; ``credits`` stays None until it has billed the job."""
        response = await self._calls.get("status", path_of(vendor_job_id), {"expand": ["usage"]})
        return self._job(self._calls.read(_JOB_ANSWER, response).job)

    async def look(self, vendor_job_id: str, order: ParseOrder) -> EngineJob:
        """What the service says now, with the result when it has one: a turn saved for each job."""
        answer, left_out = await self._results.pages(vendor_job_id, order.tier)
        if answer is None:
            return await self.status(vendor_job_id)
        job = self._job(answer.job)
        if job.status is not EngineStatus.COMPLETED:
            return job
        return replace(job, result=self._document(answer, order, left_out))

    async def fetch(self, vendor_job_id: str, order: ParseOrder) -> ParsedDocument:
        """The result of a completed job; asked for again while the service has none yet.

        Raises ``UpstreamError``: the job failed or is not done, or its result never appeared.
        """
        for attempt in range(self._max_retries + 1):
            if attempt:
                await asyncio.sleep(self._retry_pause_s * 2 ** (attempt - 1))
            answer, left_out = await self._results.pages(vendor_job_id, order.tier)
            if answer is None:
                continue
            document = self._document(answer, order, left_out)
            if document is not None:
                return document
            self._refuse_unfinished(self._job(answer.job))
        raise self._calls.named(result_missing())

    async def get(self, vendor_job_id: str, *expand: Expand) -> JobAnswer:
        """The job as the service describes it, with what is expanded. Raises ``UpstreamError``."""
        return await self._results.ask(vendor_job_id, *expand)

    async def download(self, vendor_job_id: str, what: Expand, keep: Keep[T]) -> T | None:
        """One output behind a link (an ``Expand`` that ends in ``LINK``), in chunks, without the key.

        None when the job has none. A link that expired is asked for anew. Raises ``UpstreamError``.
        """
        return await self._results.download(vendor_job_id, what, keep)

    async def pictures(
        self, vendor_job_id: str, order: ParseOrder, keep: Keep[T]
    ) -> Mapping[int, T]:
        """What ``keep`` made of each page's screenshot, by the page's number in the document."""
        found = await self._results.pictures(vendor_job_id, keep)
        numbers = numbers_in_document(sorted(found), order.target_pages)
        return {numbers[number]: made for number, made in found.items()}

    async def find(self, attempt_id: str, since: datetime) -> EngineJob | None:
        """The job that carries this attempt's id among all created since then.

        None only after the listing was read to its end. Raises ``UpstreamError`` when it could not
        be read: "no such job" and "could not ask" are different answers.
        """
        async with aclosing(self._listing(since - _CLOCKS_DIFFER_BY)) as pages:
            async for page in pages:
                for job in map(self._job, page.items):
                    if job.attempt_id == attempt_id:
                        return job
        return None

    async def cancel(self, vendor_job_id: str) -> EngineJob:
        """Ask for a stop; for a job that has ended already, how it ended."""
        try:
            response = await self._calls.post("cancel", f"{path_of(vendor_job_id)}/cancel")
        except UpstreamError as error:
            # Which of the two a job that has ended is refused with, is not documented.
            if error.kind not in {UpstreamKind.CONFLICT, UpstreamKind.INVALID}:
                raise
            ended = await self.status(vendor_job_id)
            if not ended.status.is_final:
                raise
            return ended
        return self._job(self._calls.read(_JOB_ANSWER, response).job)

    async def delete(self, vendor_job_id: str) -> None:
        """Have the service forget an ended job and its result. Raises ``UpstreamError``."""
        await self._calls.delete("delete", path_of(vendor_job_id))

    async def probe(self) -> float:
        """Seconds that a cheap call with the key takes; made once. Raises ``UpstreamError``."""
        began = time.perf_counter()
        await self._calls.get("probe", JOBS, {"page_size": 1}, retries=0)
        return time.perf_counter() - began

    async def organizations(self) -> tuple[Organization, ...]:
        """Who the key is billed to. Raises ``UpstreamError``."""
        return await read_organizations(self._calls)

    async def projects(self) -> tuple[Project, ...]:
        """The key's projects, each with its organization. Raises ``UpstreamError``."""
        return await read_projects(self._calls)

    async def usage_metrics(
        self, organization_id: str, first: date, last: date
    ) -> tuple[UsageRecord, ...]:
        """What was billed on these UTC days, both included. Raises ``UpstreamError``."""
        days: Params = {"day_on_or_after": first.isoformat(), "day_on_or_before": last.isoformat()}
        narrowed = {**self._project, **days}
        return tuple([r async for r in usage(self._calls, organization_id, narrowed)])

    async def used(self, first: date, last: date) -> tuple[UsageRecord, ...]:
        """The same of all that the key is billed to. Raises ``UpstreamError``."""
        payers = await self._payers()
        found = [await self.usage_metrics(payer, first, last) for payer in payers]
        return tuple(record for records in found for record in records)

    async def billed(self, vendor_job_id: str) -> int | None:
        """What the usage metrics say for this job; None when they do not know it yet.

        Raises ``UpstreamError``.
        """
        one: Params = {"event_aggregation_key": vendor_job_id}
        credits_ = [
            record.credits
            for payer in await self._payers()
            async for record in usage(self._calls, payer, {**self._project, **one})
            if record.key == vendor_job_id and record.credits is not None
        ]
        return math.ceil(sum(credits_)) if credits_ else None

    async def _payers(self) -> tuple[str, ...]:
        """Ids of the organizations whose usage is read: the one that is set, else what the key can see."""
        if self._organization_id:
            return (self._organization_id,)
        try:
            found = [organization.id for organization in await self.organizations()]
        except UpstreamError as error:
            # a key may be good for its project alone
            if error.kind not in {UpstreamKind.NOT_FOUND, UpstreamKind.FORBIDDEN}:
                raise
            found = []
        ids = found or [project.organization_id for project in await self.projects()]
        payers = tuple(dict.fromkeys(filter(None, ids)))
        if not payers:
            raise UpstreamError(
                UpstreamKind.FORBIDDEN,
                self._calls.told("LlamaParse shows the key no organization, so no usage either."),
                "Set LLAMAPARSE_ORGANIZATION_ID.",
            )
        return payers

    async def first_contact(self, vendor_job_id: str, attempt_id: str) -> tuple[LiveFact, ...]:
        """What free calls about a finished job show of the service's wire. Never raises by it."""
        return await wire_facts(self._calls, quote(vendor_job_id, safe=""), attempt_id)

    async def last_contact(self, vendor_job_id: str) -> LiveFact:
        """Delete a finished job, and what was seen of that. Never raises by it."""
        return await removal_fact(
            partial(self.delete, vendor_job_id), partial(self.status, vendor_job_id)
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._calls.close()
        await self._links.close()

    def _job(self, job: WireJob) -> EngineJob:
        said, told = engine_job_of(job), self._calls.told
        return replace(said, error_message=told(said.error_message), next_step=told(said.next_step))

    def _document(
        self, answer: JobAnswer, order: ParseOrder, left_out: str
    ) -> ParsedDocument | None:
        found = parsed_document_of(answer, order, left_out)
        if found is None:
            return None
        told = self._calls.told
        return replace(
            found, pages=tuple(replace(page, error=told(page.error)) for page in found.pages)
        )

    def _refuse_unfinished(self, job: EngineJob) -> None:
        if job.status is EngineStatus.COMPLETED:
            return
        if job.status is EngineStatus.FAILED:
            raise UpstreamError(UpstreamKind.DOCUMENT, job.error_message)
        raise UpstreamError(
            UpstreamKind.CONFLICT,
            self._calls.told(f"The job is {job.status.value} at LlamaParse, so it has no result."),
            "Open the job to see where it stands.",
        )

    async def _listing(self, since: datetime) -> AsyncGenerator[JobList, None]:
        params: Params = {"created_at_on_or_after": since.isoformat(), "page_size": 100}
        seen: set[str] = set()
        while True:
            response = await self._calls.get("list", JOBS, params)
            page = self._calls.read(_JOB_LIST, response)
            yield page
            if not page.next_page_token:
                return
            if page.next_page_token in seen:
                raise self._calls.named(malformed(response))
            seen.add(page.next_page_token)
            params = {**params, "page_token": page.next_page_token}
