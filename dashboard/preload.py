"""What the browser is told to fetch at once, instead of when it meets the first metric.

Streamlit loads the code of each kind of element when the first one arrives: a second round of requests
just when the numbers could be read. The kinds that the Overview begins with are announced with the
page itself, so that they come along with the rest (``rel=modulepreload``, WHATWG HTML).
"""

import re
from pathlib import Path

import streamlit

__all__ = ["link_header"]

_ELEMENTS = ("Button", "Metric", "PageLink")
_STATIC = Path(streamlit.__file__).parent / "static"
_IMPORTED = re.compile(rb'(?:from|import)"\./([\w.-]+\.js)"')


def link_header() -> bytes:
    """The value of ``Link`` for a page of the console; empty when Streamlit keeps its code elsewhere."""
    folder = _STATIC / "static" / "js"
    try:
        page = (_STATIC / "index.html").read_bytes()
        wanted = [path.name for kind in _ELEMENTS for path in folder.glob(f"{kind}.*.js")]
        chunks: list[str] = []
        while wanted:
            name = wanted.pop()
            # what the page names itself comes anyway
            if name in chunks or name.encode() in page:
                continue
            chunks.append(name)
            wanted += [found.decode() for found in _IMPORTED.findall((folder / name).read_bytes())]
    except OSError:
        return b""
    links = (f"</static/js/{name}>; rel=modulepreload; crossorigin" for name in sorted(chunks))
    return ", ".join(links).encode()
