"""Every call asks for its turn; a service that is asked too much is left alone for a while."""

import asyncio
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from pydantic import SecretStr

from core.engines.llamaparse import LlamaParseEngine
from core.errors import UpstreamError


class _Counted:
    """A pace that lets everybody through and remembers who came."""

    def __init__(self) -> None:
        self.turns = 0
        self.holds: list[float] = []

    async def turn(self) -> float:
        self.turns += 1
        return 0.0

    async def hold(self, seconds: float) -> None:
        self.holds.append(seconds)


def _engine(pace: _Counted, answers: Iterator[httpx.Response], retries: int) -> LlamaParseEngine:
    return LlamaParseEngine(
        "https://service.example",
        SecretStr("llx-key"),
        max_retries=retries,
        retry_pause_s=0,
        transport=httpx.MockTransport(lambda _request: next(answers)),
        pace=pace,
    )


def test_polls_and_their_retries_are_counted() -> None:
    """A call that is repeated takes a turn each time."""
    pace = _Counted()
    fine = {"job": {"id": "pjb-1", "project_id": "p", "status": "RUNNING"}}
    answers = iter([httpx.Response(503), httpx.Response(503), httpx.Response(200, json=fine)])
    asyncio.run(_engine(pace, answers, 3).status("pjb-1"))
    assert pace.turns == 3


def test_a_429_without_retry_after_rests_ever_longer() -> None:
    """The service says nothing about how long; the rest grows while it goes on."""
    pace = _Counted()
    with pytest.raises(UpstreamError):
        asyncio.run(_engine(pace, iter([httpx.Response(429)] * 3), 2).status("pjb-1"))
    assert pace.holds == [2.0, 4.0, 8.0]


def test_a_retry_after_is_honoured() -> None:
    """When the service does say how long, that is how long all processes rest."""
    pace = _Counted()
    answer = httpx.Response(429, headers={"Retry-After": "7"})
    with pytest.raises(UpstreamError):
        asyncio.run(_engine(pace, iter([answer]), 0).status("pjb-1"))
    assert pace.holds == [7.0]
