"""What the browser is told to fetch at once, instead of when it meets the first metric.

Streamlit loads the code of each kind of element when the first one arrives: a second round of requests
just when the numbers could be read. The kinds that the Overview begins with are announced with the
page itself, so that they come along with the rest (``rel=modulepreload``, WHATWG HTML). ``Html`` is
not among them: it carries our style only, and the numbers do not wait for it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import streamlit

__all__ = ["code_of", "link_header"]

_ELEMENTS = ("Button", "Metric", "PageLink")
_STATIC = Path(streamlit.__file__).parent / "static"
_IMPORTED = re.compile(rb'(?:from|import)"\./([\w.-]+\.js)"')


def link_header() -> bytes:
    """The value of ``Link`` for a page of the console; empty when Streamlit keeps its code elsewhere."""
    links = (f"</static/js/{name}>; rel=modulepreload; crossorigin" for name in code_of(_ELEMENTS))
    return ", ".join(links).encode()


def code_of(kinds: Sequence[str]) -> list[str]:
    """The files of these kinds of elements, and what they import, that the page itself does not name."""
    folder = _STATIC / "static" / "js"
    try:
        page = (_STATIC / "index.html").read_bytes()
        wanted = [path.name for kind in kinds for path in folder.glob(f"{kind}.*.js")]
        chunks: list[str] = []
        while wanted:
            name = wanted.pop()
            # what the page names itself comes anyway
            if name in chunks or name.encode() in page:
                continue
            chunks.append(name)
            wanted += [found.decode() for found in _IMPORTED.findall((folder / name).read_bytes())]
    except OSError:
        return []
    return sorted(chunks)
