"""Settings: read once by the entry points, then passed on as a frozen value."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from core.errors import SettingsError

__all__ = ["DEFAULT_BASE_URL", "REGIONS", "Settings"]

REGIONS = {
    "na": "https://api.cloud.llamaindex.ai",
    "eu": "https://api.cloud.eu.llamaindex.ai",
}
"""Where the service is, by region; a key is good in the one it was made in."""

DEFAULT_BASE_URL = REGIONS["na"]


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{value!r} is not an address that starts with https:// or http://"
        raise ValueError(msg)
    return value.rstrip("/")


def _region_or_url(value: object) -> object:
    return REGIONS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        msg = f"{value!r} is not a time zone such as Europe/Berlin"
        raise ValueError(msg) from error
    return value


def _database_url(value: str) -> str:
    if not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
        msg = "must start with sqlite:/// or postgresql://"
        raise ValueError(msg)
    return value


def _secrets(value: object) -> object:
    if isinstance(value, str):
        return tuple(SecretStr(part.strip()) for part in value.split(",") if part.strip())
    return value


def _blank_is_unset(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _long_enough(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any(len(value.get_secret_value()) < _LEAST_OF_KEY for value in values):
        msg = f"a key has at least {_LEAST_OF_KEY} characters, such as `openssl rand -base64 32` makes"
        raise ValueError(msg)
    return values


_LEAST_OF_KEY = 32
_Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]


class Settings(BaseSettings):
    """What can be configured, with the names the outside relies on.

    Read from the environment, then ``.env.development``, then ``.env``; variables of other programs
    are ignored. Secrets are ``SecretStr`` and never appear in a message.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_file=(".env", ".env.development"), populate_by_name=True
    )

    api_key: Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)] = Field(
        default=None, validation_alias=AliasChoices("LLAMAPARSE_API_KEY", "LLAMA_CLOUD_API_KEY")
    )
    base_url: Annotated[str, BeforeValidator(_region_or_url), AfterValidator(_http_url)] = Field(
        default=DEFAULT_BASE_URL,
        validation_alias=AliasChoices("LLAMAPARSE_BASE_URL", "LLAMA_CLOUD_BASE_URL"),
    )
    webhook_secrets: _Secrets = Field(default=(), validation_alias="LLAMAPARSE_WEBHOOK_SECRET")
    organization_id: str = Field(
        default="",
        max_length=200,
        validation_alias=AliasChoices("LLAMAPARSE_ORGANIZATION_ID", "LLAMA_CLOUD_ORGANIZATION_ID"),
    )
    project_id: str = Field(
        default="",
        max_length=200,
        validation_alias=AliasChoices("LLAMAPARSE_PROJECT_ID", "LLAMA_CLOUD_PROJECT_ID"),
    )

    mode: Annotated[Literal["real", "mock", "hybrid"] | None, BeforeValidator(_blank_is_unset)] = (
        Field(default=None, validation_alias="PARSEDECK_MODE")
    )
    data_dir: Path = Field(default=Path("var"), validation_alias="PARSEDECK_DATA_DIR")
    database_url: Annotated[str, AfterValidator(_database_url)] | None = Field(
        default=None, validation_alias="PARSEDECK_DATABASE_URL"
    )
    blob_url: str | None = Field(default=None, validation_alias="PARSEDECK_BLOB_URL")
    public_url: Annotated[str, AfterValidator(_http_url)] | None = Field(
        default=None, validation_alias="PARSEDECK_PUBLIC_URL"
    )
    timezone: Annotated[str, AfterValidator(_time_zone)] = Field(
        default="UTC", validation_alias="PARSEDECK_TIMEZONE"
    )

    daily_limit_usd: Decimal = Field(
        default=Decimal(10), gt=0, le=1_000_000, validation_alias="PARSEDECK_DAILY_LIMIT_USD"
    )
    hourly_request_limit: int = Field(
        default=100, gt=0, le=1_000_000, validation_alias="PARSEDECK_HOURLY_REQUEST_LIMIT"
    )
    requests_per_minute: int = Field(
        default=60, gt=0, le=100_000, validation_alias="PARSEDECK_REQUESTS_PER_MINUTE"
    )
    timeout_s: float = Field(default=30, gt=0, le=600, validation_alias="PARSEDECK_TIMEOUT_S")
    max_retries: int = Field(default=3, ge=0, le=20, validation_alias="PARSEDECK_MAX_RETRIES")
    health_interval_s: float = Field(
        default=30, ge=1, le=3600, validation_alias="PARSEDECK_HEALTH_INTERVAL_S"
    )
    worker_concurrency: int = Field(
        default=8, gt=0, le=256, validation_alias="PARSEDECK_WORKER_CONCURRENCY"
    )
    max_upload_mb: int = Field(
        default=512, gt=0, le=512, validation_alias="PARSEDECK_MAX_UPLOAD_MB"
    )
    max_webhook_kb: int = Field(
        default=1024, gt=0, le=102_400, validation_alias="PARSEDECK_MAX_WEBHOOK_KB"
    )
    webhook_ahead_s: int = Field(
        default=300, ge=0, le=86_400, validation_alias="PARSEDECK_WEBHOOK_AHEAD_S"
    )
    webhook_behind_s: int = Field(
        default=86_400, ge=60, le=31_536_000, validation_alias="PARSEDECK_WEBHOOK_BEHIND_S"
    )

    downstream_keys: Annotated[_Secrets, AfterValidator(_long_enough)] = Field(
        default=(), validation_alias="PARSEDECK_DOWNSTREAM_KEY"
    )
    downstream_private: bool = Field(default=False, validation_alias="PARSEDECK_DOWNSTREAM_PRIVATE")

    @classmethod
    def load(cls, overrides: Mapping[str, object] | None = None) -> Self:
        """Settings from the environment and the ``.env`` files of the working directory.

        ``overrides`` are field names and values that win over both. Raises ``SettingsError``, which
        names the variable and never repeats a secret, for the first wrong value.
        """
        try:
            settings = cls(**cast("dict[str, Any]", dict(overrides or {})))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            variable = str(first["loc"][0]) if first["loc"] else "settings"
            what = str(first["msg"]).removeprefix("Value error, ")
            raise SettingsError(
                variable, f"{what}.", f"Correct or unset {variable}, then start again."
            ) from None
        return settings.model_copy(update={"data_dir": settings.data_dir.expanduser().absolute()})

    @classmethod
    def checked(cls, name: str, value: str) -> object:
        """A value for one field as it would be read from its variable. Raises ``SettingsError``."""
        field = cls.model_fields[name]
        kind: Any = Annotated[field.annotation, *field.metadata]
        try:
            return TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            what = str(error.errors(include_input=False, include_url=False)[0]["msg"])
            raise SettingsError(
                cls.variables()[name],
                f"{what.removeprefix('Value error, ')}.",
                "Nothing was changed.",
            ) from None

    @property
    def first_mode(self) -> str:
        """The mode before anyone switched it: as set, else MOCK when there is no key, else REAL."""
        return self.mode or ("mock" if self.api_key is None else "real")

    @property
    def sends_webhooks(self) -> bool:
        """Whether the vendor can call back: REAL needs a public HTTPS address and a secret."""
        return bool(
            self.public_url and self.public_url.startswith("https://") and self.webhook_secrets
        )

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Each field's first variable name, for messages and for the table in the README."""
        names: dict[str, str] = {}
        for field, info in cls.model_fields.items():
            alias = info.validation_alias
            names[field] = str(alias.choices[0]) if isinstance(alias, AliasChoices) else str(alias)
        return names
