"""The secrets that webhooks are signed with: those of the service, and two that are generated here."""

import os
import secrets
import shlex
from collections.abc import Sequence
from pathlib import Path

from core.settings import Settings
from core.webhooks.signatures import SigningSecret

__all__ = ["SigningSecrets"]


class SigningSecrets:
    """Every secret that verifies, under a name that may be shown.

    ``of_mock`` and ``of_tests`` are good for MOCK and for tests only; they live in the data folder.
    """

    def __init__(self, settings: Settings) -> None:
        folder = self._folder = settings.data_dir
        self.of_mock = SigningSecret("generated for MOCK", _generated(folder, "mock"))
        self.of_tests = SigningSecret("generated for tests", _generated(folder, "test"))
        self._known = (
            *(
                ("real", SigningSecret(f"LLAMAPARSE_WEBHOOK_SECRET {n}", secret.get_secret_value()))
                for n, secret in enumerate(settings.webhook_secrets, start=1)
            ),
            ("mock", self.of_mock),
            ("test", self.of_tests),
        )

    def known(self) -> Sequence[tuple[str, SigningSecret]]:
        """Each with what it is good for: ``real``, ``mock`` or ``test``."""
        return self._known

    def in_shell(self, scope: str) -> str:
        """How a shell on this machine comes by the secret of a scope; nothing of the secret itself."""
        if scope in {"mock", "test"}:
            return f"$(cat {shlex.quote(str(_path(self._folder, scope).absolute()))})"
        return "${LLAMAPARSE_WEBHOOK_SECRET%%,*}"


def _path(data_dir: Path, purpose: str) -> Path:
    return data_dir / f"{purpose}-webhook-secret"


def _generated(data_dir: Path, purpose: str) -> str:
    """A secret good for this purpose only, in a file that only its owner may read."""
    path = _path(data_dir, purpose)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        secret = f"whsec_{secrets.token_urlsafe(32)}"
        file.write(secret)
    return secret
