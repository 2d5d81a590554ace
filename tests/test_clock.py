"""Identifiers never repeat, not over threads and not over forks."""

import os
from concurrent.futures import ThreadPoolExecutor

from core.clock import new_id


def test_ids_do_not_repeat_over_threads() -> None:
    """Eight threads that make ids at once get different ones."""
    with ThreadPoolExecutor(8) as pool:
        made = [
            i
            for some in pool.map(lambda _: [new_id("x") for _ in range(500)], range(8))
            for i in some
        ]
    assert len(set(made)) == len(made) == 4000
    assert all(len(i) == 22 for i in made)


def test_a_forked_process_makes_ids_of_its_own() -> None:
    """What a child makes after a fork, its parent does not make too."""
    new_id("x")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id("x").encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert theirs not in {new_id("x") for _ in range(200)}
