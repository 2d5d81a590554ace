"""The pace of calls: exact over processes, on both databases."""

import subprocess
import sys

from core.store import Store, pacing

_TAKER = """
import sys
from core.store import Store, pacing

store = Store.open(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with store.write_lightly() as tx:
        print(repr(pacing.take_turn(tx, "key", 60).at))
"""


def test_four_processes_never_take_more_turns_than_a_minute_has(
    store: Store, database_url: str
) -> None:
    """Of 160 turns that four processes take at once, any minute holds 60 and not one more."""
    with store.write() as tx:
        first = pacing.take_turn(tx, "key", 60).at
    command = [sys.executable, "-c", _TAKER, database_url, "40"]
    takers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    turns = sorted([first, *(float(t) for p in takers for t in p.communicate()[0].split())])
    assert len(turns) == 161
    assert all(later - sooner >= 60 for sooner, later in zip(turns, turns[60:], strict=False))
    # and none is given away: the 61st comes exactly a minute after the first
    assert turns[60] == turns[0] + 60


def test_keys_have_turns_of_their_own(store: Store) -> None:
    """Two keys do not slow each other."""
    with store.write() as tx:
        waits = [pacing.take_turn(tx, key, 1).wait_s for key in ("one", "two", "one")]
    assert waits[:2] == [0, 0]
    assert 59 < waits[2] <= 60


def test_after_a_hold_nobody_has_a_turn_for_that_long(store: Store) -> None:
    """When the service says that it is too much, every process rests."""
    with store.write() as tx:
        pacing.hold(tx, "key", 30)
    with store.write() as tx:
        assert 29 < pacing.take_turn(tx, "key", 60).wait_s <= 30
