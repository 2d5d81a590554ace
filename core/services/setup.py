"""What is configured, reachable and missing: the same facts for the Setup screen and ``doctor``."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum

from core.clock import Clock
from core.domain import times
from core.domain.budgets import EVERYTHING, Unit, Window
from core.domain.counts import counted
from core.domain.jobs import Actor
from core.domain.money import ANY, usd_exact, usd_from_micros
from core.errors import ConsoleError, SettingsError
from core.settings import REGIONS, Settings
from core.store import Store, limits, workers
from core.store import settings as stored
from core.store.limits import LimitChange
from core.store.rotation import secrets_in_flight
from core.store.settings import SettingChange, StoredSetting
from core.webhooks.signatures import SigningSecret

__all__ = ["EDITABLE", "Editable", "Fact", "Grade", "Override", "Setup"]

EDITABLE = ("timezone", "requests_per_minute")
"""Settings that the console stores; what is stored wins over the environment, in all processes."""

_LIMITS = {
    "daily_limit_usd": (EVERYTHING, Window.DAY, Unit.USD),
    "hourly_request_limit": (EVERYTHING, Window.HOUR, Unit.SUBMITS),
}
"""Settings that hold until a person stores such a limit."""


class Grade(StrEnum):
    """How a fact is to be read."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of Setup: what it is about, how it stands, what to do."""

    topic: str
    grade: Grade
    what: str
    next_step: str = ""

    def as_json(self) -> dict[str, str]:
        """For ``doctor --json``."""
        return {key: str(value) for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Override:
    """A variable of the environment that does not count, because the console stored another value.

    ``where`` says for which money, when it is not for all.
    """

    variable: str
    value: str
    actor: str
    where: str = ""

    @property
    def words(self) -> str:
        """One sentence."""
        return f"{self.variable} does not count{self.where}: {self.actor} stored {self.value} in the console."


@dataclass(frozen=True, slots=True)
class Editable:
    """A setting that can be changed from the console.

    ``value`` is in force; ``given`` is what counts when nothing is stored: what ``variable`` says, or
    the default when ``is_set`` is false. ``stored`` says by whom and when another value was stored.
    """

    name: str
    variable: str
    value: str
    given: str
    is_set: bool
    stored: StoredSetting | None


class Setup:
    """Facts and stored settings."""

    def __init__(  # noqa: PLR0913 - each is a collaborator that the composition root hands over
        self,
        store: Store,
        settings: Settings,
        check_blobs: Callable[[], None],
        blobs_at: str,
        local_facts: Callable[[], list[tuple[bool, str, str]]],
        is_alive: Callable[[tuple[workers.Worker, ...]], bool],
        clock: Clock,
        mock_fingerprint: str = "",
        receivers: Callable[[], Sequence[tuple[workers.Worker, bool]]] = tuple,
        shut_downstreams: Callable[[], int] = int,
        clock_ahead: Callable[[], timedelta] = timedelta,
    ) -> None:
        self._store = store
        self._settings = settings
        self._check_blobs = check_blobs
        self._blobs_at = blobs_at
        self._local_facts = local_facts
        self._is_alive = is_alive
        self._clock = clock
        self._mock_fingerprint = mock_fingerprint
        self._receivers = receivers
        self._shut_downstreams = shut_downstreams
        self._clock_ahead = clock_ahead

    def in_force(self) -> Settings:
        """The settings with what is stored on top. A stored value that no longer fits is ignored."""
        return self.with_plan()[0]

    def with_plan(self) -> tuple[Settings, str]:
        """The settings in force and the vendor's plan that prices go by (``*`` when none was set), in one look."""
        with self._store.read() as tx:
            found = stored.all_settings(tx)
        values = {n: s.value for n, s in found.items() if n in EDITABLE}
        checked = {}
        for name, value in values.items():
            with suppress(SettingsError):
                checked[name] = Settings.checked(name, value)
        now = self._settings.model_copy(update=checked) if checked else self._settings
        return now, found["plan"].value if "plan" in found else ANY

    def editable(self) -> tuple[Editable, ...]:
        """Each setting that can be changed from the console, as it stands."""
        with self._store.read() as tx:
            found = stored.all_settings(tx)
        now, names = self.in_force(), Settings.variables()
        return tuple(
            Editable(
                name,
                names[name],
                str(getattr(now, name)),
                str(getattr(self._settings, name)),
                name in self._settings.model_fields_set,
                found.get(name),
            )
            for name in EDITABLE
        )

    def history(self) -> tuple[SettingChange, ...]:
        """What was stored from the console and taken back, newest first."""
        with self._store.read() as tx:
            return stored.changes(tx)

    def overrides(self) -> tuple[Override, ...]:
        """Every variable that is set but does not count, by what and by whom."""
        names = Settings.variables()
        given = self._settings.model_fields_set
        with self._store.read() as tx:
            found = stored.all_settings(tx)
            stored_limits = {
                book: {
                    (c.scope, c.window, c.unit): c
                    for c in reversed(limits.changes(tx, book, limit=1000))
                    if c.expires_at is None
                }
                for book in ("real", "mock")
            }
        return (
            *(
                Override(names[name], setting.value, setting.actor)
                for name, setting in found.items()
                if name in given
            ),
            *(
                override
                for name, key in _LIMITS.items()
                if name in given
                for override in _overrides(
                    names[name], *(b.get(key) for b in stored_limits.values())
                )
            ),
        )

    def store(self, name: str, value: str, actor: Actor) -> None:
        """Store a setting from the console. Raises ``SettingsError`` for a wrong value."""
        if name not in EDITABLE:
            raise SettingsError(name, "cannot be set from the console.")
        kept = str(Settings.checked(name, value.strip()))
        with self._store.write() as tx:
            stored.change(tx, name, kept, str(actor), self._clock())

    def unset(self, name: str, actor: Actor) -> None:
        """Let the environment count again."""
        with self._store.write() as tx:
            stored.change(tx, name, None, str(actor), self._clock())

    def facts(self) -> list[Fact]:
        """All facts, worst not first but in the order a newcomer reads them."""
        return [
            *self._vendor(),
            *self._webhooks(),
            *self._rotation(),
            self._checked("Database", self._store.ping, "The database answers."),
            *self._clocks(),
            self._checked(
                "Files", self._check_blobs, f"Documents and results are kept in {self._blobs_at}."
            ),
            self._worker(),
            *self._receiving(),
            *self._downstreams(),
            *self.formats(),
            *(
                Fact(
                    "Setting",
                    Grade.WARNING,
                    o.words,
                    "Change it in the console, or leave it.",
                )
                for o in self.overrides()
            ),
        ]

    def _vendor(self) -> list[Fact]:
        if self._settings.api_key is None:
            return [
                Fact(
                    "LlamaParse",
                    Grade.INFO,
                    "No key is configured, so documents go to the simulator (MOCK).",
                    "Set LLAMAPARSE_API_KEY and start again to use the service.",
                )
            ]
        url = self._settings.base_url
        region = next((name for name, known in REGIONS.items() if known == url), "")
        where = f"region {region.upper()}" if region else url
        return [Fact("LlamaParse", Grade.OK, f"A key is configured for {where}.")]

    def _webhooks(self) -> list[Fact]:
        if self._settings.sends_webhooks:
            prints = len(self._settings.webhook_secrets)
            return [
                Fact(
                    "Webhooks",
                    Grade.OK,
                    f"REAL reports to {self._settings.public_url} ({prints} secret(s)).",
                )
            ]
        missing = []
        if not (self._settings.public_url or "").startswith("https://"):
            missing.append("PARSEDECK_PUBLIC_URL (https)")
        if not self._settings.webhook_secrets:
            missing.append("LLAMAPARSE_WEBHOOK_SECRET")
        return [
            Fact(
                "Webhooks",
                Grade.INFO,
                "REAL works by polling only: LlamaParse cannot call back.",
                f"Set {' and '.join(missing)} to receive webhooks. MOCK has its own.",
            )
        ]

    def _rotation(self) -> list[Fact]:
        """Each secret, and how many jobs in flight still need it; none may be taken away before."""
        configured = [
            SigningSecret(f"number {number}", secret.get_secret_value()).fingerprint
            for number, secret in enumerate(self._settings.webhook_secrets, start=1)
        ]
        with self._store.read() as tx:
            needed = {p: n for p, n in secrets_in_flight(tx).items() if p != self._mock_fingerprint}
        facts = [
            Fact(
                "Webhook secret",
                Grade.OK if number == 1 or needed.get(fingerprint) else Grade.INFO,
                f"{fingerprint} {'signs new jobs' if number == 1 else 'only verifies'}; "
                f"{counted(needed.get(fingerprint, 0), 'job')} in flight.",
                "" if number == 1 or needed.get(fingerprint) else "No job needs it any more.",
            )
            for number, fingerprint in enumerate(configured, start=1)
        ]
        return facts + [
            Fact(
                "Webhook secret",
                Grade.PROBLEM,
                f"{counted(count, 'job')} in flight will be signed with {fingerprint}, which is not configured.",
                "Add that secret again, after the new one, to LLAMAPARSE_WEBHOOK_SECRET.",
            )
            for fingerprint, count in needed.items()
            if fingerprint not in configured
        ]

    def _clocks(self) -> list[Fact]:
        """That this machine's clock differs from the database's, by which all machines go."""
        ahead = self._clock_ahead()
        if not ahead:
            return []
        where = "ahead of" if ahead > timedelta(0) else "behind"
        return [
            Fact(
                "Clock",
                Grade.WARNING,
                f"This machine's clock is {abs(ahead).total_seconds():,.0f} s {where} the database's, "
                "which counts.",
                "Set the clock that is wrong; both should be kept in time (NTP).",
            )
        ]

    def _worker(self) -> Fact:
        with self._store.read() as tx:
            known = workers.known(tx)
        if self._is_alive(known):
            return Fact("Worker", Grade.OK, "A worker runs.")
        return Fact(
            "Worker",
            Grade.WARNING,
            "No worker runs: new documents wait.",
            "Start `parsedeck up` or `parsedeck worker`.",
        )

    def _receiving(self) -> list[Fact]:
        """Processes of `parsedeck api`: those that run, and each that was cut off."""
        known, zone = self._receivers(), self.in_force().timezone
        running = sorted(one.pid for one, lives in known if lives)
        pids = ", ".join(str(pid) for pid in running)
        noun = "process" if len(running) == 1 else "processes"
        facts = [
            Fact("Receiver", Grade.OK, f"{len(running)} {noun} of `parsedeck api` (pid {pids}).")
        ]
        return facts * bool(running) + [
            Fact(
                "Receiver",
                Grade.WARNING,
                f"`parsedeck api` (pid {one.pid} on {one.host}) ended without a word; last heard of at "
                f"{times.stamp(one.heartbeat_at, zone)}.",
                "Start `parsedeck api` again, if nothing else receives.",
            )
            for one, lives in known
            if not lives
        ]

    def _downstreams(self) -> list[Fact]:
        """What cannot be handed on, because its key is not here."""
        if not (count := self._shut_downstreams()):
            return []
        noun = "downstream is" if count == 1 else "downstreams are"
        return [
            Fact(
                "Downstream",
                Grade.PROBLEM,
                f"{count} {noun} sealed with a key that is not here.",
                "Put the file downstream-key back into the data folder, or that key into "
                "PARSEDECK_DOWNSTREAM_KEY, and start again.",
            )
        ]

    def formats(self) -> list[Fact]:
        """What the local engine can read on this machine."""
        return [
            Fact("Local engine", Grade.OK if works else Grade.INFO, what, step)
            for works, what, step in self._local_facts()
        ]

    @staticmethod
    def _checked(topic: str, check: Callable[[], None], fine: str) -> Fact:
        try:
            check()
        except ConsoleError as error:
            return Fact(topic, Grade.PROBLEM, error.what, error.next_step)
        return Fact(topic, Grade.OK, fine)


def _overrides(
    variable: str, real: LimitChange | None, mock: LimitChange | None
) -> Iterator[Override]:
    """One line when real and simulated money have the same stored limit, else one for each that has."""
    found = [(c, where) for c, where in ((real, " for real money"), (mock, " in MOCK")) if c]
    if real and mock and (real.after, real.actor) == (mock.after, mock.actor):
        found = [(real, "")]
    for change, where in found:
        amount = change.after or 0
        shown = usd_exact(usd_from_micros(amount)) if change.unit is Unit.USD else f"{amount:,}"
        yield Override(variable, shown, change.actor, where)
