"""What a person reads on a screen."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

__all__ = ["Open", "no_traceback", "words"]

Open = Callable[..., AppTest]


def no_traceback(app: AppTest) -> None:
    """Nothing on the screen is an exception."""
    assert not app.exception, app.exception


def words(app: AppTest) -> str:
    """The words of the screen, its small print too, without the marks of markdown."""
    shown = [*app.markdown, *app.caption, *app.success, *app.warning, *app.info, *app.error]
    return " ".join(element.value for element in shown).replace("\\", "")
