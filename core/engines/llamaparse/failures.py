"""What a failure of the service means: the only place that looks at status codes and exceptions."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2 as httpx

from core.errors import UpstreamError, UpstreamKind

__all__ = [
    "answer_too_long",
    "deadline_passed",
    "from_exception",
    "from_response",
    "malformed",
    "not_the_simulator",
    "result_missing",
    "sent_too_late",
]

_K = UpstreamKind
_MESSAGE_LIMIT = 500
_LONGEST_WAIT_S = 24 * 3600.0
_BY_ITSELF = "It is tried again by itself."
_NOTHING_LOST = "New documents wait; nothing is lost."
_IN_BETWEEN = "Check for a proxy in between, and LLAMAPARSE_BASE_URL."


@dataclass(frozen=True, slots=True)
class _Meaning:
    kind: UpstreamKind
    what: str
    next_step: str


# Fact sheet 4.2; the vendor's own text is kept beside these sentences.
_STATUSES: Mapping[int, _Meaning] = {
    400: _Meaning(
        _K.INVALID,
        "LlamaParse did not accept the request (400).",
        "Read its message; change the document or options.",
    ),
    401: _Meaning(
        _K.UNAUTHORIZED,
        f"LlamaParse refused the key (401). {_NOTHING_LOST}",
        "Check LLAMAPARSE_API_KEY and that LLAMAPARSE_BASE_URL is the region the key was made in.",
    ),
    402: _Meaning(
        _K.QUOTA,
        f"The LlamaParse plan has no credits left (402). {_NOTHING_LOST}",
        "Raise the plan or its cap at LlamaParse, then release the held jobs.",
    ),
    403: _Meaning(
        _K.FORBIDDEN,
        "The key may not do this in its project (403).",
        "Use a key of the right project and role.",
    ),
    404: _Meaning(
        _K.NOT_FOUND,
        "LlamaParse does not know this job, or no longer.",
        "Parse the document again.",
    ),
    408: _Meaning(_K.TIMEOUT, "LlamaParse gave up waiting for the request (408).", _BY_ITSELF),
    409: _Meaning(
        _K.CONFLICT,
        "The job's state does not allow this (409).",
        "Open the job to see where it stands.",
    ),
    413: _Meaning(
        _K.TOO_LARGE,
        "The document is too large for LlamaParse (413).",
        "Split it into parts below 512 MB.",
    ),
    422: _Meaning(
        _K.INVALID,
        "LlamaParse did not understand the options (422).",
        "Read its message; update Parsedeck if the service has become newer.",
    ),
    429: _Meaning(_K.RATE_LIMITED, "LlamaParse asks for fewer requests (429).", _BY_ITSELF),
}
_OTHER_REGION = {
    "na": "Check LLAMAPARSE_API_KEY. North America was asked: a key made in the EU needs"
    " LLAMAPARSE_BASE_URL=eu.",
    "eu": "Check LLAMAPARSE_API_KEY. The EU was asked: a key made in North America needs"
    " LLAMAPARSE_BASE_URL=na.",
}
_PLAN_IS_FULL = _Meaning(
    _K.QUOTA,
    f"The LlamaParse plan allows no more of this (429). {_NOTHING_LOST}",
    "Waiting does not help: raise the plan at LlamaParse, then release the held jobs.",
)
_SERVER = _Meaning(_K.SERVER, "LlamaParse had an internal error.", _BY_ITSELF)
_REFUSED = _Meaning(_K.INVALID, "LlamaParse refused the request.", "Read its message.")
_ELSEWHERE = _Meaning(
    _K.INVALID,
    "The LlamaParse address redirects to another one, and a key is not carried along.",
    "Set LLAMAPARSE_BASE_URL to the final address, with https://.",
)
_STRANGE = _Meaning(
    _K.MALFORMED, "LlamaParse answered something that is not in its documentation.", _IN_BETWEEN
)

_TIMEOUT = _Meaning(_K.TIMEOUT, "LlamaParse did not answer in time.", _BY_ITSELF)
_UNREACHABLE = _Meaning(
    _K.CONNECTION,
    "LlamaParse cannot be reached.",
    f"Check the network and LLAMAPARSE_BASE_URL. {_BY_ITSELF}",
)
_UNTRUSTED = _Meaning(
    _K.CONNECTION,
    "The LlamaParse address shows a certificate that this machine does not trust.",
    "Check LLAMAPARSE_BASE_URL, the clock, and a proxy that opens TLS; its certificate may be missing here.",
)
_INTERRUPTED = _Meaning(_K.CONNECTION, "The connection to LlamaParse broke off.", _BY_ITSELF)
_PROXY = _Meaning(
    _K.CONNECTION,
    "The proxy did not let the request through.",
    "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
)
_PROXY_UNREACHABLE = _Meaning(
    _K.CONNECTION,
    "LlamaParse cannot be reached through the proxy that the environment names.",
    f"Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY. {_BY_ITSELF}",
)
_NO_TLS = _Meaning(
    _K.CONNECTION,
    "The LlamaParse address does not speak TLS.",
    "Check LLAMAPARSE_BASE_URL: its https:// and its port.",
)
_ADDRESS = _Meaning(
    _K.INVALID,
    "The LlamaParse address cannot be used.",
    "Write LLAMAPARSE_BASE_URL in full, with https:// in front.",
)
_UNREADABLE = _Meaning(_K.MALFORMED, "LlamaParse's answer cannot be read.", _IN_BETWEEN)
_UNSENDABLE = _Meaning(
    _K.INVALID,
    "The request could not be written as announced.",
    "Upload the document again; its stored copy may be damaged.",
)

# First match wins: a class stands before its bases.
_EXCEPTIONS: tuple[tuple[type[Exception], _Meaning], ...] = (
    (httpx.UnsupportedProtocol, _ADDRESS),
    (httpx.InvalidURL, _ADDRESS),
    (httpx.ProxyError, _PROXY),
    (httpx.TimeoutException, _TIMEOUT),
    (httpx.ConnectError, _UNREACHABLE),
    (httpx.NetworkError, _INTERRUPTED),
    (httpx.LocalProtocolError, _UNSENDABLE),
    (httpx.ProtocolError, _INTERRUPTED),
    (httpx.TooManyRedirects, _ELSEWHERE),
    (httpx.DecodingError, _UNREADABLE),
    (httpx.SSEError, _UNREADABLE),
    (httpx.CookieConflict, _UNREADABLE),
    (httpx.RequestNotRead, _UNSENDABLE),
    (httpx.StreamError, _INTERRUPTED),
    # the bases, for whatever a newer httpx2 adds below them
    (httpx.TransportError, _INTERRUPTED),
    (httpx.HTTPError, _INTERRUPTED),
)
# Raised before the first byte of a request leaves: a submit that ended so did not happen.
_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
# A redirect of these kinds says that the request was not carried out (RFC 9110, 15.4).
_NOT_CARRIED_OUT = frozenset({301, 302, 307, 308})


def from_response(
    response: httpx.Response,
    now: datetime,
    *,
    is_submit: bool = False,
    hidden: Iterable[str] = (),
    region: str = "",
) -> UpstreamError:
    """What an answer other than success means; its body must have been read.

    ``hidden`` are texts, such as the key, that must not appear in the vendor's message; ``region`` is
    the one that was asked, ``na`` or ``eu``. A submit that the service did not clearly refuse has an
    unknown outcome.
    """
    status = response.status_code
    body = _json_of(response)
    message = _shown(_detail_of(body), hidden)
    meaning = _meaning_of(status, message)
    next_step = meaning.next_step
    if meaning.kind is _K.UNAUTHORIZED and region in _OTHER_REGION:
        next_step = _OTHER_REGION[region]
    refused = httpx.codes.is_client_error(status) and status != httpx.codes.REQUEST_TIMEOUT
    return UpstreamError(
        meaning.kind,
        meaning.what,
        next_step,
        status=status,
        request_id=_request_id_of(response.headers, body),
        retry_after_s=_retry_after_s(response.headers, now),
        vendor_message=message,
        outcome_unknown=is_submit and not refused and status not in _NOT_CARRIED_OUT,
    )


def from_exception(
    error: Exception, now: datetime, *, is_submit: bool = False, via_proxy: bool = False
) -> UpstreamError:
    """What the lack of an answer means. Raises ``ValueError`` for what is not httpx2's."""
    if isinstance(error, httpx.HTTPStatusError):
        return from_response(error.response, now, is_submit=is_submit)
    for kind, meaning in _EXCEPTIONS:
        if isinstance(error, kind):
            found = meaning
            if meaning is _UNREACHABLE:
                found = _unreachable(str(error), via_proxy=via_proxy)
            unknown = is_submit and not isinstance(error, _NEVER_LEFT)
            return UpstreamError(found.kind, found.what, found.next_step, outcome_unknown=unknown)
    msg = f"{type(error).__name__} is not a failure of the connection"
    raise ValueError(msg) from error


def _unreachable(words: str, *, via_proxy: bool) -> _Meaning:
    if "CERTIFICATE" in words:
        return _UNTRUSTED
    if "SSL" in words or "TLS" in words:
        return _NO_TLS
    return _PROXY_UNREACHABLE if via_proxy else _UNREACHABLE


def deadline_passed(*, is_submit: bool = False) -> UpstreamError:
    """Our own patience ended before the answer came."""
    return UpstreamError(
        _TIMEOUT.kind, _TIMEOUT.what, _TIMEOUT.next_step, outcome_unknown=is_submit
    )


def malformed(response: httpx.Response, *, is_submit: bool = False) -> UpstreamError:
    """A success whose body is not what the documentation says."""
    looks_like_html = response.content[:200].lstrip()[:1] == b"<"
    what = (
        "LlamaParse's address answered with a web page instead of JSON."
        if looks_like_html
        else _UNREADABLE.what
    )
    return UpstreamError(
        _K.MALFORMED,
        what,
        _UNREADABLE.next_step,
        status=response.status_code,
        request_id=_request_id_of(response.headers, None),
        outcome_unknown=is_submit,
    )


def result_missing() -> UpstreamError:
    """A job that is completed but whose result never came, also after asking again."""
    return UpstreamError(
        _K.RESULT_MISSING,
        "LlamaParse says that the job is completed, but has no result for it.",
        "Retry it: it is then parsed anew, past LlamaParse's cache, and paid for once more.",
    )


def answer_too_long(at_most_bytes: int, *, is_submit: bool = False) -> UpstreamError:
    """An answer that would not fit into memory, so it was not read to its end."""
    return UpstreamError(
        _K.TOO_LARGE,
        f"LlamaParse's answer is larger than {at_most_bytes // 1024 // 1024} MB, so it was not read.",
        "The result stays at LlamaParse. Parse the document in parts, by page ranges.",
        outcome_unknown=is_submit,
    )


def sent_too_late() -> UpstreamError:
    """A submit that was held up on this machine for so long that it must not leave any more."""
    return UpstreamError(
        _K.TIMEOUT,
        "This machine was too busy to send the document in time, so it was not sent.",
        _BY_ITSELF,
    )


def not_the_simulator() -> UpstreamError:
    """MOCK was answered by something that might cost money."""
    return UpstreamError(
        _K.SIMULATOR,
        "MOCK was answered by something that is not Parsedeck's simulator, so nothing more is sent.",
        "Restart Parsedeck, so that it starts its own simulator, or switch to REAL.",
    )


def _meaning_of(status: int, message: str) -> _Meaning:
    words = message.lower()
    if status == httpx.codes.TOO_MANY_REQUESTS and "plan" in words and "rate limit" not in words:
        return _PLAN_IS_FULL
    if status in _STATUSES:
        return _STATUSES[status]
    if httpx.codes.is_server_error(status):
        return _SERVER
    if httpx.codes.is_client_error(status):
        return _REFUSED
    return _ELSEWHERE if httpx.codes.is_redirect(status) else _STRANGE


def _json_of(response: httpx.Response) -> object:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


def _detail_of(body: object) -> str:
    """The vendor's words: ``detail`` as text, or as a list of ``{loc, msg}``; never the echoed input."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, str):
        return detail
    if not isinstance(detail, list):
        return ""
    entries = [entry for entry in detail if isinstance(entry, dict)]
    return "; ".join(f"{_place(entry.get('loc'))}: {entry.get('msg', '')}" for entry in entries)


def _place(loc: object) -> str:
    return (
        ".".join(str(part) for part in loc if part != "body")
        if isinstance(loc, list)
        else "request"
    )


def _shown(message: str, hidden: Iterable[str]) -> str:
    for secret in filter(None, hidden):
        message = message.replace(secret, "[hidden]")
    message = re.sub(r"\b(llx-|whsec_)[\w-]+", r"\1[hidden]", message)
    return " ".join(message.split())[:_MESSAGE_LIMIT]


def _request_id_of(headers: Mapping[str, str], body: object) -> str | None:
    """The vendor's name for the exchange; where it stands is not documented, so several are tried."""
    for name in ("x-request-id", "x-correlation-id", "x-amzn-requestid", "cf-ray"):
        if headers.get(name):
            return headers[name][:100]
    values = (
        [body.get(key) for key in ("correlation_id", "request_id")]
        if isinstance(body, dict)
        else []
    )
    return next((value[:100] for value in values if isinstance(value, str) and value), None)


def _retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _plausible(milliseconds / 1000)
    value = headers.get("retry-after", "")
    seconds = _number(value)
    return _plausible(_seconds_until(value, now) if seconds is None else seconds)


def _plausible(seconds: float | None) -> float | None:
    return None if seconds is None or not 0 < seconds <= _LONGEST_WAIT_S else seconds


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds_until(value: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
