"""Markdown from a document is a stranger's text: nothing in it may load or run anything."""

import re

__all__ = ["harmless"]

_IMAGE = re.compile(r"!\[([^\]]*)\]\s*(\([^)]*\)|\[[^\]]*\])?")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s*\S+.*$", re.MULTILINE)
_LINK = re.compile(r"\]\(\s*<?\s*(?!https?://|mailto:|#)[^)]*\)", re.IGNORECASE)


def harmless(markdown: str) -> str:
    """The same words without raw HTML, pictures from elsewhere, odd links or Streamlit's directives.

    Streamlit never renders raw HTML here; it is escaped all the same, so that a reader sees it as the
    text it is.
    """
    shown = _IMAGE.sub(lambda match: f"[picture: {match[1] or 'without words'}]", markdown)
    shown = _DEFINITION.sub("", shown)
    shown = _LINK.sub("](#)", shown)
    shown = shown.replace("<", "&lt;").replace("$", "\\$")
    return re.sub(r":(?=[a-z_]+(?:-background)?[\[:/])", "&#58;", shown)
