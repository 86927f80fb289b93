"""What every local server is as a context manager: started on free ports, stopped whatever happens.

Waiting for a child to answer.

Free ports of this machine's loopback, and what to do when one is taken before it is used.
"""

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Self, TypeVar

import httpx

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.errors import StackError

POLL_SECONDS = 0.1
RESPONSE_SECONDS = 2.0
LOOPBACK = "127.0.0.1"
ATTEMPTS = 3
PORT_TAKEN_MESSAGES = ("address already in use", "Address already in use", "Only one usage of each socket address")


class LocalServer(ABC):
    def __enter__(self) -> Self:
        try:
            retry_with_fresh_ports(self._start)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _start(self) -> None:
        """Starts it on ports of its own choice and returns when it is ready; called again when one was taken."""

    @abstractmethod
    def stop(self) -> None:
        """Ends it, if it runs, and waits until it is gone."""


def wait_until(answers: Callable[[], bool], child: ChildProcess, name: str, seconds: float) -> None:
    """Returns once `answers()` is true.

    Raises StackError with the log's last lines when `child` ends or `seconds` pass; PortTaken when that is why.
    """
    deadline = time.monotonic() + seconds
    while not is_answering(answers):
        if child.exit_code is not None:
            raise build_exit_error(child, name)
        if time.monotonic() > deadline:
            raise build_start_error(child, f"{name} is not ready after {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


def is_answering(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except (httpx.HTTPError, OSError):  # nothing listens yet
        return False


def get_status(url: str) -> int:
    """On loopback: past any proxy, and without loading the certificates that plain HTTP never reads."""
    return httpx.get(url, timeout=RESPONSE_SECONDS, trust_env=False, verify=False).status_code


def build_exit_error(child: ChildProcess, name: str) -> StackError:
    return build_start_error(child, f"{name} ended with exit code {child.exit_code} before it was ready")


def build_start_error(child: ChildProcess, sentence: str) -> StackError:
    tail = child.last_lines()
    kind = PortTaken if reports_taken_port(tail) else StackError
    return kind(f"{sentence}; the last lines of {child.log}:\n{tail or '(it is empty)'}")


ResultT = TypeVar("ResultT")


class PortTaken(StackError):
    """A port that was free a moment ago is not any more."""


def retry_with_fresh_ports(attempt: Callable[[], ResultT]) -> ResultT:
    """The result of `attempt`, which is made again, with other ports, when it raises PortTaken."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except PortTaken:
            continue
    return attempt()


def find_free_ports(count: int) -> list[int]:
    """`count` different ports on which nothing listens now."""
    with ExitStack() as held:
        return [reserve_port(held, 0) for _ in range(count)]


def find_free_pair() -> tuple[int, int]:
    """Two free ports, the second one above the first."""
    with ExitStack() as held:
        return next(reserve_pairs(held))


def reserve_pairs(held: ExitStack) -> Iterator[tuple[int, int]]:
    while True:  # a first port stays held, so each round offers another
        first = reserve_port(held, 0)
        try:
            yield first, reserve_port(held, first + 1)
        except (OSError, OverflowError):
            continue


def reserve_port(held: ExitStack, port: int) -> int:
    """Weaviate's gRPC and data listeners take every interface, so the port must be free on all."""
    holder = held.enter_context(socket.socket())
    holder.bind(("", port))
    number: int = holder.getsockname()[1]
    return number


def reports_taken_port(log: str) -> bool:
    return any(words in log for words in PORT_TAKEN_MESSAGES)
