"""Threads that never keep a process alive: a decoder or a device that hangs must not stop a stop."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Job = Callable[[], None]
Jobs = SimpleQueue[Job | None]  # None: the end of one thread


class DaemonThreads(Executor):
    """`count` daemon threads, first come, first served. Work may raise anything: the thread lives on.

    They end when nobody holds the executor any more.
    """

    def __init__(self, count: int, name: str) -> None:
        self._jobs: Jobs = SimpleQueue()
        for number in range(count):
            threading.Thread(target=work_through, args=(self._jobs,), name=f"{name}-{number}", daemon=True).start()
        weakref.finalize(self, end, self._jobs, count)

    def submit(
        self, work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Future[Result]:
        future, job = promised(partial(work, *args, **kwargs))
        self._jobs.put(job)
        return future


def work_through(jobs: Jobs) -> None:
    while job := jobs.get():
        job()
        del job  # it holds its arguments, an image perhaps, until the next one comes


def end(jobs: Jobs, count: int) -> None:
    for _ in range(count):
        jobs.put(None)


def promised(work: Callable[[], Result]) -> tuple[Future[Result], Job]:
    """The result to come, and what makes it come. Work may raise anything: the future has it."""
    future: Future[Result] = Future()

    def job() -> None:
        if future.set_running_or_notify_cancel():
            settle(future, work)

    return future, job


def settle(future: Future[Result], work: Callable[[], Result]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
