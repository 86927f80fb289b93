"""How a batch gets through a tower and back: as it is on a CPU, filled up to a recorded shape on a GPU.

N items of a batch · B of the bucket that holds them (B >= N) · D dimensions

The few shapes that a GPU gets to see: each is recorded once, and what is smaller is filled up to the next.

Powers of two: a batch is filled up by less than its own size, and 256 items need 9 recordings. No torch here.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from clip_vectorizer.models.device_errors import is_out_of_memory
from clip_vectorizer.vectors import Vectors

MAX_BATCH = 256  # until `warm_up` says otherwise
SHORTEST_TEXT = 16  # tokens; search queries and object names have 3 to 12, start and end included

log = logging.getLogger(__name__)
InputRow = npt.NDArray[Any]  # one item as the tower's pass takes it: (S, S, 3) uint8, or (T,) int64
ForwardPass = Callable[[Tensor], Tensor]  # (N, ...) on the device in, (N, D) float32 unit rows on the device out
ReplayPass = Callable[[], Tensor]  # a recorded pass over a fixed input: (B, D)


class TowerRunner(Protocol):
    """One tower on one device. Used by one thread at a time."""

    def warm_up(self, examples: Sequence[InputRow], max_batch: int) -> None:
        """Makes ready for up to `max_batch` rows of each shape in `examples`."""

    def __call__(self, rows: Sequence[InputRow]) -> Vectors:
        """(N, D) float32 unit rows of N >= 1 rows of one shape and dtype."""


class EagerRunner:
    """Every batch as it is: on a CPU a pass costs what its rows cost."""

    def __init__(self, run: ForwardPass, device: torch.device) -> None:
        self._run, self._device = run, device

    def warm_up(self, examples: Sequence[InputRow], max_batch: int) -> None:
        for example in examples:
            self([example])

    def __call__(self, rows: Sequence[InputRow]) -> Vectors:
        with torch.inference_mode():
            inputs = torch.from_numpy(np.stack(rows)).to(self._device)
            vectors: Vectors = self._run(inputs).cpu().numpy()
            return vectors


class Recorder(Protocol):
    """What a BucketRunner needs of a device; `cuda_graphs.CudaGraphs` is the real one."""

    device: torch.device

    def scope(self) -> AbstractContextManager[object]:
        """Everything below happens inside."""

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """On the CPU, in memory that the device reads fast."""

    def record(self, run: ForwardPass, inputs: Tensor) -> ReplayPass:
        """The pass over whatever `inputs` holds when it is replayed. Raises what torch raises."""

    def fetch(self, rows_nd: Tensor) -> Vectors:
        """A copy on the CPU, complete when this returns: the batch's one synchronisation."""


@dataclass(frozen=True, slots=True)
class Staging:
    """The largest batch of one row shape, in host memory and on the device; smaller ones are its first rows."""

    host: Tensor
    device: Tensor


class BucketRunner:
    """Passes of fixed shapes. Rows beyond the batch hold what an earlier batch left there, and are never read.

    Rows of a tower do not see each other, so an answer is the same whatever they hold.
    """

    def __init__(self, run: ForwardPass, recorder: Recorder) -> None:
        self._run, self._recorder = run, recorder
        self._buckets = batch_buckets(MAX_BATCH)
        self._staging: dict[tuple[int, ...], Staging] = {}
        self._replays: dict[tuple[int, ...], ReplayPass] = {}

    def warm_up(self, examples: Sequence[InputRow], max_batch: int) -> None:
        """Records every bucket, the largest first, for smaller ones then live in its memory."""
        self._buckets = batch_buckets(max_batch)
        self._staging.clear()
        self._replays.clear()
        with self._recorder.scope():
            for example in examples:
                for size in reversed(self._buckets):
                    self._record_if_it_fits(example, size)

    def __call__(self, rows: Sequence[InputRow]) -> Vectors:
        most = self._buckets[-1]
        with self._recorder.scope():
            parts = [self._pass(rows[start : start + most]) for start in range(0, len(rows), most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _pass(self, rows: Sequence[InputRow]) -> Vectors:
        count, staging = len(rows), self._staging_of(rows[0])
        replay = self._replay(rows[0], smallest_holding(count, self._buckets))
        np.stack(rows, out=staging.host[:count].numpy())
        staging.device[:count].copy_(staging.host[:count], non_blocking=True)
        return self._recorder.fetch(replay()[:count])

    def _record_if_it_fits(self, example: InputRow, size: int) -> None:
        """Buckets that do not fit into the device's memory are given up: larger batches then go in parts."""
        try:
            self._replay(example, size)
        except RuntimeError as error:
            if not is_out_of_memory(error) or size == 1:
                raise
            self._buckets = tuple(each for each in self._buckets if each < size)
            most = self._buckets[-1]
            log.warning("%s: no memory for batches of %d; at most %d in a pass", self._recorder.device, size, most)

    def _replay(self, row: InputRow, size: int) -> ReplayPass:
        key = (size, *row.shape)
        if key not in self._replays:
            self._replays[key] = self._recorder.record(self._run, self._staging_of(row).device[:size])
        return self._replays[key]

    def _staging_of(self, row: InputRow) -> Staging:
        if row.shape not in self._staging:
            shape, dtype = (self._buckets[-1], *row.shape), torch.from_numpy(row).dtype
            host = self._recorder.host_buffer(shape, dtype)
            self._staging[row.shape] = Staging(host, torch.zeros(shape, dtype=dtype, device=self._recorder.device))
        return self._staging[row.shape]


def batch_buckets(max_batch: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `max_batch` itself."""
    powers = [1 << exponent for exponent in range(max_batch.bit_length()) if 1 << exponent < max_batch]
    return (*powers, max_batch)


def length_buckets(context: int, least: int = 0) -> tuple[int, ...]:
    """Tokens of a row: 16, 32, ... up to half of `context`, and `context`; `least` alone where rows are never shorter.

    For CLIP's 77 tokens: 16, 32, 77. Texts of 33 to 76 are rare, and each length costs a recording a batch size.
    """
    shorter = [SHORTEST_TEXT << step for step in range(8) if SHORTEST_TEXT << step <= context // 2]
    return (*(length for length in shorter if length >= least), max(context, least))


def smallest_holding(count: int, buckets: Sequence[int]) -> int:
    """The first of ascending `buckets` that is no smaller than `count`, else the last."""
    return next((bucket for bucket in buckets if bucket >= count), buckets[-1])
