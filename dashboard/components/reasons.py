"""A reason, and what it is for: one form wherever an action stands on record with why."""

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from dashboard.boundary import carry_out

__all__ = ["Answer", "ask"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A button beside the reason, and what it does with it. ``is_main`` marks the main action of the form."""

    label: str
    key: str
    act: Callable[[str], object]
    icon: str | None = None
    is_main: bool = False


def ask(
    key: str,
    *answers: Answer,
    label: str = "Why",
    placeholder: str = "so that others understand it later",
) -> None:
    """Ask for a reason and carry out what is chosen; what is refused says why, and the reason stays."""
    reason = st.text_input(label, key=key, placeholder=placeholder) or ""
    with st.container(horizontal=True):
        pressed = [
            answer
            for answer in answers
            if st.button(
                answer.label.replace("$", "\\$"),
                key=answer.key,
                icon=answer.icon,
                type="primary" if answer.is_main else "secondary",
            )
        ]
    # below the form, where there is room for a sentence
    for answer in pressed:
        carry_out(lambda: answer.act(reason))  # noqa: B023 - carried out at once
