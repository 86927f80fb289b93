"""Starts the processes of a training on this machine: this one is the first, the others are its children."""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from clip_vectorizer.errors import InputError, TrainingProcessFailed, VectorizerError
from clip_vectorizer.training.training_group import LOCAL_RANK, TrainingGroup, join_group, read_rank

GLOO_INTERFACE = "GLOO_SOCKET_IFNAME"
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
READY = "ready"
END_SECONDS = 30.0  # for a child to end after the last step

Work = Callable[[TrainingGroup], None]  # it is pickled


@contextmanager
def open_group(processes: int, device: str, work: Work) -> Iterator[TrainingGroup]:
    """Yield the group that this process is the first of, or its place in that of torchrun. The others run `work`.

    Raises InputError for processes of both kinds, TrainingProcessFailed where another process fails.
    """
    place = read_rank()
    if place.size > 1:
        if processes > 1:
            raise InputError(f"torchrun has started {place.size} processes; remove --processes")
        with join_group(place, device, int(os.environ.get(LOCAL_RANK, place.rank))) as group:
            yield group
    elif processes > 1:
        with lead_children(processes, device, work) as group:
            yield group
    else:
        yield TrainingGroup(device=device)


@contextmanager
def lead_children(processes: int, device: str, work: Work) -> Iterator[TrainingGroup]:
    with tempfile.TemporaryDirectory(prefix="clip-training-") as folder, stay_on_loopback():
        meeting = Path(folder) / "store"
        children = [start_child(rank, processes, device, meeting, work) for rank in range(1, processes)]
        try:
            wait_for_all(children)
            with join_group(TrainingGroup(0, processes), device, 0, meeting) as group:
                try:
                    yield group
                except RuntimeError as error:  # of torch.distributed, where another process has ended
                    raise_failure(children, error)
            for child in children:
                child.process.join(END_SECONDS)
        finally:
            for child in children:
                child.process.kill()


@contextmanager
def stay_on_loopback() -> Iterator[None]:
    """Let gloo listen on the loopback interface alone: nothing outside this machine has a part in the training."""
    before = os.environ.get(GLOO_INTERFACE)
    os.environ.setdefault(GLOO_INTERFACE, LOOPBACK)
    try:
        yield
    finally:
        if before is None:
            del os.environ[GLOO_INTERFACE]


@dataclass(frozen=True, slots=True)
class TrainingChild:
    rank: int
    process: SpawnProcess
    messages: Connection  # READY, then perhaps the sentence of an error

    def read_message(self, seconds: float | None) -> str:
        """Return the next message; "" where the process ends without one."""
        with suppress(EOFError, OSError):
            if seconds is None or self.messages.poll(seconds):
                return str(self.messages.recv())
        return ""


def start_child(rank: int, size: int, device: str, meeting: Path, work: Work) -> TrainingChild:
    context = multiprocessing.get_context("spawn")  # CUDA and torch's threads do not survive a fork
    messages, own_end = context.Pipe(duplex=False)
    arguments = (TrainingGroup(rank, size), device, meeting, work, own_end)
    process = context.Process(target=run_child, args=arguments, daemon=True)
    process.start()
    own_end.close()
    return TrainingChild(rank, process, messages)


def run_child(place: TrainingGroup, device: str, meeting: Path, work: Work, messages: Connection) -> None:
    """The main function of another process; it ends with the first one, whatever ends that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the first process, which ends this one
    threading.Thread(target=end_with_parent, daemon=True).start()
    messages.send(READY)
    try:
        with join_group(place, device, place.rank, meeting) as group:
            try:
                work(group)
            except Exception as error:
                # Sent before the connections close: that the others lose them is not their failure.
                messages.send(str(error) if isinstance(error, VectorizerError) else traceback.format_exc())
                raise
    except Exception:
        os._exit(1)  # the first process reports it


def end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)


def wait_for_all(children: Sequence[TrainingChild]) -> None:
    """Raises TrainingProcessFailed where one does not start."""
    for child in children:
        if child.read_message(None) != READY:
            child.process.join(END_SECONDS)
            raise TrainingProcessFailed(child.rank, f"it did not start (exit code {child.process.exitcode})")


def raise_failure(children: Sequence[TrainingChild], error: RuntimeError) -> None:
    """Raise TrainingProcessFailed with the reason of the process that failed; `error` where none did."""
    for child in children:
        child.process.join(1.0)
        if child.process.exitcode:
            reason = child.read_message(0) or f"exit code {child.process.exitcode}"
            raise TrainingProcessFailed(child.rank, reason) from error
    raise error
