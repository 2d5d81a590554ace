"""Who is told of finished jobs, what they were told, and telling them again."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.clock import Clock, new_id
from core.domain.jobs import Actor
from core.errors import NotAllowed
from core.pipeline.handoff import again
from core.store import Store, handoffs, jobs, outbox
from core.store.handoffs import Downstream, Handoff, HandoffTry
from core.store.outbox import HandoffFilter, Line
from core.store.paging import Cursor, Page, page_of
from core.store.seal import Seal
from core.webhooks.outbound import check_target, masked
from core.webhooks.signatures import SigningSecret
from core.webhooks.standard import generated_secret

__all__ = ["DownstreamView", "Downstreams", "HandoffView"]

_MOST = 20
_MOST_AGAIN, _AT_ONCE = 1000, 20


@dataclass(frozen=True, slots=True)
class DownstreamView:
    """A downstream as it may be shown: its address masked, its secret by fingerprint.

    ``trouble`` says why neither can be, when their key is not here.
    """

    id: str
    shown: str
    fingerprint: str
    actor: str
    is_failing: bool
    disabled_reason: str
    trouble: str = ""

    @property
    def name(self) -> str:
        """What tells it from another at the same host."""
        return f"{self.shown} ({self.id[-4:] if self.trouble else self.fingerprint})"

    @property
    def is_disabled(self) -> bool:
        """Whether it is not told any more."""
        return bool(self.disabled_reason)


@dataclass(frozen=True, slots=True)
class HandoffView:
    """One event for one downstream, with every request that was made for it."""

    handoff: Handoff
    document: str
    shown: str
    tries: tuple[HandoffTry, ...]
    newest: Handoff
    """The same message as it was sent last; the one above, if it never was again."""


class Downstreams:
    """Reads and mutations around downstreams."""

    def __init__(self, store: Store, seal: Seal, *, allow_private: bool, clock: Clock) -> None:
        self._store = store
        self._seal = seal
        self._allow_private = allow_private
        self._clock = clock

    def add(self, url: str, actor: Actor) -> str:
        """Tell this address of finished jobs from now on; its new secret, which is shown only once.

        Raises ``NotAllowed`` for an address that is none, is private, or is told already.
        """
        url = url.strip()
        check_target(url, allow_private=self._allow_private)
        secret = generated_secret()
        now = self._clock()
        with self._store.write() as tx:
            known = handoffs.downstreams(tx)
            if any(self._opened(one.url) == url for one in known):
                raise NotAllowed(f"{masked(url)} is there already.", "Enable or use it.")
            if len(known) >= _MOST:
                raise NotAllowed(f"There are {_MOST} downstreams already.")
            sealed = self._seal.seal(url), self._seal.seal(secret)
            handoffs.add_downstream(tx, Downstream(new_id("dwn"), *sealed, str(actor), now))
        return secret

    def seal_anew(self) -> None:
        """Seal with today's key what was stored openly, or sealed with a key that is rotated away."""
        with self._store.read() as tx:
            old = [one.id for one in handoffs.downstreams(tx) if self._is_old(one)]
        for downstream_id in old:
            with self._store.write() as tx:
                one = handoffs.downstream(tx, downstream_id)
                facts = {
                    name: self._seal.seal(self._seal.open(text))
                    for name, text in (("url", one.url), ("secret", one.secret))
                }
                handoffs.update_downstream(tx, downstream_id, **facts)

    def shut(self) -> int:
        """How many cannot be told anything, because their key is not here."""
        return sum(bool(one.trouble) for one in self.known())

    def _is_old(self, one: Downstream) -> bool:
        can_be_opened = self._opened(one.url) is not None
        return can_be_opened and not (
            self._seal.is_current(one.url) and self._seal.is_current(one.secret)
        )

    def _opened(self, stored: str) -> str | None:
        try:
            return self._seal.open(stored)
        except NotAllowed:
            return None

    def _shown(self, one: Downstream) -> str:
        url = self._opened(one.url)
        return masked(url) if url else "(sealed)"

    def enable(self, downstream_id: str) -> None:
        """Tell it again. Raises ``NotFound``."""
        with self._store.write() as tx:
            handoffs.update_downstream(
                tx, downstream_id, disabled_at=None, disabled_reason="", failing_since=None
            )

    def disable(self, downstream_id: str, actor: Actor) -> None:
        """Tell it no more; what is on its way to it is given up. Raises ``NotFound``."""
        with self._store.write() as tx:
            handoffs.disable(tx, downstream_id, f"Disabled by {actor}.", self._clock())

    def known(self) -> tuple[DownstreamView, ...]:
        """All of them, oldest first."""
        with self._store.read() as tx:
            return tuple(self._view(one) for one in handoffs.downstreams(tx))

    def page(
        self, which: HandoffFilter, *, at: Cursor | None = None, limit: int = 50
    ) -> Page[Line]:
        """One page of what was handed on, newest first."""
        with self._store.read() as tx:
            lines = outbox.page(tx, which, at=at, limit=limit + 1)
        return page_of(lines, at, limit, lambda line: (line.created_at, line.id))

    def counts(self, which: HandoffFilter) -> Mapping[str, int]:
        """How many fit the rest of the filter, by status."""
        with self._store.read() as tx:
            return outbox.count_by_status(tx, which)

    def view(self, handoff_id: str) -> HandoffView:
        """One event with every request. Raises ``NotFound``."""
        with self._store.read() as tx:
            found = handoffs.handoff(tx, handoff_id)
            target = handoffs.downstream(tx, found.downstream_id)
            document = jobs.job(tx, found.job_id).name
            tries = handoffs.tries(tx, handoff_id)
            newest = handoffs.newest_of_message(tx, found)
            return HandoffView(found, document, self._shown(target), tries, newest)

    def replay(self, handoff_id: str, actor: Actor) -> Handoff:
        """Send a message once more, under its old id. Raises ``NotFound``, ``NotAllowed``."""
        with self._store.write() as tx:
            return again(tx, handoffs.handoff(tx, handoff_id), actor, self._clock())

    def untaken(self, which: HandoffFilter) -> int:
        """How many that fit failed, and can be sent again; counted up to 1,000."""
        with self._store.read() as tx:
            return len(outbox.untaken(tx, which, limit=_MOST_AGAIN))

    def replay_untaken(self, which: HandoffFilter, actor: Actor) -> int:
        """Send once more what fits and nobody took, under its old ids; how many messages that were."""
        sent = 0
        while sent < _MOST_AGAIN:
            # a few at a time: others write too
            with self._store.write() as tx:
                found = outbox.untaken(tx, which, limit=_AT_ONCE)
                old = [handoffs.handoff(tx, one) for one in found]
                # in one order, so that two who do this at once never wait for each other
                for job_id in sorted({one.job_id for one in old}):
                    jobs.locked(tx, job_id)
                still = set(outbox.untaken(tx, which, among=found, limit=_AT_ONCE))
                for one in old:
                    if one.id in still:
                        again(tx, one, actor, self._clock())
            sent += len(still)
            if len(found) < _AT_ONCE:
                break
        return sent

    def _view(self, one: Downstream) -> DownstreamView:
        fingerprint, trouble = "–", ""
        try:
            fingerprint = SigningSecret("downstream", self._seal.open(one.secret)).fingerprint
        except NotAllowed as error:
            trouble = str(error)
        return DownstreamView(
            id=one.id,
            shown=self._shown(one),
            fingerprint=fingerprint,
            actor=one.actor,
            is_failing=one.failing_since is not None,
            disabled_reason=one.disabled_reason,
            trouble=trouble,
        )
