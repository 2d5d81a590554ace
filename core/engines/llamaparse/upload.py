"""A multipart body that is streamed: the document is never in memory as a whole."""

import secrets
from collections.abc import AsyncIterator

from core.engines.protocol import Content

__all__ = ["UploadBody"]

# As browsers and httpx write a file name into a header (WHATWG HTML, multipart form data).
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


class UploadBody:
    """The parts ``configuration`` and ``file``, with a length that is known before the first byte."""

    def __init__(self, configuration: str, name: str, media_type: str, content: Content) -> None:
        boundary = secrets.token_hex(16)
        self._content = content
        self._head = (
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="configuration"\r\n\r\n'
            f"{configuration}\r\n"
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{name.translate(_ESCAPES)}"\r\n'
            f"Content-Type: {_header_safe(media_type)}\r\n\r\n"
        ).encode("utf-8", "replace")
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        length = len(self._head) + content.size_bytes + len(self._tail)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(length),
        }

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes in order, from the start each time."""
        yield self._head
        async for chunk in self._content.chunks():
            yield chunk
        yield self._tail


def _header_safe(media_type: str) -> str:
    is_plain = media_type.isascii() and media_type.isprintable()
    return media_type if media_type and is_plain else "application/octet-stream"
