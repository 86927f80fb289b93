"""Threads that never keep a process alive: a decoder or a device that hangs must not delay its end."""

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
    """`count` daemon threads, first come, first served. Work may raise anything: the thread survives.

    They end when the executor is garbage-collected.
    """

    def __init__(self, count: int, name: str) -> None:
        self._tasks: TaskQueue = SimpleQueue()
        for number in range(count):
            threading.Thread(target=run_tasks, args=(self._tasks,), name=f"{name}-{number}", daemon=True).start()
        weakref.finalize(self, stop_threads, self._tasks, count)

    def submit(
        self, work: Callable[ArgumentsP, ResultT], /, *args: ArgumentsP.args, **kwargs: ArgumentsP.kwargs
    ) -> Future[ResultT]:
        future, task = prepare_task(partial(work, *args, **kwargs))
        self._tasks.put(task)
        return future


def run_tasks(tasks: TaskQueue) -> None:
    while task := tasks.get():
        task()
        del task  # or its arguments, perhaps an image, stay in memory until the next one


def stop_threads(tasks: TaskQueue, count: int) -> None:
    for _ in range(count):
        tasks.put(None)


def prepare_task(work: Callable[[], ResultT]) -> tuple[Future[ResultT], ThreadTask]:
    """A future, and the task that runs `work` and sets it. Exceptions of `work` are set too."""
    future: Future[ResultT] = Future()

    def task() -> None:
        if future.set_running_or_notify_cancel():
            run_into_future(future, work)

    return future, task


def run_into_future(future: Future[ResultT], work: Callable[[], ResultT]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
