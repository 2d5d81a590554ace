"""Query parameters, read and refused as the service's framework does it."""

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, date, datetime

from starlette.datastructures import QueryParams

from core.simulator.refusals import Refused, problem

__all__ = ["day", "each", "flag", "from_token", "moment", "number", "one_of", "page_size", "token"]

_PAGE_SIZE, _LARGEST_PAGE = 50, 1000


def each(query: QueryParams, name: str) -> list[str]:
    """The values of a list, given by repetition, by commas, or both."""
    return [part for value in query.getlist(name) for part in value.split(",") if part]


def one_of(query: QueryParams, name: str, known: Iterable[str]) -> str | None:
    """One of the known words. Raises ``Refused`` for another."""
    value, words = query.get(name), list(known)
    if value is not None and value not in words:
        expected = ", ".join(words)
        raise problem(["query", name], "literal_error", f"Input should be one of {expected}", value)
    return value


def page_size(query: QueryParams) -> int:
    """How many items a page may have, 50 unless said. Raises ``Refused`` outside of 1 to 1000."""
    size = number(query, "page_size", smallest=1, largest=_LARGEST_PAGE)
    return _PAGE_SIZE if size is None else size


def number(query: QueryParams, name: str, *, smallest: int, largest: int) -> int | None:
    """A whole number. Raises ``Refused`` for anything else."""
    value = query.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and smallest <= int(value[:12]) <= largest):
        message = f"Input should be a whole number from {smallest} to {largest}"
        raise problem(["query", name], "int_parsing", message, value)
    return int(value)


def flag(query: QueryParams, name: str) -> bool:
    """A switch, off unless said. Raises ``Refused`` for what is neither true nor false."""
    value = one_of(query, name, ("true", "false", "1", "0", "True", "False"))
    return value is not None and value.lower() in {"true", "1"}


def moment(query: QueryParams, name: str) -> float | None:
    """An ISO 8601 moment, in UTC unless it says otherwise. Raises ``Refused`` for anything else."""
    value = query.get(name)
    if value is None:
        return None
    try:
        # a plus that was not escaped arrives as a space
        found = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        message = "Input should be a valid datetime"
        raise problem(["query", name], "datetime_parsing", message, value) from error


def day(value: str | None, name: str) -> str | None:
    """A day as YYYY-MM-DD. Raises ``Refused`` for anything else."""
    if value is None:
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        message = "Input should be a valid date as YYYY-MM-DD"
        raise problem(["query", name], "date_parsing", message, value) from error


def token(place: int) -> str:
    """A page token that means this place."""
    return base64.urlsafe_b64encode(str(place).encode()).decode()


def from_token(query: QueryParams) -> int | None:
    """The place that the page token means. Raises ``Refused`` for one that is not ours."""
    given = query.get("page_token")
    if given is None:
        return None
    try:
        place = int(base64.urlsafe_b64decode(given.encode()))
    except (ValueError, binascii.Error) as error:
        raise Refused(400, "Invalid page token") from error
    if not 0 <= place < 2**62:
        raise Refused(400, "Invalid page token")
    return place
