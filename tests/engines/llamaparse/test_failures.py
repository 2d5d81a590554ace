"""Every failure of the service becomes one error that says what happened and what to do."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.health import HealthPolicy, signal_of
from core.engines.llamaparse.failures import from_exception, from_response, malformed
from core.engines.llamaparse.job_failures import JOB_FAILURES, job_failure
from core.errors import UpstreamError, UpstreamKind

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
REQUEST = httpx.Request("GET", "https://service.example/")


def _answer(status: int, detail: object = "vendor words", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"detail": detail}, headers=named, request=REQUEST)


def _descendants(kind: type[Exception]) -> set[type[Exception]]:
    children = set(kind.__subclasses__())
    return children.union(*(_descendants(child) for child in children))


def _all_httpx_exceptions() -> list[type[Exception]]:
    exported = {value for value in vars(httpx).values() if isinstance(value, type)}
    roots = {
        kind for kind in exported if issubclass(kind, Exception) and not issubclass(kind, Warning)
    }
    found = roots.union(*(_descendants(root) for root in roots))
    return sorted(
        (kind for kind in found if kind.__module__.startswith("httpx2")), key=lambda k: k.__name__
    )


def _made(kind: type[Exception]) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        return kind("said", request=REQUEST, response=_answer(503))
    error = kind.__new__(kind)
    Exception.__init__(error, "said")
    return error


def _is_complete(error: UpstreamError) -> bool:
    return error.what.endswith((".", ")")) and error.next_step.endswith(".")


@pytest.mark.parametrize("kind", _all_httpx_exceptions())
def test_every_httpx_exception_has_a_translation(kind: type[Exception]) -> None:
    """A newer httpx2 cannot bring an exception that reaches the pipeline untranslated."""
    assert _is_complete(from_exception(_made(kind), NOW))


def test_there_are_exceptions_to_translate() -> None:
    """The walk above really finds httpx2's tree."""
    assert {httpx.ReadTimeout, httpx.InvalidURL, httpx.StreamConsumed} <= set(
        _all_httpx_exceptions()
    )


def test_another_exception_is_a_programming_mistake() -> None:
    """Only the connection's failures are the vendor's."""
    with pytest.raises(ValueError, match="KeyError"):
        from_exception(KeyError("x"), NOW)


NEVER_LEFT = {
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
}


@pytest.mark.parametrize("kind", _all_httpx_exceptions())
def test_a_lost_submit_is_unknown_unless_it_never_left(kind: type[Exception]) -> None:
    """Only a request of which no byte left may be sent again without looking first."""
    error = from_exception(_made(kind), NOW, is_submit=True)
    assert error.outcome_unknown is (kind not in NEVER_LEFT)
    assert not from_exception(_made(kind), NOW).outcome_unknown


KINDS = [
    (400, UpstreamKind.INVALID),
    (401, UpstreamKind.UNAUTHORIZED),
    (402, UpstreamKind.QUOTA),
    (403, UpstreamKind.FORBIDDEN),
    (404, UpstreamKind.NOT_FOUND),
    (408, UpstreamKind.TIMEOUT),
    (409, UpstreamKind.CONFLICT),
    (413, UpstreamKind.TOO_LARGE),
    (418, UpstreamKind.INVALID),
    (422, UpstreamKind.INVALID),
    (429, UpstreamKind.RATE_LIMITED),
    (500, UpstreamKind.SERVER),
    (502, UpstreamKind.SERVER),
    (503, UpstreamKind.SERVER),
    (504, UpstreamKind.SERVER),
    (302, UpstreamKind.INVALID),
    (304, UpstreamKind.INVALID),
    (100, UpstreamKind.MALFORMED),
]


@pytest.mark.parametrize(("status", "kind"), KINDS)
def test_statuses(status: int, kind: UpstreamKind) -> None:
    """Each status has its kind, keeps the vendor's words and says what to do."""
    error = from_response(_answer(status), NOW)
    assert (error.kind, error.status, error.vendor_message) == (kind, status, "vendor words")
    assert _is_complete(error)


@pytest.mark.parametrize(
    ("status", "unknown"),
    [(s, False) for s in (307, 400, 401, 402, 404, 413, 422, 429)]
    + [(s, True) for s in (303, 408, 500, 503)],
)
def test_a_submit_that_was_not_refused_is_unknown(status: int, *, unknown: bool) -> None:
    """A server error may come after the job was created; a refusal does not."""
    assert from_response(_answer(status), NOW, is_submit=True).outcome_unknown is unknown
    assert not from_response(_answer(status), NOW).outcome_unknown


def test_a_full_plan_is_no_rate_limit() -> None:
    """A 429 about the plan never clears by waiting, so it must not be retried."""
    error = from_response(_answer(429, "Your plan allows 5 projects."), NOW)
    assert (error.kind, error.retryable) == (UpstreamKind.QUOTA, False)
    assert from_response(_answer(429, "Rate limit exceeded for your plan."), NOW).retryable


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after": format_datetime(NOW.replace(second=30), usegmt=True)}, 30.0),
        ({"retry_after": format_datetime(NOW.replace(hour=11), usegmt=True)}, None),
        ({"retry_after": "0"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "99999999"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """The wait that was asked for is honoured in every form, and nonsense is ignored."""
    assert from_response(_answer(429, **headers), NOW).retry_after_s == seconds


@pytest.mark.parametrize(
    ("response", "request_id"),
    [
        (_answer(500, x_request_id="r-1"), "r-1"),
        (_answer(500, x_correlation_id="c-1"), "c-1"),
        (httpx.Response(500, json={"detail": "x", "correlation_id": "b-1"}), "b-1"),
        (_answer(500), None),
    ],
)
def test_request_ids(response: httpx.Response, request_id: str | None) -> None:
    """The vendor's name for the exchange is kept wherever it stands, for the vendor's support."""
    assert from_response(response, NOW).request_id == request_id


def test_validation_lists_become_one_line_without_the_input() -> None:
    """The place and the message of each problem are shown, the echoed request is not."""
    detail = [
        {
            "type": "enum",
            "loc": ["body", "tier"],
            "msg": "Input should be fast",
            "input": "whsec_secret",
        },
        {"type": "missing", "loc": ["body", "version"], "msg": "Field required", "input": {}},
    ]
    message = from_response(_answer(422, detail), NOW).vendor_message
    assert message == "tier: Input should be fast; version: Field required"


@pytest.mark.parametrize(
    "text", ["Invalid API Key llx-abc-123", "bad whsec_abc", "the plain-secret is wrong"]
)
def test_secrets_do_not_appear(text: str) -> None:
    """A service that echoes the key or the secret does not bring it into our messages."""
    error = from_response(_answer(401, text), NOW, hidden=("plain-secret", ""))
    assert not any(
        secret in error.vendor_message for secret in ("llx-abc", "whsec_abc", "plain-secret")
    )
    assert "[hidden]" in error.vendor_message


@pytest.mark.parametrize(
    "body", [b"", b"<html>gateway</html>", b"[1]", b'{"detail": 7}', b"\xff", b"[" * 9999]
)
def test_any_error_body_is_understood(body: bytes) -> None:
    """An HTML page or broken JSON under an error status is still that error."""
    error = from_response(httpx.Response(502, content=body), NOW)
    assert (error.kind, error.vendor_message) == (UpstreamKind.SERVER, "")


@given(
    status=st.integers(100, 599),
    detail=st.recursive(st.none() | st.text() | st.integers(), st.lists),
)
def test_no_answer_is_without_a_sentence(status: int, detail: Any) -> None:
    """Whatever the service answers, an operator gets a sentence and a next step."""
    assert _is_complete(from_response(_answer(status, detail), NOW))


def test_a_web_page_instead_of_json_is_named() -> None:
    """A login page of a proxy under status 200 is called what it is."""
    page = httpx.Response(200, content=b"  <!doctype html>")
    assert "web page" in malformed(page).what
    assert malformed(page, is_submit=True).outcome_unknown
    assert not malformed(page).outcome_unknown


def test_an_untrusted_certificate_is_named() -> None:
    """A TLS failure says so, instead of "cannot be reached"."""
    error = from_exception(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self signed"), NOW)
    assert "certificate" in error.what


# fact sheet 4.2 and 6: the codes that are known, and how many new jobs each is worth by rule
_CODES = {
    "UNSUPPORTED_FILE_TYPE": 0,
    "PDF_IS_PROTECTED": 0,
    "PDF_IS_BROKEN": 0,
    "NO_DATA_FOUND_IN_FILE": 0,
    "DOCUMENT_TOO_LARGE": 0,
    "TOO_MANY_PAGES": 0,
    "INVALID_TIER_VERSION_COMBINATION": 0,
    "TIMEOUT": 1,
    "EXPIRED": 2,
    "ERROR_DURING_PROCESSING": 2,
}


@pytest.mark.parametrize("code", _CODES)
def test_the_table_says_whether_a_retry_helps_how_often_and_what_it_costs(code: str) -> None:
    """Every known code has its line; whoever is told to try again is told the price of that too."""
    failure = job_failure(f"Job failed: {code}")
    assert (failure.code, failure.retries) == (code, _CODES[code])
    assert ("price" in failure.advice) == (failure.retries > 0)


def test_a_failure_that_nobody_knows_is_not_tried_again_by_itself() -> None:
    """Nothing is spent by rule on an unknown code; its price is told to the person who decides."""
    failure = job_failure("Job failed: MADE_UP_TODAY")
    assert failure.retries == 0
    assert "full price" in failure.advice


@pytest.mark.parametrize("failure", JOB_FAILURES, ids=lambda failure: failure.code)
def test_job_failure_codes(failure: Any) -> None:
    """Each documented code is found inside the vendor's message and says what to do."""
    assert job_failure(f"Job failed: {failure.code}: see the log") == failure
    assert failure.what.endswith(".")
    assert failure.next_step.endswith(".")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("", "UNKNOWN"),
        ("something odd", "UNKNOWN"),
        ("NEW_CODE_FROM_A_NEWER_SERVICE: x", "NEW_CODE_FROM_A_NEWER_SERVICE"),
        ("GATEWAY_TIMEOUT_X happened", "GATEWAY_TIMEOUT_X"),
    ],
)
def test_unknown_job_failures_keep_their_name(message: str, code: str) -> None:
    """A code from a newer service is shown as it is and never taken for another."""
    assert job_failure(message).code == code


def test_what_counts_against_the_route() -> None:
    """A broken document or our own pace say nothing about the route; a refused key and an outage do."""
    statuses = {
        401: True,
        402: True,
        500: True,
        429: False,
        400: False,
        413: False,
        422: False,
        404: False,
    }
    for status, counts in statuses.items():
        assert from_response(_answer(status), NOW).counts_against_health is counts
    assert from_exception(httpx.ConnectError("x"), NOW).counts_against_health


@pytest.mark.parametrize("kind", list(UpstreamKind))
def test_an_error_says_of_the_route_what_the_breaker_hears(kind: UpstreamKind) -> None:
    """Whether a failure counts is one rule: the error and the breaker never disagree."""
    heard = signal_of("status", kind.value, 0.1, None, HealthPolicy())
    assert UpstreamError(kind, "words").counts_against_health is heard.is_bad
