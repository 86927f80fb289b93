"""Waiting for a child to answer."""

import time
from collections.abc import Callable

import httpx

from clip_vectorizer.child import Child
from clip_vectorizer.errors import StackError
from ingest.embedded.ports import PortTaken, tells_of_taken_port

LOOK_SECONDS = 0.1
ANSWER_SECONDS = 2.0


def wait_until(answers: Callable[[], bool], child: Child, name: str, seconds: float) -> None:
    """Returns once `answers()` is true.

    Raises StackError with the log's last lines when `child` ends or `seconds` pass; PortTaken when that is why.
    """
    deadline = time.monotonic() + seconds
    while not is_true(answers):
        if child.exit_code is not None:
            raise ended(child, name)
        if time.monotonic() > deadline:
            raise failed(child, f"{name} is not ready after {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)


def is_true(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except (httpx.HTTPError, OSError):  # nothing listens yet
        return False


def status_of(url: str) -> int:
    """On loopback: past any proxy, and without loading the certificates that plain HTTP never reads."""
    return httpx.get(url, timeout=ANSWER_SECONDS, trust_env=False, verify=False).status_code


def ended(child: Child, name: str) -> StackError:
    return failed(child, f"{name} ended with exit code {child.exit_code} before it was ready")


def failed(child: Child, sentence: str) -> StackError:
    tail = child.last_lines()
    kind = PortTaken if tells_of_taken_port(tail) else StackError
    return kind(f"{sentence}; the last lines of {child.log}:\n{tail or '(it is empty)'}")
