"""Sending recorded deliveries again: foretold first, then one by one, each outcome on record."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from core.domain.events import MalformedEvent, read_event
from core.domain.jobs import Actor
from core.domain.routing import Mode
from core.errors import ConsoleError, NotAllowed, NotFound
from core.services.foresight import Foresight, foresee
from core.store import Store, Transaction, deliveries, inbox, jobs
from core.store.deliveries import DUPLICATE, Delivery
from core.store.inbox import DeliveryFilter
from core.webhooks import sequence
from core.webhooks.outbound import post
from core.webhooks.receiver import Receiver
from core.webhooks.signatures import VENDOR_HEADER, SigningSecret, sign

__all__ = ["MOST", "Outcome", "Replays"]

MOST = 1000
"""Deliveries in one go."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay would do, or did; ``new_id`` is the delivery that it became."""

    original: Delivery
    verdict: str
    what: str
    new_id: str = ""


class Replays:
    """A replay is a new delivery with its actor: of any age, a repeat on purpose, never a regress."""

    def __init__(
        self,
        store: Store,
        receiver: Receiver,
        secrets: Callable[[], Sequence[tuple[str, SigningSecret]]],
    ) -> None:
        self._store = store
        self._receiver = receiver
        self._secrets = secrets

    def select(self, ids: Sequence[str], which: DeliveryFilter | None = None) -> list[Delivery]:
        """These deliveries, or those that fit a filter and are no replays, oldest first.

        Raises ``NotFound`` for an id that is none, ``NotAllowed`` for more than ``MOST``.
        """
        fits = replace(which or DeliveryFilter(), originals_only=True)
        with self._store.read() as tx:
            wanted = list(ids) or list(inbox.ids(tx, fits, limit=MOST + 1))
            if len(wanted) > MOST:
                raise NotAllowed(f"More than {MOST:,} deliveries.", "Choose a shorter time.")
            found = [(i, deliveries.delivery(tx, i)) for i in wanted]
        missing = next((i for i, delivery in found if delivery is None), None)
        if missing is not None:
            raise NotFound("delivery", missing)
        chosen = [delivery for _, delivery in found if delivery is not None]
        return sorted(chosen, key=lambda delivery: (delivery.received_at, delivery.id))

    def foresee(self, chosen: Sequence[Delivery], *, sign_anew: bool = False) -> list[Outcome]:
        """What each would do, judged with today's secrets; nothing is recorded, nothing costs."""
        outcomes = []
        with self._store.read() as tx:
            for delivery in chosen:
                try:
                    headers = self._headers(tx, delivery, sign_anew=sign_anew)
                except ConsoleError as error:
                    outcomes.append(Outcome(delivery, "not possible", str(error)))
                    continue
                told = self._told(tx, headers, delivery.body)
                outcomes.append(Outcome(delivery, told.verdict, told.change))
        return outcomes

    def run(
        self,
        chosen: Sequence[Delivery],
        actor: Actor,
        *,
        sign_anew: bool = False,
        per_second: float = 10.0,
        to: str = "",
    ) -> Iterator[Outcome]:
        """Replay one after the other, at most so many a second; each outcome as it comes.

        With ``to`` they go to an endpoint of one's own instead. Raises ``NotAllowed`` for an address
        that is none.
        """
        for number, delivery in enumerate(chosen):
            if number:
                time.sleep(1 / per_second)
            try:
                with self._store.read() as tx:
                    headers = self._headers(tx, delivery, sign_anew=sign_anew)
            except ConsoleError as error:
                yield Outcome(delivery, "not possible", str(error))
                continue
            yield self._sent(delivery, headers, to) if to else self._again(delivery, headers, actor)

    def saved(self, chosen: Sequence[Delivery]) -> str:
        """The sequence as a file that tests can run."""
        return sequence.dump(chosen)

    def _told(self, tx: Transaction, headers: dict[str, str], body: bytes) -> Foresight:
        return foresee(tx, self._receiver.judge(headers, body, is_replay=True), is_replay=True)

    def _again(self, delivery: Delivery, headers: dict[str, str], actor: Actor) -> Outcome:
        receipt = self._receiver.replay(headers, delivery.body, delivery.id, str(actor))
        return Outcome(delivery, receipt.status, f"{receipt.status_code}", receipt.delivery_id)

    def _sent(self, delivery: Delivery, headers: dict[str, str], to: str) -> Outcome:
        answer = post(to, headers, delivery.body, allow_private=True)
        what = answer.error or f"{answer.status} in {answer.took_ms:.0f} ms"
        return Outcome(delivery, "sent" if answer.is_success else "not taken", what)

    def _headers(self, tx: Transaction, delivery: Delivery, *, sign_anew: bool) -> dict[str, str]:
        """Headers for the original bytes: as they came, or signed with a secret of today.

        Raises ``NotAllowed`` when not all bytes are on record, or there is no such secret.
        """
        if delivery.verdict == "flood":
            what = "It is no delivery: it says how many were refused and not kept."
            raise NotAllowed(what, "Choose another.")
        if not delivery.is_whole and delivery.verdict == DUPLICATE:
            raise NotAllowed(
                "Not all of this repeat is on record.", "Replay the first one instead."
            )
        if not delivery.is_whole:
            raise NotAllowed("Not all of its body is on record.", "Ask the sender for it again.")
        headers = {"Content-Type": str(delivery.headers.get("content-type", "application/json"))}
        if encoding := delivery.headers.get("content-encoding"):
            headers["Content-Encoding"] = str(encoding)
        if delivery.is_refused and not sign_anew:
            return {**headers, **dict(delivery.presented)}
        secret = self._secret_for(tx, delivery, sign_anew=sign_anew)
        return {**headers, VENDOR_HEADER: sign(secret, delivery.body)}

    def _secret_for(self, tx: Transaction, delivery: Delivery, *, sign_anew: bool) -> SigningSecret:
        pairs = self._secrets()
        if not sign_anew:
            for _scope, secret in pairs:
                if secret.fingerprint == delivery.secret_fingerprint:
                    return secret
            raise NotAllowed("Its secret is not configured any more.", "Have it signed anew.")
        scope = delivery.scope or _scope_of(tx, delivery.body)
        for candidate, secret in pairs:
            if candidate == scope:
                return secret
        raise NotAllowed("No secret for REAL is configured.", "Set LLAMAPARSE_WEBHOOK_SECRET.")


def _scope_of(tx: Transaction, body: bytes) -> str:
    """Whose secret a refused delivery should have been signed with, by the job that it names."""
    try:
        vendor_job_id = read_event(body).vendor_job_id
    except MalformedEvent:
        return "real"
    attempt = jobs.attempt_by_vendor_id(tx, vendor_job_id)
    if attempt is None:
        return "real"
    return "mock" if jobs.job(tx, attempt.job_id).mode is Mode.MOCK else "real"
