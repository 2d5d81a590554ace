"""The unmodified official SDK takes the look-alike for the service."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from llama_cloud import AsyncLlamaCloud, LlamaCloud

Simulate = Callable[..., str]


def test_the_sync_client_parses_with_strict_validation(simulate: Simulate, tmp_path: Path) -> None:
    """Upload, poll, fetch, list and delete pass the SDK's own validation of every answer."""
    document = tmp_path / "terms.pdf"
    document.write_bytes(b"one\ntwo\nfail")
    url = simulate(pending_s=0.1)
    with LlamaCloud(api_key="llx-test", base_url=url, _strict_response_validation=True) as client:
        result = client.parsing.parse(
            tier="agentic",
            version="latest",
            upload_file=document,
            expand=["markdown", "text", "markdown_full", "metadata", "job_metadata", "usage"],
        )
        assert result.markdown is not None
        assert [page.success for page in result.markdown.pages] == [True, True, False]
        assert result.job.status == "COMPLETED"
        assert result.job.usage is not None
        assert result.job.usage.credits == 30
        assert [job.id for job in client.parsing.list()] == [result.job.id]
        assert client.parsing.delete(result.job.id).id == result.job.id


def test_the_async_client_parses_and_cancels(simulate: Simulate) -> None:
    """The async client works too, and its cancel, a POST with an empty JSON body, is understood."""

    async def run(url: str) -> tuple[str | None, str]:
        async with AsyncLlamaCloud(
            api_key="llx-test", base_url=url, _strict_response_validation=True
        ) as client:
            parsed = await client.parsing.parse(
                tier="fast", version="latest", upload_file=("a.pdf", b"one"), expand=["text_full"]
            )
            waiting = await client.parsing.create(
                tier="fast", version="latest", upload_file=("b.pdf", b"1")
            )
            return parsed.text_full, (await client.parsing.cancel(waiting.id)).status

    text, status = asyncio.run(run(simulate(pending_s=0.8)))
    assert (text, status) == ("one", "CANCELLED")
