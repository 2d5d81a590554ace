"""What was set from the console: settings that win over the environment, and the mode."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from core.store.engine import Transaction
from core.store.tables import ModeRow, SettingChangeRow, SettingRow

__all__ = [
    "ModeChange",
    "SettingChange",
    "StoredSetting",
    "add_mode",
    "all_settings",
    "change",
    "changes",
    "modes",
    "save",
    "unset",
]


@dataclass(frozen=True, slots=True)
class StoredSetting:
    """A value set from the console, by whom and when."""

    name: str
    value: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting that a person stored, or took back (``after`` is None)."""

    name: str
    before: str | None
    after: str | None
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A switch of mode; the newest is in force."""

    mode: str
    actor: str
    reason: str
    at: datetime


def all_settings(tx: Transaction) -> dict[str, StoredSetting]:
    """Every stored setting by name."""
    rows = tx.exec(select(SettingRow))
    return {r.name: StoredSetting(r.name, r.value, r.actor, r.at) for r in rows}


def save(tx: Transaction, setting: StoredSetting) -> None:
    """Store a setting; it wins over the environment from now on."""
    tx.merge(SettingRow(name=setting.name, value=setting.value, actor=setting.actor, at=setting.at))


def unset(tx: Transaction, name: str) -> None:
    """Forget a stored setting, so that the environment counts again."""
    row = tx.get(SettingRow, name)
    if row is not None:
        tx.delete(row)


def change(tx: Transaction, name: str, after: str | None, actor: str, now: datetime) -> None:
    """Store a value, or with None take it back, and keep on record who did it."""
    row = tx.get(SettingRow, name)
    before = None if row is None else row.value
    if after == before:
        return
    if after is None:
        unset(tx, name)
    else:
        save(tx, StoredSetting(name, after, actor, now))
    tx.add(SettingChangeRow(name=name, before=before, after=after, actor=actor, at=now))


def changes(tx: Transaction, *, limit: int = 20) -> tuple[SettingChange, ...]:
    """What persons stored and took back, newest first."""
    query = select(SettingChangeRow).order_by(col(SettingChangeRow.id).desc()).limit(limit)
    return tuple(SettingChange(r.name, r.before, r.after, r.actor, r.at) for r in tx.exec(query))


def add_mode(tx: Transaction, change: ModeChange) -> None:
    """Switch the mode for all processes."""
    tx.add(ModeRow(mode=change.mode, actor=change.actor, reason=change.reason, at=change.at))


def modes(tx: Transaction, *, limit: int = 20) -> tuple[ModeChange, ...]:
    """The switches of mode, newest first."""
    query = select(ModeRow).order_by(col(ModeRow.id).desc()).limit(limit)
    return tuple(ModeChange(r.mode, r.actor, r.reason, r.at) for r in tx.exec(query))
