"""What the database holds and may not show: sealed before it is stored, with a key that lies elsewhere.

A copy of the database alone, such as a backup or a replica, then tells nobody where finished jobs are sent,
nor how to sign in our name.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from core.errors import NotAllowed

__all__ = ["KEY_FILE", "Seal"]

KEY_FILE = "downstream-key"
_MARK = "sealed:"


class Seal:
    """Seals with the first of ``keys`` and opens with each; without any, with a key of its own in ``folder``.

    That key is generated when the first text is sealed, in a file that only its owner may read.
    """

    def __init__(self, keys: Sequence[str], folder: Path) -> None:
        self._given = tuple(keys)
        self._path = folder / KEY_FILE

    def seal(self, text: str) -> str:
        """The text as it may be stored."""
        keys = self._keys() or (self._generated(),)
        return _MARK + _fernet(keys[0]).encrypt(text.encode()).decode()

    def open(self, stored: str) -> str:
        """The text again; one that was stored before there were seals as it is. Raises ``NotAllowed``."""
        if not stored.startswith(_MARK):
            return stored
        keys = self._keys()
        try:
            if keys:
                token = stored.removeprefix(_MARK).encode()
                return MultiFernet([_fernet(key) for key in keys]).decrypt(token).decode()
        except InvalidToken:
            pass
        raise NotAllowed(
            "The downstream is sealed with a key that is not here.",
            f"Put the file {KEY_FILE} back into the data folder, or that key into "
            "PARSEDECK_DOWNSTREAM_KEY, and start again; else add the address anew.",
        )

    def is_current(self, stored: str) -> bool:
        """Whether it is sealed with the key that seals now."""
        keys = self._keys()
        if not keys or not stored.startswith(_MARK):
            return False
        with suppress(InvalidToken):
            _fernet(keys[0]).decrypt(stored.removeprefix(_MARK).encode())
            return True
        return False

    def _keys(self) -> tuple[str, ...]:
        # a key that is set counts first; the file's own still opens what was sealed before it was set
        own = self._path.read_text().strip() if self._path.exists() else ""
        return (*self._given, own) if own else self._given

    def _generated(self) -> str:
        key = secrets.token_urlsafe(32)
        draft = self._path.with_name(f"{KEY_FILE}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # of two processes one is first, with a whole file
            os.link(draft, self._path)
        draft.unlink()
        return self._path.read_text().strip()


def _fernet(key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(key.encode()).digest()))
