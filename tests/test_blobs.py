"""Blobs: what was acknowledged is there, whole, and under the name of its content."""

import asyncio
import hashlib
import io
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.blobs import Blobs
from core.errors import BlobError, StorageFull
from tests.factories import free_port


@pytest.fixture(params=["local", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """A local folder, and a bucket behind a real S3 server."""
    is_local = request.param == "local"
    return Blobs.open(None if is_local else request.getfixturevalue("bucket"), tmp_path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(data=st.binary(max_size=5000))
def test_what_is_stored_comes_back(blobs: Blobs, data: bytes) -> None:
    """Bytes come back as they were, by every way of reading."""
    sha256 = blobs.put(data)
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert blobs.put_file(io.BytesIO(data)) == (sha256, len(data))
    assert blobs.put_pieces([data[:7], b"", data[7:]]) == sha256
    assert blobs.get(sha256) == data
    content = blobs.content(sha256, len(data))
    with content.as_file() as path:
        assert path.read_bytes() == data

    async def read() -> bytes:
        return b"".join([chunk async for chunk in content.chunks()])

    assert asyncio.run(read()) == data


def test_a_missing_blob_is_an_error_and_not_nothing(blobs: Blobs) -> None:
    """A blob that is not there says so."""
    with pytest.raises(BlobError, match="missing"):
        blobs.get("a" * 64)


def test_a_damaged_blob_is_never_handed_out(tmp_path: Path) -> None:
    """Bytes that no longer fit their name are refused."""
    blobs = Blobs.open(None, tmp_path)
    sha256 = blobs.put(b"true")
    (tmp_path / "blobs" / "sha256" / sha256[:2] / sha256[2:]).write_bytes(b"false")
    with pytest.raises(BlobError, match="damaged"):
        blobs.get(sha256)


@pytest.fixture
def _little_room() -> Iterator[None]:
    """A limit of the system on how large a file may get: the disk is full at 64 KB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("_little_room")
def test_a_full_disk_stores_nothing_and_says_so(tmp_path: Path) -> None:
    """When there is no room, the message says so and no half file stays behind."""
    blobs = Blobs.open(None, tmp_path)
    with pytest.raises(StorageFull, match="no room"):
        blobs.put_file(io.BytesIO(b"x" * 1_000_000))
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == []


def test_what_could_not_be_made_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    """Pieces that end with an error are no blob, and no part of one stays behind."""

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("the other half cannot be made")

    blobs = Blobs.open(None, tmp_path)
    with pytest.raises(ValueError, match="half"):
        blobs.put_pieces(pieces())
    assert [p for p in (tmp_path / "blobs").rglob("*") if p.is_file()] == []


def test_large_files_go_to_a_bucket_in_parts(bucket: str, tmp_path: Path) -> None:
    """What is larger than one part of an upload comes back whole, in chunks and as a file."""
    blobs, data = Blobs.open(bucket, tmp_path), bytes(range(256)) * 100_000
    sha256, size = blobs.put_file(io.BytesIO(data))
    assert b"".join(blobs.chunks_of(sha256)) == data
    with blobs.content(sha256, size).as_file() as path:
        assert path.read_bytes() == data


def test_a_bucket_that_does_not_answer_is_named_with_what_to_check(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the object store is away, the message says so soon."""
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(BlobError, match="PARSEDECK_BLOB_URL"):
        Blobs.open(bucket, tmp_path).check()


def test_an_address_never_shows_its_password(tmp_path: Path) -> None:
    """Where the blobs are is shown without credentials."""
    blobs = Blobs.open("s3://user:hidden@bucket/path", tmp_path)
    assert "hidden" not in blobs.shown
    assert "bucket" in blobs.shown
