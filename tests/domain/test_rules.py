"""The pure rules: names, page ranges, windows, routes, lifecycles, events."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.budgets import Window, next_start, window_key
from core.domain.documents import page_ranges, parse_page_ranges, safe_name
from core.domain.events import EventKind, MalformedEvent, read_event
from core.domain.jobs import (
    ATTEMPT_TRANSITIONS,
    JOB_TRANSITIONS,
    AttemptStatus,
    JobStatus,
    job_status_of,
)
from core.domain.money import usd_from_micros, usd_to_micros

MOMENTS = st.integers(1_704_067_200, 1_893_456_000).map(lambda s: datetime.fromtimestamp(s, UTC))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])


@given(st.text(max_size=400))
def test_a_shown_name_is_harmless(name: str) -> None:
    """No name is empty, long, a path, or carries characters that fool the eye."""
    shown = safe_name(name)
    assert 0 < len(shown) <= 180
    assert not set(shown) & set("/\\\0\n\r\u202e\u200f<>")


def test_a_long_name_keeps_its_extension() -> None:
    """A name of 300 characters is shortened in front of its extension."""
    assert safe_name("a" * 300 + ".pdf").endswith(".pdf")


@given(st.sets(st.integers(1, 500), min_size=1))
def test_page_ranges_come_back(pages: set[int]) -> None:
    """Writing page numbers as ranges and reading them back loses nothing."""
    assert set(parse_page_ranges(page_ranges(pages))) == pages


@pytest.mark.parametrize("text", ["", "0", "3-1", "1,1", "a", "1-", "-2", "1;2"])
def test_wrong_ranges_are_refused(text: str) -> None:
    """Anything that is no range of pages is refused."""
    with pytest.raises(ValueError, match=r"page"):
        parse_page_ranges(text)


@given(MOMENTS, ZONES, st.sampled_from(list(Window)))
def test_the_next_window_is_another_one(at: datetime, zone: str, window: Window) -> None:
    """A window ends where the next begins, daylight saving included."""
    start = next_start(window, at, zone)
    assert start > at
    assert window_key(window, start, zone) != window_key(window, at, zone)
    assert window_key(window, start.astimezone(UTC) - timedelta(seconds=1), zone) == window_key(
        window, at, zone
    )


@given(st.lists(st.sampled_from(list(AttemptStatus))))
def test_a_job_ends_only_when_its_attempts_have(attempts: list[AttemptStatus]) -> None:
    """A job's status follows from its attempts, and is final only when all of theirs are."""
    status = job_status_of(attempts)
    if status.is_final or status is JobStatus.PARSED:
        assert all(attempt.is_final for attempt in attempts)


def test_final_attempts_are_final() -> None:
    """Nothing follows a final attempt; out of a final job only a person leads."""
    for attempt in AttemptStatus:
        assert attempt.is_final == (not ATTEMPT_TRANSITIONS[attempt])
    assert set(JOB_TRANSITIONS) == set(JobStatus)


@given(st.decimals(0, 10**6, places=6, allow_nan=False))
def test_stored_money_is_exact(usd: object) -> None:
    """Storing dollars as millionths and back changes nothing."""
    assert usd_from_micros(usd_to_micros(usd)) == usd  # type: ignore[arg-type]


@given(st.binary(max_size=200))
def test_any_body_is_an_event_or_malformed(body: bytes) -> None:
    """Reading an event gives an event or ``MalformedEvent``, nothing else."""
    try:
        event = read_event(body)
    except MalformedEvent:
        return
    assert event.vendor_job_id


def test_a_doubly_encoded_event_is_read() -> None:
    """The vendor's default format, a JSON string that holds the JSON, is understood."""
    event = {
        "event_id": "e",
        "event_type": "parse.error",
        "timestamp": 1,
        "data": {"job_id": "pjb"},
    }
    text = json.dumps(event)
    assert read_event(json.dumps(text).encode()) == read_event(text.encode())
    assert read_event(text.encode()).kind is EventKind.ERROR
