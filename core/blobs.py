"""Uploaded documents and results, stored under the SHA-256 of their content."""

import asyncio
import errno
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from core.errors import BlobError, StorageFull

__all__ = ["BlobContent", "Blobs", "path_of"]

_CHUNK = 1024 * 1024


class Blobs:
    """A content-addressed store in a local folder or behind any obstore URL. Thread-safe."""

    def __init__(self, store: ObjectStore, folder: Path | None, shown: str) -> None:
        self._store = store
        self._folder = folder
        self.shown = shown
        """Where the blobs are, without credentials."""

    @classmethod
    def open(cls, url: str | None, data_dir: Path) -> "Blobs":
        """The store at ``url``, or the folder ``blobs`` in ``data_dir``. Raises ``BlobError``."""
        if url is None:
            folder = data_dir / "blobs"
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _failed(error) from error
            return cls(LocalStore(str(folder)), folder, str(folder))
        try:
            store = from_url(url)
        except (BaseError, ValueError) as error:
            raise BlobError(
                "The blob store cannot be opened.", "Check PARSEDECK_BLOB_URL."
            ) from error
        parts = urlsplit(url)
        return cls(store, None, f"{parts.scheme}://{parts.hostname or ''}{parts.path}")

    def put(self, data: bytes) -> str:
        """Store bytes and answer their SHA-256. Raises ``StorageFull`` or ``BlobError``."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.exists(sha256):
            self._write(sha256, iter([data]))
        return sha256

    def put_pieces(self, pieces: Iterable[bytes]) -> str:
        """Store what is made piece by piece, hashed on the way; its SHA-256.

        Nothing stays when making it fails. Raises ``StorageFull`` or ``BlobError``.
        """
        with _part(self._folder) as part:
            digest = hashlib.sha256()
            for piece in pieces:
                digest.update(piece)
                _append(part, piece)
            sha256 = digest.hexdigest()
            self._adopt(part, sha256)
        return sha256

    def put_file(self, source: BinaryIO) -> tuple[str, int]:
        """Store a file in chunks; its SHA-256 and size. Raises ``StorageFull`` or ``BlobError``."""
        source.seek(0)
        digest, size = hashlib.sha256(), 0
        for chunk in iter(lambda: source.read(_CHUNK), b""):
            digest.update(chunk)
            size += len(chunk)
        sha256 = digest.hexdigest()
        if not self.exists(sha256):
            source.seek(0)
            self._write(sha256, iter(lambda: source.read(_CHUNK), b""))
        return sha256, size

    async def put_stream(self, chunks: AsyncIterator[bytes]) -> str:
        """Store what comes, chunk by chunk, hashed on the way; its SHA-256.

        Nothing stays when the chunks end with an error. Raises ``StorageFull`` or ``BlobError``.
        """
        with _part(self._folder) as part:
            digest = hashlib.sha256()
            async for chunk in chunks:
                digest.update(chunk)
                await asyncio.to_thread(_append, part, chunk)
            sha256 = digest.hexdigest()
            await asyncio.to_thread(self._adopt, part, sha256)
        return sha256

    def _adopt(self, part: IO[bytes], sha256: str) -> None:
        """Make a whole part the blob of that name."""
        if self.exists(sha256):
            return
        try:
            if self._folder is None:
                part.seek(0)
                obstore.put(self._store, path_of(sha256), iter(lambda: part.read(_CHUNK), b""))
            else:
                path = self._folder / path_of(sha256)
                path.parent.mkdir(parents=True, exist_ok=True)
                _settle(part, path)
        except (BaseError, OSError) as error:
            raise _failed(error) from error

    def get(self, sha256: str) -> bytes:
        """The bytes, checked against their name. Raises ``BlobError`` when missing or damaged."""
        try:
            data = bytes(obstore.get(self._store, path_of(sha256)).bytes())
        except (BaseError, OSError) as error:
            raise _failed(error) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise BlobError(
                "A stored file is damaged.", "Restore it from a backup, or upload it again."
            )
        return data

    def exists(self, sha256: str) -> bool:
        """Whether the blob is there."""
        try:
            obstore.head(self._store, path_of(sha256))
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise _failed(error) from error
        return True

    def content(self, sha256: str, size_bytes: int) -> "BlobContent":
        """The blob as a stream or a file."""
        return BlobContent(self, sha256, size_bytes)

    def check(self) -> None:
        """Write and read back a few bytes. Raises ``BlobError``."""
        self.get(self.put(b"parsedeck"))

    def chunks_of(self, sha256: str) -> Iterator[bytes]:
        """The bytes in order."""
        try:
            for chunk in obstore.get(self._store, path_of(sha256)).stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            raise _failed(error) from error

    @contextmanager
    def as_file(self, sha256: str) -> Iterator[Path]:
        """A local path with these bytes: the stored file itself, or a copy for the while."""
        if self._folder is not None:
            path = self._folder / path_of(sha256)
            if not path.is_file():
                raise BlobError("A stored file is missing.", "Upload it again.")
            yield path
            return
        with tempfile.NamedTemporaryFile(prefix="parsedeck-") as copy:
            for chunk in self.chunks_of(sha256):
                copy.write(chunk)
            copy.flush()
            yield Path(copy.name)

    def _write(self, sha256: str, chunks: Iterator[bytes]) -> None:
        try:
            if self._folder is None:
                obstore.put(self._store, path_of(sha256), chunks)
            else:
                _write_local(self._folder / path_of(sha256), chunks)
        except (BaseError, OSError) as error:
            raise _failed(error) from error


class BlobContent:
    """A blob as engines want it: in chunks, or as a file."""

    def __init__(self, blobs: Blobs, sha256: str, size_bytes: int) -> None:
        self._blobs = blobs
        self._sha256 = sha256
        self._size_bytes = size_bytes

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return self._size_bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes in order, read in a thread so that the loop goes on."""
        source = self._blobs.chunks_of(self._sha256)
        while True:
            chunk = await asyncio.to_thread(next, source, None)
            if chunk is None:
                return
            yield chunk

    @contextmanager
    def as_file(self) -> Iterator[Path]:
        """A local path with exactly these bytes."""
        with self._blobs.as_file(self._sha256) as path:
            yield path


def path_of(sha256: str) -> str:
    """Where a blob lies, below the store's root."""
    return f"sha256/{sha256[:2]}/{sha256[2:]}"


def _write_local(path: Path, chunks: Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _part(path.parent) as part:
        for chunk in chunks:
            part.write(chunk)
        _settle(part, path)


@contextmanager
def _part(folder: Path | None) -> Iterator[IO[bytes]]:
    """A file that is not whole yet; gone afterwards, unless it was given its name."""
    try:
        part = tempfile.NamedTemporaryFile(prefix=".part-", dir=folder, delete=False)  # noqa: SIM115
    except OSError as error:
        raise _failed(error) from error
    try:
        yield part
    finally:
        with suppress(OSError):  # whoever wrote to it has heard already that there is no room
            part.close()
        Path(part.name).unlink(missing_ok=True)


def _append(part: IO[bytes], chunk: bytes) -> None:
    try:
        part.write(chunk)
    except OSError as error:
        raise _failed(error) from error


def _settle(part: IO[bytes], path: Path) -> None:
    # Ours and not obstore's: an acknowledged upload must survive a power cut, so the file and its
    # folder are synced, and it gets its name only when it is whole.
    part.flush()
    os.fsync(part.fileno())
    Path(part.name).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _failed(error: Exception) -> BlobError:
    number = getattr(error, "errno", None)
    if number in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} or "No space left" in str(error):
        return StorageFull(
            "There is no room left to store the file; nothing was stored and nothing was spent.",
            "Free some space, then upload it again.",
        )
    if isinstance(error, FileNotFoundError):
        return BlobError("A stored file is missing.", "Upload the document again.")
    return BlobError(
        f"The file store cannot be used ({type(error).__name__}).",
        "Check PARSEDECK_BLOB_URL or the permissions of the data folder.",
    )
