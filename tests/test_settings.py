"""Settings: a wrong value stops the start, secrets stay secret, other programs' keys are ignored."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import SettingsError
from core.settings import Settings


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
