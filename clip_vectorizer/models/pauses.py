"""Lets a long pass run short work between two layers: waiting texts while images are encoded.

Work of several passes, such as finding regions, has breaks too, in which whatever waits may run.

Both run on the single device thread. A second thread would start a second team of OpenMP threads, and with more
threads than cores libgomp stops spinning for the next piece of work: an int8 pass then takes more than twice as long
(benchmarks/teams.py).
"""

import threading
from collections.abc import Callable

_here = threading.local()


def set_pause_work(work: Callable[[], None]) -> None:
    """Run `work` at every pause of the passes of the calling thread from now on."""
    _here.work = work


def run_pause_work() -> None:
    """Run the work of the calling thread, if any; called between two layers."""
    work: Callable[[], None] | None = getattr(_here, "work", None)
    if work:
        work()


def set_break_work(work: Callable[[], None]) -> None:
    """Run `work` at every break between two passes of the calling thread from now on."""
    _here.break_work = work


def run_break_work() -> None:
    """Run the break work of the calling thread, if any; called between two passes, never within one."""
    work: Callable[[], None] | None = getattr(_here, "break_work", None)
    if work:
        work()
