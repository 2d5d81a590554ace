"""The composition root: builds everything from settings, and closes it."""

import getpass
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from starlette.applications import Starlette

from core.blobs import Blobs
from core.clock import Clock, utc_now
from core.domain.budgets import Limit, Unit, Window
from core.domain.documents import Document, EngineName
from core.domain.health import HealthPolicy
from core.domain.jobs import Actor, Job
from core.domain.money import usd_to_micros
from core.domain.routing import Mode
from core.engines.llamaparse import llamaparse_card
from core.engines.local import LocalEngine
from core.engines.protocol import ParseEngine, WebhookTarget
from core.engines.registry import Engines
from core.errors import ConsoleError, StoreUnavailable
from core.pipeline.again import Again
from core.pipeline.driver import Resources
from core.pipeline.handoff import HandOff
from core.pipeline.observed import Observed
from core.pipeline.probing import CardProbe, Prober, Probing, at_once
from core.pipeline.queue import JobQueue, workflow_database_url
from core.pipeline.terms import Rules
from core.pipeline.watches import Watches
from core.pipeline.worker import PipelineWorker, has_live_worker, is_alive
from core.reach.llamaparse import LlamaParse
from core.reach.look_alike import LookAlike
from core.reach.secrets import SigningSecrets
from core.services.again import Reparse
from core.services.alerts import Alerts
from core.services.contact import FirstContact
from core.services.deliveries import Deliveries
from core.services.downstreams import Downstreams
from core.services.drift import Drift
from core.services.engines import EnginesView
from core.services.health import Health
from core.services.holds import Holds
from core.services.jobs import Jobs
from core.services.limits import Limits
from core.services.missing import Missing
from core.services.modes import Modes
from core.services.outage_cost import OutageCosts
from core.services.path_test import PathTest
from core.services.presence import Presence
from core.services.prices import Prices
from core.services.receipts import Receipts
from core.services.replans import Replans
from core.services.replays import Replays
from core.services.reports import Reports
from core.services.routes import Routes
from core.services.setup import Setup
from core.services.spend import Spend
from core.services.statements import Statements
from core.services.submit import Submissions
from core.services.usage_source import UsageSource
from core.services.visits import Visits
from core.services.watch import MoneyWatch
from core.services.workbench import Workbench
from core.serving import Served
from core.settings import Settings
from core.simulator import SimulatorConfig
from core.store import Store, documents, workers
from core.store.clock import StoreClock
from core.store.deliveries import Delivery
from core.store.seal import Seal
from core.telemetry import Metrics
from core.webhooks.endpoint import WEBHOOK_PATH, webhook_route
from core.webhooks.judgement import Freshness
from core.webhooks.receiver import Receiver
from core.webhooks.workbench import as_signing_curl

__all__ = ["Console", "local_actor"]


def local_actor() -> Actor:
    """Until login exists: the user of the operating system, marked as not logged in."""
    try:
        return Actor(getpass.getuser())
    except (KeyError, OSError):
        return Actor("unknown")


class Console:
    """Everything, built once per process. ``run_worker`` makes it parse; without it, it only asks."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        simulator: SimulatorConfig | None = None,
        health: HealthPolicy | None = None,
    ) -> None:
        """Open the database, the blobs and the queue. Raises ``ConsoleError`` when one cannot be used.

        ``clock`` is this machine's; on Postgres all machines go by the database's.
        """
        self.settings = settings
        self.ingress_url = f"http://127.0.0.1:8502{WEBHOOK_PATH}"
        """Where a shell on this machine reaches the receiver; the process that serves it says where that is."""
        self.metrics = Metrics()
        self._simulator_config = simulator or SimulatorConfig()
        self._look_alike: LookAlike | None = None
        self._worker: PipelineWorker | None = None
        self._prober: Prober | None = None
        self._door: Served | None = None
        self._door_lock = threading.Lock()
        self._money_watch: MoneyWatch | None = None
        self.is_closed = False
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"The data folder {settings.data_dir} cannot be made.",
                "Set PARSEDECK_DATA_DIR to a folder you may write to.",
            ) from error
        url = settings.database_url or f"sqlite:///{settings.data_dir / 'parsedeck.sqlite'}"
        self.store = Store.open(url)
        self._store_clock = StoreClock(self.store, clock)
        self._store_clock.compare()
        self.clock: Clock = self._store_clock
        keys = [key.get_secret_value() for key in settings.downstream_keys]
        self.seal = Seal(keys, settings.data_dir)
        self._workflow_url = workflow_database_url(url)
        self.queue = JobQueue(self._workflow_url)
        self.blobs = Blobs.open(settings.blob_url, settings.data_dir)
        self.local = LocalEngine(max_bytes=settings.max_upload_mb * 1024 * 1024)
        self._secrets = SigningSecrets(settings)
        self.engines = Engines()
        self.watches = Watches(
            self.store,
            health or HealthPolicy(),
            lambda name: self.engines.cards[name].title,
            self.clock,
            lambda: self.rules().timezone,
        )
        self.llamaparse = LlamaParse(
            settings,
            self.store,
            self.watches,
            self.metrics,
            self._per_minute,
            lambda: self.simulator_url,
            self.clock,
        )
        self.engines.add(llamaparse_card(self.llamaparse.probe), self.llamaparse.client)
        self.engines.add(self.local.card(), lambda _mode: self.local)
        self._build_services()

    def _build_services(self) -> None:
        settings, clock = self.settings, self.clock
        has_key = settings.api_key is not None
        self.downstreams = Downstreams(
            self.store, self.seal, allow_private=settings.downstream_private, clock=clock
        )
        self.downstreams.seal_anew()
        self.presence = Presence(self.store, is_alive, clock, self._store_clock.compare)
        self.setup = Setup(
            self.store,
            settings,
            self.blobs.check,
            self.blobs.shown,
            self.local.facts,
            lambda known: has_live_worker(known, clock()),
            clock,
            self._secrets.of_mock.fingerprint,
            self.presence.known,
            self.downstreams.shut,
            lambda: self._store_clock.ahead,
        )
        self.modes = Modes(self.store, Mode(settings.first_mode), has_key=has_key, clock=clock)
        self.spend = Spend(self.store, self.rules, clock)
        self.watch = self.watches.of(EngineName.LLAMAPARSE)
        self.engines_view = EnginesView(self.engines, self.watches)
        self.routes = Routes(self.store, self.rules, self.engines_view.others, clock)
        self.health = Health(
            self.store, self.watch, self.llamaparse.ask_now if has_key else None, clock
        )
        self.outage_costs = OutageCosts(self.store, self.rules, clock)
        self.replans = Replans(
            self.store,
            self.queue.enqueue,
            self.rules,
            self.routes.policy,
            self.watches.trouble,
            self._is_read_here,
            self.engines_view.others,
            is_configured=has_key,
            clock=clock,
        )
        self.limits = Limits(self.store, self.rules, clock)
        self.reports = Reports(self.store, self.rules, clock)
        self.alerts = Alerts(self.store, self.rules, self.reports, clock)
        self.prices = Prices(self.store, self.rules, clock)
        self.drift = Drift(self.store, self.rules, clock)
        self.statements = Statements(self.store, self.rules, clock)
        self.receipts = Receipts(self.store, self.rules)
        self.holds = Holds(self.store, self.rules, self.queue.enqueue, self._stands_in, clock)
        self.visits = Visits(self.store, self.modes.current, clock)
        self.submissions = Submissions(
            self.store,
            self.blobs,
            self.local.inspect,
            self.queue.enqueue,
            self.rules,
            max_upload_bytes=settings.max_upload_mb * 1024 * 1024,
            is_configured=has_key,
            clock=clock,
            policy=self.routes.policy,
            trouble=self.watches.trouble,
            lacking_here=self._lacking_here,
            others=self.engines_view.others,
        )
        self.jobs = Jobs(
            self.store, self.blobs, self.queue.enqueue, self.queue.nudge, self.rules, clock
        )
        self.first_contact = FirstContact(
            settings,
            self.submissions,
            self.jobs,
            self.llamaparse.first_contact,
            self.llamaparse.last_contact,
        )
        self.deliveries = Deliveries(self.store, clock, self._secrets.known)
        self.again = Reparse(
            self.store,
            self.blobs.get,
            self.queue.enqueue,
            self.rules,
            self.watch.trouble,
            is_configured=has_key,
            clock=clock,
        )
        self.receiver = Receiver(
            self.store,
            self._secrets.known,
            self.queue.nudge,
            max_bytes=settings.max_webhook_kb * 1024,
            clock=clock,
            metrics=self.metrics,
            freshness=Freshness(
                timedelta(seconds=settings.webhook_ahead_s),
                timedelta(seconds=settings.webhook_behind_s),
            ),
        )
        self.missing = Missing(self.store, lambda: settings, clock, lambda: self.rules().timezone)
        self.path_test = PathTest(
            self.store,
            settings.public_url,
            self._secrets.of_tests,
            clock,
        )
        self.replays = Replays(self.store, self.receiver, self._secrets.known)
        self.workbench = Workbench(
            self.store,
            self.receiver,
            self.own_receiver,
            self._secrets.of_tests,
            clock,
        )

    def rules(self) -> Rules:
        """The limits of the settings, over which stored ones win, and where a day begins."""
        now, plan = self.setup.with_plan()
        return Rules(
            (
                Limit(Window.DAY, Unit.USD, usd_to_micros(now.daily_limit_usd)),
                Limit(Window.HOUR, Unit.SUBMITS, now.hourly_request_limit),
            ),
            now.timezone,
            self.engines.credits,
            region="eu" if ".eu." in now.base_url else "na",
            plan=plan,
        )

    def run_worker(self) -> None:
        """Begin to parse in this process, with a simulator and a receiver of its own for MOCK."""
        if self._worker is not None:
            return
        self._look_alike = LookAlike(
            self._simulator_config, self.settings.data_dir, self.local, self.clock
        )
        resources = Resources(
            store=self.store,
            blobs=self.blobs,
            engine_of=self._engine_of,
            webhook_of=self._webhook_of,
            rules=self.rules,
            timeout_s=self.settings.timeout_s,
            concurrency=self.settings.worker_concurrency,
            clock=self.clock,
            compare_clocks=self._store_clock.compare,
            close_engines=self.engines.close,
            gate=self._gate,
            stands_in=self._stands_in,
            room=self._room,
            text_layer=self._text_layer,
            also_care=self._again().care,
        )
        self.watches.start()
        allow_private = self.settings.downstream_private
        handoff = HandOff(self.store, self.seal, self.clock, allow_private=allow_private)
        self._worker = PipelineWorker(
            resources, self.queue, self._workflow_url, self.rules, handoff
        )
        self._worker.start()
        watched: list[Callable[[], object]] = [self.alerts.look, self.alerts.send_new]
        if self.settings.api_key is not None:
            source = UsageSource(self.drift, lambda: self.llamaparse.client(Mode.REAL), self.clock)
            watched.append(source.look)
        self._money_watch = MoneyWatch(watched)
        self._prober = Prober(self._worker.executor_id, [*self._probings()])
        self._prober.start()

    def _probings(self) -> Iterator[Probing]:
        """How each engine is asked; those beside LlamaParse only in HYBRID, where they are used."""
        if self.settings.api_key is not None:
            yield self.llamaparse.probing(lambda: self.modes.current() is not Mode.MOCK)
        for name, card in self.engines.cards.items():
            if name is not EngineName.LLAMAPARSE:
                yield Probing(
                    self.watches.of(name),
                    self.settings.health_interval_s,
                    partial(CardProbe, card.probe),
                    at_once,
                    lambda: self.modes.current() is Mode.HYBRID,
                )

    def _per_minute(self) -> int:
        """Calls a minute, as set or as stored from the console."""
        return self.setup.in_force().requests_per_minute

    def _gate(self, mode: Mode, engine: EngineName) -> str:
        if _is_let_through(mode, engine):
            return ""
        return self.engines.lacks(engine) or self.watches.of(engine).gate()

    def _engine_of(self, mode: Mode, name: EngineName) -> ParseEngine:
        """The engine for an attempt; whatever has a gate has its calls heard by the gate's breaker."""
        engine = self.engines.of(mode, name)
        if _is_let_through(mode, name):
            return engine
        return Observed(engine, self.watches.of(name), reports=self.engines.cards[name].reports)

    def _text_layer(self, job: Job) -> dict[int, str]:
        """For the quality receipt; a document that is not read here has none."""
        with self.store.read() as tx:
            document = documents.find(tx, job.document_sha256)
        if document is None or document.source_url:
            return {}
        try:
            with self.blobs.content(document.sha256, document.size_bytes).as_file() as path:
                return self.local.text_layer(path)
        except ConsoleError:
            # a result without a receipt is better than none
            return {}

    def _stands_in(self, job: Job) -> bool:
        with self.store.read() as tx:
            document = documents.find(tx, job.document_sha256)
        return document is not None and self._is_read_here(document)

    def _is_read_here(self, document: Document) -> bool:
        """Whether the local engine can read it: the bytes are here, and so is what opens them."""
        return not document.source_url and not self._lacking_here(document)

    def _lacking_here(self, document: Document) -> str:
        """Why the local engine cannot read a document of this type; empty when it can."""
        return self.engines.cards[EngineName.LOCAL].lacks(document.media_type)

    def _again(self) -> Again:
        return Again(
            self.store,
            self.blobs.get,
            self._room,
            self.rules,
            self.queue.enqueue,
            # as often as LlamaParse is asked how it does
            timedelta(seconds=self.settings.health_interval_s),
            self.clock,
        )

    def _room(self, at_most: int) -> int:
        if self.settings.api_key is None:
            return 0
        return self.watch.room(min(at_most, max(1, self._per_minute() // 30)))

    def has_worker(self) -> bool:
        """Whether some process parses now."""
        with self.store.read() as tx:
            return has_live_worker(workers.known(tx), self.clock())

    def readiness(self) -> dict[str, Callable[[], None]]:
        """What must answer before work is sent here; each raises ``ConsoleError`` when it does not."""
        return {
            "database": self.store.ping,
            "workflows": self.queue.check,
            "blobs": self.blobs.check,
        }

    def own_receiver(self) -> str:
        """Where this process itself takes webhooks, on a loopback port; opened when first needed."""
        with self._door_lock:
            if self._door is None:
                self._door = Served(Starlette(routes=[webhook_route(self.receiver)]))
            return f"{self._door.url}{WEBHOOK_PATH}"

    def as_curl(self, delivery: Delivery) -> str:
        """Lines for a shell on this machine that send its bytes to the ingress port, signed as it was.

        They hold no secret. Empty for bytes that no shell can hold.
        """
        secret = self._secrets.in_shell(delivery.scope)
        return as_signing_curl(self.ingress_url, delivery.body, secret)

    @property
    def simulator_url(self) -> str:
        """Where this process's simulator listens; empty when it does not parse."""
        return self._look_alike.url if self._look_alike else ""

    def close(self) -> None:
        """Stop in order; what is in flight goes on at the next start."""
        self.is_closed = True
        self.presence.end()
        if self._money_watch is not None:
            self._money_watch.stop()
        if self._prober is not None:
            self._prober.stop()
        if self._worker is not None:
            self._worker.stop()
        self.watches.stop()
        if self._look_alike is not None:
            self._look_alike.close()
        if self._door is not None:
            self._door.close()
        self.receiver.close()
        self.local.close_workers()
        self.queue.close()
        self.store.close()

    def _webhook_of(self, mode: Mode) -> WebhookTarget | None:
        if mode is Mode.MOCK:
            if self._look_alike is None:
                return None
            return WebhookTarget(self.own_receiver(), self._secrets.of_mock.value)
        if not self.settings.sends_webhooks:
            return None
        first = self.settings.webhook_secrets[0].get_secret_value()
        return WebhookTarget(f"{self.settings.public_url}{WEBHOOK_PATH}", first)


def _is_let_through(mode: Mode, engine: EngineName) -> bool:
    """Simulated work has no breaker; nor has the local engine, whose failures are its documents'."""
    return mode is Mode.MOCK or engine is EngineName.LOCAL
