"""Free ports of this machine's loopback, and what to do when one is taken before it is used."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeVar

from clip_vectorizer.errors import StackError

LOOPBACK = "127.0.0.1"
ATTEMPTS = 3
TAKEN = ("address already in use", "Address already in use", "Only one usage of each socket address")

Result = TypeVar("Result")


class PortTaken(StackError):
    """A port that was free a moment ago is not any more."""


def with_fresh_ports(attempt: Callable[[], Result]) -> Result:
    """The result of `attempt`, which is made again, with other ports, when it raises PortTaken."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except PortTaken:
            continue
    return attempt()


def free_ports(count: int) -> list[int]:
    """`count` different ports on which nothing listens now."""
    with ExitStack() as held:
        return [hold(held, 0) for _ in range(count)]


def free_pair() -> tuple[int, int]:
    """Two free ports, the second one above the first."""
    with ExitStack() as held:
        return next(pairs(held))


def pairs(held: ExitStack) -> Iterator[tuple[int, int]]:
    while True:  # a first port stays held, so each round offers another
        first = hold(held, 0)
        try:
            yield first, hold(held, first + 1)
        except (OSError, OverflowError):
            continue


def hold(held: ExitStack, port: int) -> int:
    """Weaviate's gRPC and data listeners take every interface, so the port must be free on all."""
    holder = held.enter_context(socket.socket())
    holder.bind(("", port))
    number: int = holder.getsockname()[1]
    return number


def tells_of_taken_port(log: str) -> bool:
    return any(words in log for words in TAKEN)
