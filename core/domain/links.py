"""A document that is known by its address alone: LlamaParse fetches it, Parsedeck never does."""

import hashlib
import ipaddress
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from core.domain.documents import Document, safe_name
from core.errors import DocumentRefused, RefusalReason

__all__ = [
    "LINK_TYPE",
    "is_public",
    "leads_here",
    "leads_inside",
    "link_name",
    "linked_document",
    "shown_link",
]

LINK_TYPE = "text/uri-list"
"""The media type under which a link is kept (RFC 2483); what it leads to is not known."""

_LONGEST = 2000
_SOUND = frozenset({"m4a", "mp3", "mp4", "mpeg", "mpga", "wav", "webm"})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""A gateway takes the last 32 bits for an IPv4 address (RFC 6052)."""

_INSIDE = (".local", ".localhost", ".internal", ".lan", ".home.arpa")


def linked_document(address: str) -> Document:
    """The document at ``address``, of unknown length; nothing is fetched.

    Raises ``DocumentRefused`` for what is no address, and for one with a password in it.
    """
    address = address.strip()
    parts = _parts(address)
    if parts.username is not None or parts.password is not None:
        raise _refused(
            "The link holds a user name or password.",
            "Take it out: it would be stored, and passed on to LlamaParse.",
        )
    if parts.path.lower().rpartition(".")[2] in _SOUND:
        raise _refused(
            "The link leads to sound, which LlamaParse bills by the minute.",
            "How long it is cannot be known before, so it cannot be quoted: it is not taken here.",
        )
    url = urlunsplit(parts._replace(fragment=""))
    digest = hashlib.sha256(b"parsedeck link\0" + url.encode()).hexdigest()
    return Document(digest, 0, LINK_TYPE, None, source_url=url)


def link_name(url: str) -> str:
    """What the document is called: the last part of the path, else the host."""
    parts = urlsplit(url)
    last = unquote(parts.path.rstrip("/").rpartition("/")[2])
    return safe_name(last or parts.hostname or "link")


def shown_link(url: str) -> str:
    """The address as it may be shown: a query often holds a signature that opens the document."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(query="", fragment=""))
    return f"{bare}?…" if parts.query else bare


def _parts(address: str) -> SplitResult:
    if len(address) > _LONGEST:
        raise _refused(f"The link is longer than {_LONGEST:,} characters.", "Use a shorter one.")
    if not address.isprintable() or " " in address:
        raise _refused("The link holds characters that no address has.", "Copy it again.")
    no_link = _refused(
        "This is not a link.", "Paste an address that starts with https:// or http://."
    )
    try:
        parts = urlsplit(address)
        is_complete = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        raise no_link from None
    if not is_complete:
        raise no_link
    return parts


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also when it is wrapped in an IPv6 one."""
    found = ipaddress.ip_address(address.partition("%")[0])
    wrapped = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    if found in _NAT64:
        wrapped = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
    return found.is_global and not found.is_multicast and (wrapped is None or wrapped.is_global)


def leads_here(url: str) -> bool:
    """Whether it is plain http on this machine: the only place where the simulator fetches from."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return parts.scheme == "http" and is_loopback


def leads_inside(url: str) -> bool:
    """Whether the host is, by its name alone, in a private network: LlamaParse cannot reach it."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.lower().endswith(_INSIDE)


def _refused(what: str, next_step: str) -> DocumentRefused:
    return DocumentRefused(RefusalReason.BAD_LINK, what, next_step)
