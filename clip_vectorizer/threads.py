"""Threads that never keep a process alive: a decoder or a device that hangs must not stop a stop."""

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

ArgumentsP = ParamSpec("ArgumentsP")
ResultT = TypeVar("ResultT")
ThreadTask = Callable[[], None]
TaskQueue = SimpleQueue[ThreadTask | None]  # None: the end of one thread


class DaemonThreads(Executor):
    """`count` daemon threads, first come, first served. Work may raise anything: the thread lives on.

    They end when nobody holds the executor any more.
    """

    def __init__(self, count: int, name: str) -> None:
        self._jobs: TaskQueue = SimpleQueue()
        for number in range(count):
            threading.Thread(target=run_tasks, args=(self._jobs,), name=f"{name}-{number}", daemon=True).start()
        weakref.finalize(self, stop_threads, self._jobs, count)

    def submit(
        self, work: Callable[ArgumentsP, ResultT], /, *args: ArgumentsP.args, **kwargs: ArgumentsP.kwargs
    ) -> Future[ResultT]:
        future, job = prepare_task(partial(work, *args, **kwargs))
        self._jobs.put(job)
        return future


def run_tasks(jobs: TaskQueue) -> None:
    while job := jobs.get():
        job()
        del job  # it holds its arguments, an image perhaps, until the next one comes


def stop_threads(jobs: TaskQueue, count: int) -> None:
    for _ in range(count):
        jobs.put(None)


def prepare_task(work: Callable[[], ResultT]) -> tuple[Future[ResultT], ThreadTask]:
    """The result to come, and what makes it come. Work may raise anything: the future has it."""
    future: Future[ResultT] = Future()

    def job() -> None:
        if future.set_running_or_notify_cancel():
            run_into_future(future, work)

    return future, job


def run_into_future(future: Future[ResultT], work: Callable[[], ResultT]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
