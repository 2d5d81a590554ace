"""What stands in the address of a screen comes from outside: whatever it is, the screen says what it found."""

from collections.abc import Callable

import pytest

from core.console import Console
from tests.dashboard.reading import Open, no_traceback
from tests.factories import ALICE
from tests.pristine import PristineServer

_PLACE = "older~2026-11-24T12:00:00+00:00~\0"
_ADDRESSES: list[tuple[str, dict[str, str]]] = [
    ("job", {"job": "\0"}),
    ("job", {"job": "\0", "back": "text=%00"}),
    ("submission", {"submission": "\0"}),
    ("delivery", {"delivery": "\0", "text": "\0"}),
    ("jobs", {"text": "\0", "engine": "\0", "time": "\0", "state": "\0", "tiers": "\0"}),
    ("jobs", {"cause": "\0"}),
    ("jobs", {"page": "\0"}),
    ("submit", {"team": "\0", "tier": "\0"}),
    ("spend", {"range": "\0", "by": "\0", "month": "\0"}),
    ("spend", {"spend-team": "\0", "spend-actor": "\0", "spend-tier": "\0"}),
    ("modes", {"span": "\0"}),
    ("webhooks", {"tab": "\0"}),
    ("webhooks", {"job": "\0", "text": "\0"}),
    ("webhooks", {"verdict": "\0", "event": "\0", "time": "\0"}),
    ("webhooks", {"at": _PLACE}),
    ("webhooks", {"at": "older~9999-12-31T23:59:59-12:00~x"}),
    ("webhooks", {"tab": "Workbench", "from": "\0"}),
    ("webhooks", {"tab": "Workbench", "about": "\0", "template": "\0", "faults": "\0"}),
    ("webhooks", {"tab": "Replay", "only": "\0"}),
    ("webhooks", {"tab": "Replay", "replay-job": "\0", "span": "\0", "replay-verdict": "\0"}),
    ("webhooks", {"tab": "Downstream", "handoff": "\0"}),
    ("webhooks", {"tab": "Downstream", "about": "\0", "state": "\0", "endpoint": "\0"}),
    ("webhooks", {"tab": "Downstream", "sent": _PLACE}),
]


@pytest.mark.parametrize(("screen", "query"), _ADDRESSES, ids=str)
def test_nothing_in_the_address_breaks_a_screen(
    screen: str,
    query: dict[str, str],
    make_console: Callable[..., Console],
    postgres: PristineServer,
    open_screen: Open,
) -> None:
    """Postgres takes no NUL in text, and UTC has no year 10000: what holds one is not found, or no filter."""
    postgres.empty()
    console = make_console(database_url=postgres.url, downstream_private=True)
    console.downstreams.add("http://127.0.0.1:9/hook", ALICE)
    app = open_screen(console, f"screens/{screen}.py", **query)
    no_traceback(app)
    assert not [error.value for error in app.error if "could not be shown" in error.value]
