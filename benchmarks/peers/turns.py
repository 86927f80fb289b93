"""Turns: while one side is measured, the processes of all others are stopped, so that none takes time from it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import psutil  # type: ignore[import-untyped]


@contextmanager
def stopped_between_turns(sides: Sequence[Iterable[int]]) -> Iterator[None]:
    """Stop the processes of all sides, each named by the ids of its first processes; continue them at the end."""
    for pids in sides:
        stop_trees(pids)
    try:
        yield
    finally:
        for pids in sides:
            continue_trees(pids)


@contextmanager
def turn(pids: Iterable[int]) -> Iterator[None]:
    continue_trees(pids)
    try:
        yield
    finally:
        stop_trees(pids)


def stop_trees(pids: Iterable[int]) -> None:
    for process in list_trees(pids):
        process.suspend()


def continue_trees(pids: Iterable[int]) -> None:
    for process in list_trees(pids):
        process.resume()


def list_trees(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes with all their children; without those that have ended."""
    roots = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return [each for root in roots for each in (root, *root.children(recursive=True))]
