"""Settings: a wrong value stops the start, secrets stay secret, other programs' keys are ignored."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.console import Console
from core.errors import SettingsError
from core.settings import Settings
from core.store import settings as stored
from core.store.settings import StoredSetting
from tests.factories import ALICE


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARSEDECK_DAILY_LIMIT_USD", "-1"),
        ("PARSEDECK_DAILY_LIMIT_USD", "lots"),
        ("PARSEDECK_HOURLY_REQUEST_LIMIT", "0"),
        ("PARSEDECK_MODE", "pretend"),
        ("PARSEDECK_TIMEZONE", "Mars/Olympus"),
        ("PARSEDECK_PUBLIC_URL", "console.example.com"),
        ("PARSEDECK_DATABASE_URL", "mysql://x"),
        ("LLAMAPARSE_BASE_URL", "api.example.com"),
        ("PARSEDECK_MAX_UPLOAD_MB", "9999"),
    ],
)
def test_a_wrong_value_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """A wrong value stops the start and says which variable to change."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable) as caught:
        Settings.load()
    assert caught.value.variable == variable


def test_files_are_read_and_other_keys_ignored(tmp_path: Path) -> None:
    """.env.development wins over .env; keys of other programs do not matter."""
    (tmp_path / ".env").write_text(
        "OPENAI_API_KEY=sk-x\nPARSEDECK_MODE=mock\nPARSEDECK_TIMEZONE=Europe/Berlin\n"
    )
    (tmp_path / ".env.development").write_text("PARSEDECK_MODE=hybrid\n")
    loaded = Settings.load()
    assert (loaded.mode, loaded.timezone) == ("hybrid", "Europe/Berlin")


@pytest.mark.parametrize("name", ["LLAMAPARSE_API_KEY", "LLAMA_CLOUD_API_KEY"])
def test_a_key_means_real_and_none_means_mock(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The first mode is REAL with a key, under either name, and MOCK without."""
    assert Settings.load().first_mode == "mock"
    monkeypatch.setenv(name, "llx-abc")
    assert Settings.load().first_mode == "real"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8))
def test_secrets_never_show(secret: str) -> None:
    """No text of the settings contains a secret."""
    loaded = Settings.load(
        {"api_key": f"llx{secret}", "webhook_secrets": f"whsec{secret},second{secret}"}
    )
    assert f"llx{secret}" not in f"{loaded!r}{loaded}"
    assert len(loaded.webhook_secrets) == 2
    assert f"whsec{secret}" not in repr(loaded)


def test_what_is_not_set_is_careful_with_the_service() -> None:
    """Without a word of the operator: 60 calls a minute, 30 s a call, three further tries."""
    loaded = Settings.load()
    assert (loaded.requests_per_minute, loaded.timeout_s, loaded.max_retries) == (60, 30, 3)


def test_what_is_stored_wins_until_it_is_taken_back(
    make_console: Callable[..., Console], database_url: str
) -> None:
    """A stored value counts in every process, is on record with who stored it, and can be taken back."""
    one, other = (make_console(database_url=database_url, timezone="UTC") for _ in range(2))
    one.setup.store("timezone", "Europe/Berlin", ALICE)
    one.setup.store("requests_per_minute", " 7 ", ALICE)
    assert other.setup.in_force().timezone == other.rules().timezone == "Europe/Berlin"
    assert other.setup.in_force().requests_per_minute == 7
    assert [o.variable for o in other.setup.overrides()] == ["PARSEDECK_TIMEZONE"]
    other.setup.unset("timezone", ALICE)
    assert one.rules().timezone == "UTC"
    assert [(c.name, c.before, c.after, c.actor) for c in one.setup.history()] == [
        ("timezone", "Europe/Berlin", None, str(ALICE)),
        ("requests_per_minute", None, "7", str(ALICE)),
        ("timezone", None, "Europe/Berlin", str(ALICE)),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", "Mars/Base"),
        ("requests_per_minute", "0"),
        ("requests_per_minute", "many"),
        ("requests_per_minute", ""),
        ("max_retries", "3"),
    ],
)
def test_a_wrong_value_is_not_stored(
    make_console: Callable[..., Console], name: str, value: str
) -> None:
    """What would stop a start is refused from the console too, and changes nothing."""
    console = make_console()
    before = console.setup.in_force()
    with pytest.raises(SettingsError):
        console.setup.store(name, value, ALICE)
    assert (console.setup.in_force(), console.setup.history()) == (before, ())


def test_a_stored_value_that_no_longer_fits_is_passed_over(
    make_console: Callable[..., Console],
) -> None:
    """One value that this version refuses does not take the others with it."""
    console = make_console()
    console.setup.store("requests_per_minute", "7", ALICE)
    with console.store.write() as tx:
        stored.save(tx, StoredSetting("timezone", "Gone/Zone", "alice", console.clock()))
    in_force = console.setup.in_force()
    assert (in_force.timezone, in_force.requests_per_minute) == ("UTC", 7)


def test_a_variable_of_an_env_file_that_does_not_count_is_named(
    make_console: Callable[..., Console], tmp_path: Path
) -> None:
    """It makes no difference whether the overridden variable is exported or stands in ``.env``."""
    (tmp_path / ".env").write_text("PARSEDECK_TIMEZONE=Asia/Tokyo\n")
    console = make_console()
    console.setup.store("timezone", "Europe/Berlin", ALICE)
    (override,) = console.setup.overrides()
    assert "PARSEDECK_TIMEZONE does not count" in override.words
