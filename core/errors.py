"""What can go wrong, as one tree, each error with the sentence a person needs.

    ConsoleError                  base: what happened, and what to do next
    ├── SettingsError             a setting has a wrong value; names the variable
    ├── DocumentRefused           this file cannot be taken; says why and what to do
    ├── NotFound                  no such job, document or delivery
    ├── NotAllowed                the state of the thing does not allow the action
    │   ├── KeyMissing            LlamaParse cannot be asked without a key; what needs it waits
    │   ├── PriceMissing          what would be spent has no price, so it is not spent
    │   └── Overtaken             somebody else changed it meanwhile
    ├── WebhookRejected           a delivery is not accepted; carries the verdict
    ├── StoreUnavailable          the database cannot be reached
    ├── BlobError                 a blob cannot be written or read
    │   └── StorageFull           the disk or bucket has no room
    └── UpstreamError             the vendor did not do what was asked
        └── SimulatorRefused      REAL was pointed at the simulator

Programming mistakes are ``ValueError`` or ``RuntimeError``, never a ``ConsoleError``.
"""

from datetime import date
from enum import StrEnum

__all__ = [
    "BlobError",
    "ConsoleError",
    "DocumentRefused",
    "KeyMissing",
    "NotAllowed",
    "NotFound",
    "Overtaken",
    "PriceMissing",
    "RefusalReason",
    "SettingsError",
    "SimulatorRefused",
    "StorageFull",
    "StoreUnavailable",
    "UpstreamError",
    "UpstreamKind",
    "WebhookRejected",
]


class ConsoleError(Exception):
    """Something a person can act on: ``what`` happened and the ``next_step``."""

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(f"{what} {next_step}".strip())
        self.what = what
        self.next_step = next_step


class SettingsError(ConsoleError):
    """A setting has a wrong value; ``variable`` is the name to change."""

    def __init__(self, variable: str, what: str, next_step: str = "") -> None:
        super().__init__(f"{variable}: {what}", next_step)
        self.variable = variable


class RefusalReason(StrEnum):
    """Why a file is not taken; the closed set that screens and tests use."""

    EMPTY = "empty"
    WRONG_TYPE = "wrong_type"
    UNSUPPORTED = "unsupported"
    ENCRYPTED = "encrypted"
    BROKEN = "broken"
    NO_PAGES = "no_pages"
    TOO_LARGE = "too_large"
    BAD_NAME = "bad_name"
    TIMED_OUT = "timed_out"
    BAD_LINK = "bad_link"


class DocumentRefused(ConsoleError):
    """A file that cannot be parsed; costs nothing and creates no job."""

    def __init__(self, reason: RefusalReason, what: str, next_step: str = "") -> None:
        super().__init__(what, next_step)
        self.reason = reason


class NotFound(ConsoleError):
    """There is no such thing; it may have been deleted, or the link is wrong."""

    def __init__(self, kind: str, identifier: str) -> None:
        super().__init__(f"There is no {kind} {identifier!r}.", "Check the link, or open the list.")


class NotAllowed(ConsoleError):
    """The thing's present state does not allow what was asked; nothing was changed."""


class KeyMissing(NotAllowed):
    """LlamaParse cannot be asked without a key; what needs it waits until there is one."""

    def __init__(self) -> None:
        super().__init__("LlamaParse has no key.", "Set LLAMAPARSE_API_KEY, then start again.")


class PriceMissing(NotAllowed):
    """What would be spent has no price on that day; nothing is spent unquoted."""

    def __init__(self, of_what: str, day: date) -> None:
        super().__init__(
            f"The price book has no price for {of_what} on {day.isoformat()}.",
            "Nothing is spent unquoted: add the price on the Limits screen, then try again.",
        )


class Overtaken(NotAllowed):
    """Somebody else changed the same thing meanwhile; nothing was overwritten."""


class WebhookRejected(ConsoleError):
    """A delivery is not accepted; ``reason`` is one of the documented verdicts."""

    def __init__(self, reason: str, what: str = "") -> None:
        super().__init__(what or reason)
        self.reason = reason


class StoreUnavailable(ConsoleError):
    """The database cannot be reached; nothing was changed and nothing was spent."""


class BlobError(ConsoleError):
    """A blob cannot be written or read."""


class StorageFull(BlobError):
    """The disk or bucket has no room; the upload was not stored."""


class UpstreamKind(StrEnum):
    """What kind of failure the vendor's answer (or its absence) is."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    QUOTA = "quota"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    RESULT_MISSING = "result_missing"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    MALFORMED = "malformed"
    DOCUMENT = "document"
    SIMULATOR = "simulator"


_RETRYABLE = frozenset(
    {
        UpstreamKind.CONNECTION,
        UpstreamKind.TIMEOUT,
        UpstreamKind.RATE_LIMITED,
        UpstreamKind.SERVER,
        UpstreamKind.MALFORMED,
    }
)
_AGAINST_HEALTH = frozenset(
    {
        UpstreamKind.CONNECTION,
        UpstreamKind.TIMEOUT,
        UpstreamKind.SERVER,
        UpstreamKind.MALFORMED,
        UpstreamKind.UNAUTHORIZED,
        UpstreamKind.QUOTA,
        UpstreamKind.SIMULATOR,
    }
)


class UpstreamError(ConsoleError):
    """The vendor did not do what was asked.

    ``outcome_unknown`` is true when the request may have been carried out although no usable
    answer came back; a submit must then not be repeated blindly.
    """

    def __init__(  # noqa: PLR0913 - each part is a fact that some reader of the error needs
        self,
        kind: UpstreamKind,
        what: str,
        next_step: str = "",
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        vendor_message: str = "",
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(what, next_step)
        self.kind = kind
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.vendor_message = vendor_message
        self.outcome_unknown = outcome_unknown

    @property
    def retryable(self) -> bool:
        """Whether asking again later can help."""
        return self.kind in _RETRYABLE

    @property
    def counts_against_health(self) -> bool:
        """Whether this says something about the route rather than about the document."""
        return self.kind in _AGAINST_HEALTH


class SimulatorRefused(UpstreamError):
    """REAL was pointed at the simulator; nothing is sent, so nothing simulated passes as real."""

    def __init__(self) -> None:
        super().__init__(
            UpstreamKind.SIMULATOR,
            "The address configured for LlamaParse is Parsedeck's simulator, not the service.",
            "Point LLAMAPARSE_BASE_URL at the service, or switch to MOCK.",
        )
