"""``webhook listen``: however slow the endpoint, each accepted delivery is passed on, once and in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.services.deliveries import Deliveries
from core.serving import Served
from core.store import Store, recording
from core.webhooks.outbound import Answer
from core.webhooks.signatures import SigningSecret
from tests.factories import a_delivery

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OURS = SigningSecret("LLAMAPARSE_WEBHOOK_SECRET 1", "whsec_ours")


class Endpoint:
    """Takes ``busy`` for each request by the clock; with each, another delivery comes in meanwhile."""

    def __init__(self, store: Store, busy: timedelta, meanwhile: list[timedelta]) -> None:
        self.now = NOW
        self._store = store
        self._busy = busy
        self._meanwhile = meanwhile

    def arrive(self, number: int, at: datetime, secret: SigningSecret = OURS) -> None:
        """One more was accepted at that moment."""
        with self._store.write() as tx:
            recording.add(tx, a_delivery(number, at, secret_fingerprint=secret.fingerprint))

    async def answer(self, _request: Request) -> Response:
        """Take one, slowly."""
        began, self.now = self.now, self.now + self._busy
        if self._meanwhile:
            self.arrive(10 + len(self._meanwhile), began + self._meanwhile.pop(0))
        return Response()

    @contextmanager
    def listened(self) -> Iterator[Iterator[tuple[str, Answer]]]:
        """What is forwarded, as (id, answer)."""
        app = Starlette(routes=[Route("/", self.answer, methods=["POST"])])
        desk = Deliveries(self._store, lambda: self.now, lambda: [("real", OURS)])
        with Served(app) as served:
            forwarded = desk.forwarded(served.url)
            yield ((delivery.id, answer) for delivery, answer in forwarded)


def test_what_comes_while_the_endpoint_is_slow_is_passed_on_too(store: Store) -> None:
    """A request of 40 seconds hides nothing that was accepted in its first ten."""
    endpoint = Endpoint(store, timedelta(seconds=40), [timedelta(seconds=1), timedelta(seconds=5)])
    endpoint.arrive(1, NOW)
    with endpoint.listened() as forwarded:
        found = [next(forwarded)[0] for _ in range(3)]
    assert found == ["dlv-000001", "dlv-000012", "dlv-000011"]


def test_what_is_signed_with_a_secret_that_is_gone_does_not_end_it(store: Store) -> None:
    """That one cannot be signed again and is named; those after it are passed on."""
    endpoint = Endpoint(store, timedelta(0), [])
    endpoint.arrive(1, NOW, SigningSecret("old", "whsec_old"))
    endpoint.arrive(2, NOW + timedelta(seconds=1))
    with endpoint.listened() as forwarded:
        (first, unsigned), (second, sent) = next(forwarded), next(forwarded)
    assert (first, unsigned.status) == ("dlv-000001", None)
    assert "not configured" in unsigned.error
    assert (second, sent.status) == ("dlv-000002", 200)
