"""The words and signs of deliveries and of the steps of their verdict."""

from core.services.deliveries import CheckState
from dashboard.wording import Sign

__all__ = ["CHECK_SIGNS", "VERDICT_SIGNS"]

_OK, _BAD = ":material/check_circle:", ":material/cancel:"
VERDICT_SIGNS: dict[str, Sign] = {
    "accepted": Sign("accepted", _OK, "green", "✓"),
    "parked": Sign("parked", ":material/inbox:", "blue", "○"),
    "unknown_type": Sign("other type", ":material/inbox:", "gray", "○"),
    "duplicate": Sign("duplicate", ":material/content_copy:", "gray", "="),
    "bad_signature": Sign("bad signature", _BAD, "red", "✕"),
    "missing_signature": Sign("not signed", _BAD, "red", "✕"),
    "no_secret": Sign("no secret here", _BAD, "red", "✕"),
    "malformed": Sign("malformed", _BAD, "red", "✕"),
    "stale": Sign("too old", ":material/schedule:", "orange", "✕"),
    "future": Sign("from the future", ":material/schedule:", "orange", "✕"),
    "incomplete": Sign("incomplete", _BAD, "orange", "✕"),
    "too_slow": Sign("too slow", ":material/schedule:", "orange", "✕"),
    "too_large": Sign("too large", _BAD, "orange", "✕"),
    "unsupported": Sign("not plain JSON", _BAD, "orange", "✕"),
    "flood": Sign("flood", ":material/flood:", "red", "✕"),
}
"""By verdict, those that were answered 2xx first."""

CHECK_SIGNS: dict[CheckState, Sign] = {
    CheckState.OK: Sign("holds", _OK, "green", "✓"),
    CheckState.FAILED: Sign("fails", _BAD, "red", "✕"),
    CheckState.WAITING: Sign("waits", ":material/pending:", "blue", "●"),
    CheckState.SKIPPED: Sign("not reached", ":material/remove:", "gray", "–"),
}
