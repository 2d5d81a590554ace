"""Setup: facts, and settings that are changed there."""

from collections.abc import Callable

import dashboard.runtime
from core.console import Console
from tests.dashboard.reading import Open, words


def test_real_without_a_key_is_not_offered(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """A missing key shows as a fact with what to do, and REAL cannot be chosen."""
    console = make_console()
    app = open_screen(console, "screens/setup.py")
    assert any("LLAMAPARSE_API_KEY" in m.value.replace("\\", "") for m in app.markdown)
    app = open_screen(console, "screens/modes.py")
    assert app.button(key="switch-real").disabled
    assert not app.button(key="switch-hybrid").disabled


def test_a_new_key_offers_real(make_console: Callable[..., Console], open_screen: Open) -> None:
    """When a key was added while the mode is MOCK, Setup offers REAL."""
    console = make_console(api_key="llx-test", mode="mock")
    app = open_screen(console, "screens/setup.py")
    assert any("Switch to REAL" in info.value for info in app.info)


def test_a_fact_of_setup_says_in_words_how_it_stands(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """No fact is told apart by its colour alone."""
    app = open_screen(make_console(), "screens/setup.py")
    assert "fine] **Database**" in words(app)
    assert "look] **Worker**" in words(app)


def test_a_setting_is_changed_in_setup_and_can_be_taken_back(
    make_console: Callable[..., Console], open_screen: Open
) -> None:
    """Setup stores a setting under the person's name, says what is wrong with a bad one, and undoes it."""
    console = make_console(requests_per_minute=90)
    app = open_screen(console, "screens/setup.py")
    app.text_input(key="requests_per_minute").input("none")
    app.button(key="store-requests_per_minute").click().run()
    assert "PARSEDECK\\_REQUESTS\\_PER\\_MINUTE" in app.error[0].value
    assert console.setup.in_force().requests_per_minute == 90
    app.text_input(key="requests_per_minute").input("30")
    app.button(key="store-requests_per_minute").click().run()
    assert console.setup.in_force().requests_per_minute == 30
    assert f"not stored → 30 · {dashboard.runtime.actor()}" in words(app)
    app.button(key="unset-requests_per_minute").click().run()
    assert console.setup.in_force().requests_per_minute == 90
    assert not app.exception
