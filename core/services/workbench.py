"""The workbench: craft a delivery, see what it would do, send it over real HTTP, see what it did."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.clock import Clock
from core.errors import NotFound
from core.services.foresight import Foresight, foresee
from core.store import Store, deliveries
from core.webhooks.outbound import Answer, post
from core.webhooks.receiver import Receiver
from core.webhooks.signatures import SigningSecret
from core.webhooks.workbench import Crafted, Fault, craft, from_body, template

__all__ = ["Draft", "Sent", "Workbench"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A payload as JSON text, and what is to be wrong with it."""

    text: str
    faults: frozenset[Fault] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that went out, and its answer."""

    crafted: Crafted
    answer: Answer


class Workbench:
    """Sends what is signed with the secret for tests; no real job changes by it."""

    def __init__(
        self,
        store: Store,
        receiver: Receiver,
        own_url: Callable[[], str],
        secret: SigningSecret,
        clock: Clock,
    ) -> None:
        self._store = store
        self._receiver = receiver
        self._own_url = own_url
        self._secret = secret
        self._clock = clock

    def template(self, name: str, vendor_job_id: str = "") -> str:
        """The payload of a template. Raises ``ConsoleError`` for a name that is none."""
        return template(name, self._clock(), vendor_job_id)

    def from_delivery(self, delivery_id: str) -> str:
        """The payload of a recorded delivery, as a new test. Raises ``ConsoleError``."""
        with self._store.read() as tx:
            found = deliveries.delivery(tx, delivery_id)
        if found is None:
            raise NotFound("delivery", delivery_id)
        return from_body(found.body, self._clock())

    def crafted(self, draft: Draft) -> tuple[Crafted, ...]:
        """What would be sent, in order. Raises ``ConsoleError`` when a fault does not fit the payload."""
        return craft(
            draft.text, draft.faults, self._secret, self._clock(), self._receiver.max_bytes
        )

    def foresee(self, crafted: Sequence[Crafted]) -> list[Foresight]:
        """What each would do here, judged by the receiver itself; nothing is recorded."""
        judged = [self._receiver.judge(one.headers, one.body) for one in crafted]
        seen: set[tuple[str, str]] = set()
        told = []
        with self._store.read() as tx:
            for one in judged:
                key = (one.scope, one.event.event_id) if one.event else None
                if key in seen and one.refusal is None:
                    what = "It was received just before: nothing changes."
                    told.append(Foresight(200, "duplicate", what, moves=False))
                    continue
                told.append(foresee(tx, one))
                if key and one.refusal is None:
                    seen.add(key)
        return told

    @property
    def own_url(self) -> str:
        """Where this process receives."""
        return self._own_url()

    def send(self, crafted: Sequence[Crafted], to: str = "") -> list[Sent]:
        """Send over HTTP, to this process's own receiver or to an engineer's endpoint."""
        url = to or self._own_url()
        return [Sent(one, post(url, one.headers, one.body, allow_private=True)) for one in crafted]
