"""Files on their way in: dropped ones are checked once, and stay checked while the screen reruns."""

import io
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import streamlit as st

from core.console import Console
from core.domain.routing import MAX_PAGES_UNKNOWN
from core.errors import ConsoleError
from core.samples import sample_documents
from core.services.quotes import Upload
from dashboard.boundary import tell

__all__ = ["ask_ceiling", "collect", "preload", "press_key", "start_over"]

_CHECKED = "uploads_checked"
_SAMPLES = "uploads_samples"
_ROUND = "uploads_round"
_PRESS = "uploads_press"
_AGAIN = "uploads_again"
MAX_FILES = 200


def collect(console: Console) -> list[Upload]:
    """The uploader and the samples button; what was handed over so far, checked."""
    round_ = st.session_state.setdefault(_ROUND, 0)
    dropped = st.file_uploader(
        f"Drop files or a ZIP here, up to {console.settings.max_upload_mb} MB each",
        accept_multiple_files=True,
        key=f"files-{round_}",
        max_upload_size=console.settings.max_upload_mb,
    )
    if not dropped and st.button(
        "Try three sample documents", icon=":material/science:", key="samples"
    ):
        st.session_state[_SAMPLES] = True
    handed: list[tuple[str, str, BinaryIO]] = [(f.file_id, f.name, f) for f in dropped or []]
    if st.session_state.get(_SAMPLES):
        handed += [(f"sample-{n}", n, io.BytesIO(b)) for n, b in sample_documents().items()]
    if len(handed) > MAX_FILES:
        st.warning(
            f"{len(handed)} files at once: the first {MAX_FILES} are taken, drop the rest after them."
        )
    found = list(_checked(console, handed[:MAX_FILES]))
    found += _linked(console, round_)
    again: list[str] = st.session_state.get(_AGAIN, [])
    if again:
        st.caption(f"{len(again)} parsed before, to be parsed again.")
        found += console.submissions.stored(again)
    chosen = st.session_state.get(f"ceiling-{round_}")
    return [upload.at_most(chosen) for upload in found] if chosen else found


def ask_ceiling(unknown: Sequence[Upload]) -> None:
    """How many pages at most of what will be parsed and does not say how long it is; ``collect`` goes by it."""
    if not unknown:
        return
    key = f"ceiling-{st.session_state[_ROUND]}"
    st.session_state.setdefault(key, max(upload.priced_pages for upload in unknown))
    which = "it" if len(unknown) == 1 else f"each of the {len(unknown)} without a page count"
    st.number_input(
        f"Parse at most so many pages of {which}",
        min_value=1,
        max_value=MAX_PAGES_UNKNOWN,
        key=key,
        help="What a link leads to, and some office files, do not say how long they are. The price is for"
        " so many pages; what is billed is for the pages that are parsed. A lower number costs less;"
        " a file that is saved as PDF is priced by its true pages.",
    )


def preload(job_ids: list[str]) -> None:
    """Have the documents of these jobs on the Submit screen, to be parsed again."""
    start_over()
    st.session_state[_AGAIN] = job_ids
    st.session_state["again"] = True


def press_key() -> str:
    """One key for one press of Parse, however often the button fires."""
    key: str = st.session_state.setdefault(_PRESS, uuid.uuid4().hex)
    return key


def start_over() -> None:
    """Empty the screen for the next documents."""
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    for name in (_CHECKED, _SAMPLES, _PRESS, _AGAIN):
        st.session_state.pop(name, None)


def _linked(console: Console, round_: int) -> list[Upload]:
    pasted = st.text_input(
        "Or paste a link to a document",
        key=f"link-{round_}",
        placeholder="https://",
        help="LlamaParse fetches it; Parsedeck does not, and keeps no copy.",
    )
    return [console.submissions.link(address) for address in (pasted or "").split()]


def _checked(console: Console, handed: Iterable[tuple[str, str, BinaryIO]]) -> Iterator[Upload]:
    known: dict[str, list[Upload]] = st.session_state.setdefault(_CHECKED, {})
    waiting = [item for item in handed if item[0] not in known]
    if waiting:
        bar = st.progress(0.0, text="Looking at the documents…")
        for count, (file_id, name, file) in enumerate(waiting, start=1):
            known[file_id] = _look(console, name, file)
            bar.progress(count / len(waiting), text=f"Looked at {count} of {len(waiting)}")
        bar.empty()
    for file_id, _name, _file in handed:
        yield from known[file_id]


def _look(console: Console, name: str, file: BinaryIO) -> list[Upload]:
    try:
        return [
            console.submissions.preflight(inner, source)
            for inner, source in console.submissions.unpack(name, file)
        ]
    except ConsoleError as error:
        tell(error)
        return []
