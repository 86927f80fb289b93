"""Base classes of the local servers: start on free ports, wait until ready, stop on exit."""

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

ResultT = TypeVar("ResultT")


class PortTaken(StackError):
    """Another process took a port between the check and its use."""


class LocalServer(ABC):
    """Context manager: a server in a child process, started on entry and stopped on exit, also after an error."""

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
        """Start on free ports and return when ready; called again when another process took one of the ports."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the server, if it runs, and wait until it has ended."""


class ChildServer(LocalServer):
    """A server in one child process. `launch` and `wait_until_ready` are the two halves of entering it."""

    name: str  # for error messages
    start_seconds: float  # how long `wait_until_ready` waits

    def __init__(self) -> None:
        self.url = ""
        self._open = ExitStack()
        self._child: ChildProcess | None = None

    @abstractmethod
    def _run(self) -> ChildProcess:
        """Start the process on free ports, and set `url`. What must end after it goes into `_open`."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server is ready. May raise what a connection that is refused raises."""

    def _start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the server and return at once."""
        self.stop()
        self._child = self._open.enter_context(self._run())

    def wait_until_ready(self) -> None:
        """Raises StackError, with the last lines of the log, when the server ends or is not ready in time."""
        if self._child is None:
            raise StackError(f"{type(self).__name__}: call launch() before wait_until_ready()")
        wait_until(self._answers, self._child, self.name, self.start_seconds)

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def stop(self) -> None:
        """Stop the server, if it runs, and wait until it has ended."""
        self._child = None
        self._open.close()


def retry_with_fresh_ports(attempt: Callable[[], ResultT]) -> ResultT:
    """Return the result of `attempt`; call it again, up to ATTEMPTS times in all, when it raises PortTaken."""
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except PortTaken:
            continue
    return attempt()


def wait_until(answers: Callable[[], bool], child: ChildProcess, name: str, seconds: float) -> None:
    """Return once `answers()` is true.

    Raises StackError with the last lines of the log when `child` ends or `seconds` pass; PortTaken if a port in use was
    the cause.
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
    """HTTP status of a loopback URL. Bypasses proxies and loads no certificates, which plain HTTP does not need."""
    return httpx.get(url, timeout=RESPONSE_SECONDS, trust_env=False, verify=False).status_code


def build_exit_error(child: ChildProcess, name: str) -> StackError:
    return build_start_error(child, f"{name} ended with exit code {child.exit_code} before it was ready")


def build_start_error(child: ChildProcess, sentence: str) -> StackError:
    tail = child.last_lines()
    kind = PortTaken if reports_taken_port(tail) else StackError
    return kind(f"{sentence}; the last lines of {child.log}:\n{tail or '(it is empty)'}")


def reports_taken_port(log: str) -> bool:
    return any(message in log for message in PORT_TAKEN_MESSAGES)


def find_free_ports(count: int) -> list[int]:
    """Return `count` different ports on which nothing listens now."""
    with ExitStack() as sockets:
        return [reserve_port(sockets, 0) for _ in range(count)]


def find_free_pair() -> tuple[int, int]:
    """Return two free ports, the second is the first plus 1."""
    with ExitStack() as sockets:
        return next(reserve_pairs(sockets))


def reserve_pairs(sockets: ExitStack) -> Iterator[tuple[int, int]]:
    while True:  # the first port stays reserved, so each round tries another
        first = reserve_port(sockets, 0)
        try:
            yield first, reserve_port(sockets, first + 1)
        except (OSError, OverflowError):
            continue


def reserve_port(sockets: ExitStack, port: int) -> int:
    """Bind a port on every interface, as Weaviate's gRPC and data listeners do; 0 takes any free one."""
    reserved = sockets.enter_context(socket.socket())
    reserved.bind(("", port))
    number: int = reserved.getsockname()[1]
    return number
