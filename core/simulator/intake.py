"""How documents come in: with a request, or fetched from an address that the caller names."""

import asyncio
import hashlib
import ipaddress
import os
import uuid
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx2 as httpx
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from core.simulator.config import SimulatorConfig
from core.simulator.refusals import Refused
from core.simulator.requests import Content
from core.simulator.state import State

__all__ = ["fetched", "form_of", "stored"]

_CHUNK = 1024 * 1024
_OVERHEAD = 64 * 1024  # boundaries and other fields beside the document
_FETCH_S = 30.0
_NO_FILE = "file field is required for multipart requests."


def form_of(
    request: Request, config: SimulatorConfig
) -> AbstractAsyncContextManager[FormData, bool | None]:
    """The request's form, to be entered. Raises ``Refused`` when it says that it is too large."""
    size = request.headers.get("content-length", "")
    if size.isdigit() and int(size) > config.max_upload_bytes + _OVERHEAD:
        raise _too_large(config)
    return request.form(max_files=1, max_fields=500)


async def stored(form: FormData, state: State, config: SimulatorConfig) -> Content:
    """The document that came with the form, now in the folder. Raises ``Refused`` without a good one."""
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refused(400, _NO_FILE)
    if not file.filename:
        raise Refused(400, "File must have a filename.")
    if file.size is not None and file.size > config.max_upload_bytes:
        raise _too_large(config)
    return await asyncio.to_thread(_copied, file.file, file.filename, state)


async def fetched(url: str, state: State, config: SimulatorConfig) -> Content:
    """The document at this address, now in the folder.

    Raises ``Refused`` (400) unless it is plain http on this machine, or on a host of ``source_hosts``,
    and answers with a document. Redirects are not followed.
    """
    _check_source(url, config)
    temporary = state.documents / f".{uuid.uuid4().hex}"
    try:
        async with (
            httpx.AsyncClient(timeout=_FETCH_S, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            await _downloaded(response, temporary, config)
        with temporary.open("rb") as source:
            return await asyncio.to_thread(_copied, source, _name_of(url), state)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refused(400, f"The source_url cannot be fetched: {type(error).__name__}.") from error
    finally:
        temporary.unlink(missing_ok=True)


async def _downloaded(response: httpx.Response, to: Path, config: SimulatorConfig) -> None:
    if response.status_code != httpx.codes.OK:
        status = response.status_code
        raise Refused(400, f"The source_url answered with status {status}.")
    size = 0
    with to.open("wb") as target:
        async for chunk in response.aiter_bytes(_CHUNK):
            size += len(chunk)
            if size > config.max_upload_bytes:
                raise _too_large(config)
            await asyncio.to_thread(target.write, chunk)


def _check_source(url: str, config: SimulatorConfig) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Refused(400, "The source_url is no address.") from None
    if host not in config.source_hosts and not (parts.scheme == "http" and _is_loopback(host)):
        raise Refused(
            400,
            "The simulator fetches a source_url over http from this machine only,"
            f" and {host or 'this address'} is not on it. Upload the document instead.",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_of(url: str) -> str:
    return unquote(PurePosixPath(urlsplit(url).path).name) or "document"


def _copied(source: BinaryIO, name: str, state: State) -> Content:
    """Copy, hash and sync in one go, off the event loop; bytes that are there already stay as they are."""
    temporary = state.documents / f".{uuid.uuid4().hex}"
    digest, size = hashlib.sha256(), 0
    try:
        with temporary.open("wb") as target:
            for chunk in _chunks(source):
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
            if size == 0:
                raise Refused(400, "Uploaded file is empty.")
            path = state.document_path(digest.hexdigest(), name)
            if not _is_whole(path, size):
                target.flush()
                os.fsync(target.fileno())
                temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return name, digest.hexdigest(), size


def _chunks(source: BinaryIO) -> Iterable[bytes]:
    while chunk := source.read(_CHUNK):
        yield chunk


def _is_whole(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _too_large(config: SimulatorConfig) -> Refused:
    return Refused(413, f"File too large. The limit is {config.max_upload_bytes} bytes.")
