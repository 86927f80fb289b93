"""A long pass can let something short in between two of its layers: a text that waits while images are encoded.

Both then run on the device's one thread. A second thread would bring a second team of OpenMP threads, and where these
outnumber the cores libgomp no longer waits actively for the next piece of work: an int8 pass then takes more than twice
as long (benchmarks/teams.py).
"""

import threading
from collections.abc import Callable

_here = threading.local()


def set_pause_work(work: Callable[[], None]) -> None:
    """From now on the calling thread does `work` at each pause of a pass that it runs."""
    _here.work = work


def run_pause_work() -> None:
    """Between two layers."""
    work: Callable[[], None] | None = getattr(_here, "work", None)
    if work:
        work()
