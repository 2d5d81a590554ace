"""What a job gave: pages inline, everything else by presigned links.

Pages come inside the answer about the job. That is one paced call for state and result together, and
the only form of them whose shape is documented: what the linked files of page sections hold is not.
Such an answer is read up to a bound; past it parts are left out. Whatever else there is, such as page
pictures, is followed link by link, in chunks, straight to where it is kept.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TypeVar
from urllib.parse import quote

from core.domain.money import Tier
from core.engines.llamaparse.calls import Calls
from core.engines.llamaparse.links import Links, StaleLink
from core.engines.llamaparse.reading import read_job
from core.engines.llamaparse.wire import Expand, ImageLink, JobAnswer, OutputLink
from core.engines.protocol import Keep
from core.errors import UpstreamError, UpstreamKind

__all__ = ["JOBS", "Results", "path_of"]

T = TypeVar("T")

JOBS = "/api/v2/parse"
_TEXT_ONLY = (Expand.TEXT,)
# from all there is to what matters most: what an answer that is too large is asked for next
_PARTS = (
    (Expand.MARKDOWN, Expand.TEXT, Expand.ITEMS),
    (Expand.MARKDOWN, Expand.TEXT),
    (Expand.MARKDOWN,),
)
_LARGEST_OUTPUT_BYTES = 2 * 1024**3
_LARGEST_PICTURE_BYTES = 32 * 1024**2
_PICTURES_AT_ONCE = 4
_PICTURES_WITHIN_S = 300.0
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"RIFF")
_SCREENSHOT = "screenshot"


class Results:
    """Asks for results over the calls and links of one account. Belongs to one event loop."""

    def __init__(self, calls: Calls, links: Links, *, retries: int, pause_s: float) -> None:
        self._calls = calls
        self._links = links
        self._retries = retries
        self._pause_s = pause_s

    async def ask(self, vendor_job_id: str, *expand: Expand) -> JobAnswer:
        """The job with what is expanded. Raises ``UpstreamError``."""
        response = await self._calls.get(
            "fetch", path_of(vendor_job_id), {"expand": expand}, is_large=True
        )
        return self._calls.read(read_job, response)

    async def pages(self, vendor_job_id: str, tier: Tier) -> tuple[JobAnswer | None, str]:
        """The job with its pages, and what was left out of them; None while it has no result.

        Raises ``UpstreamError``, of kind ``too_large`` when even the markdown alone is.
        """
        try:
            return await self._within_bounds(vendor_job_id, tier)
        except UpstreamError as error:
            words = error.vendor_message.lower()
            if error.kind is UpstreamKind.INVALID and "markdown expansion" in words:
                return await self.ask(vendor_job_id, *_TEXT_ONLY, Expand.USAGE), ""
            if error.kind is UpstreamKind.NOT_FOUND and "result not found" in words:
                return None, ""
            raise

    async def _within_bounds(self, vendor_job_id: str, tier: Tier) -> tuple[JobAnswer, str]:
        *larger, smallest = (_TEXT_ONLY,) if tier is Tier.FAST else _PARTS
        for parts in larger:
            try:
                return await self.ask(vendor_job_id, *parts, Expand.USAGE), _left_out(parts)
            except UpstreamError as error:
                if error.kind is not UpstreamKind.TOO_LARGE:
                    raise
        return await self.ask(vendor_job_id, *smallest, Expand.USAGE), _left_out(smallest)

    async def download(self, vendor_job_id: str, what: Expand, keep: Keep[T]) -> T | None:
        """An output, handed to ``keep`` as it comes; None when the job has none of that kind.

        Each try has a fresh link. Raises ``UpstreamError``.
        """
        attempt = 0
        while True:
            link = _only_link(await self.ask(vendor_job_id, what))
            if link is None:
                return None
            try:
                return await self._links.follow(link, keep, _LARGEST_OUTPUT_BYTES)
            except UpstreamError as error:
                if attempt >= self._retries or not _can_help(error):
                    raise self._calls.named(error) from None
            await asyncio.sleep(self._pause_s * 2**attempt)
            attempt += 1

    async def pictures(self, vendor_job_id: str, keep: Keep[T]) -> dict[int, T]:
        """What ``keep`` made of each page's screenshot, by the page's number in the answer.

        Those that could not be fetched, with fresh links too, in five minutes in all are left out.
        Raises ``UpstreamError`` when the links cannot be asked for.
        """
        found: dict[int, T] = {}
        places = asyncio.Semaphore(_PICTURES_AT_ONCE)

        async def one(number: int, link: OutputLink) -> None:
            async with places:
                try:
                    found[number] = await self._links.follow(
                        link, lambda chunks: keep(_as_picture(chunks)), _LARGEST_PICTURE_BYTES
                    )
                except UpstreamError:
                    return

        until = asyncio.get_running_loop().time() + _PICTURES_WITHIN_S
        for attempt in range(self._retries + 1):
            answer = await self.ask(vendor_job_id, Expand.IMAGES_LINK)
            shots = _screenshots(answer.images.images if answer.images else ())
            missing = {number: link for number, link in shots.items() if number not in found}
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await asyncio.gather(*(one(*each) for each in missing.items()))
                    if found.keys() >= shots.keys():
                        break
                    await asyncio.sleep(self._pause_s * 2**attempt)
                    continue
            break
        return found


def path_of(vendor_job_id: str) -> str:
    """The route of a job."""
    return f"{JOBS}/{quote(vendor_job_id, safe='')}"


def _left_out(parts: Sequence[Expand]) -> str:
    missing = [part.value for part in _PARTS[0] if part not in parts]
    if not missing or parts == _TEXT_ONLY:
        return ""
    return f"The result is very large, so its {' and '.join(missing)} were left out."


def _only_link(answer: JobAnswer) -> OutputLink | None:
    """The one output that was asked for; under which key it stands is not documented for most."""
    there = [link for link in (answer.outputs or {}).values() if link.exists and link.presigned_url]
    return there[0] if there else None


def _can_help(error: UpstreamError) -> bool:
    return error.retryable or isinstance(error, StaleLink)


def _screenshots(images: Sequence[ImageLink]) -> dict[int, ImageLink]:
    """The page pictures by page, counted from 1: by the number in their names, else by their order."""
    shots = [image for image in images if image.category == _SCREENSHOT and image.presigned_url]
    named = [re.search(r"(\d{1,6})\D*$", shot.filename.rpartition(".")[0]) for shot in shots]
    numbers = [int(match[1]) for match in named if match]
    if len(set(numbers)) != len(shots):
        numbers = list(range(1, len(shots) + 1))
    first = 1 if 0 in numbers else 0
    return {number + first: shot for number, shot in zip(numbers, shots, strict=True)}


async def _as_picture(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same chunks, of a JPEG, PNG or WebP. Raises ``UpstreamError`` for anything else."""
    is_first = True
    async for chunk in chunks:
        if is_first and not chunk.startswith(_PICTURES):
            what = "What LlamaParse calls a page picture is none."
            raise UpstreamError(UpstreamKind.MALFORMED, what)
        is_first = False
        yield chunk
