"""Runs a batch through a tower: as it is on a CPU, padded to a recorded shape on a GPU.

A GPU records one pass per shape (a bucket). Buckets are powers of two, so padding less than doubles a batch, and
256 items need 9 recordings.

N items of a batch · B of the bucket that holds them (B >= N) · D dimensions
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from clip_vectorizer.models.device_errors import is_out_of_memory
from clip_vectorizer.vectors import Vectors

MAX_BATCH = 256  # until `warm_up` sets another limit
PART_BYTES = 16 * 224 * 224 * 3  # of inputs: 16 pictures of most models, and more texts than a request may have
SHORTEST_TEXT = 16  # tokens; search queries and object names have 3 to 12, start and end included

log = logging.getLogger(__name__)
InputRow = npt.NDArray[Any]  # one item as the tower's pass takes it: (S, S, 3) uint8, or (T,) int64
ForwardPass = Callable[[Tensor], Tensor]  # (N, ...) on the device in, (N, D) float32 unit rows on the device out
ReplayPass = Callable[[], Tensor]  # a recorded pass over a fixed input: (B, D)


class TowerRunner(Protocol):
    """One tower on one device. Used by one thread at a time."""

    def warm_up(self, examples: Sequence[InputRow], max_batch: int) -> None:
        """Prepare for batches of up to `max_batch` rows of each shape in `examples`."""

    def __call__(self, rows: Sequence[InputRow]) -> Vectors:
        """Return (N, D) float32 unit rows for N >= 1 rows of one shape and dtype."""


class EagerRunner:
    """Runs every batch unpadded, in even parts: on a CPU the cost of a pass is proportional to its rows.

    Parts keep memory small: 64 pictures are 38 MB as float32, which the C library does not return afterwards.
    """

    def __init__(self, run: ForwardPass, device: torch.device) -> None:
        self._run, self._device = run, device

    def warm_up(self, examples: Sequence[InputRow], max_batch: int) -> None:
        for example in examples:
            self([example])

    def __call__(self, rows: Sequence[InputRow]) -> Vectors:
        count = min(len(rows), -(-sum(row.nbytes for row in rows) // PART_BYTES))
        ends = [len(rows) * number // count for number in range(count + 1)]
        parts = [self._run_part(rows[start:end]) for start, end in pairwise(ends)]
        return parts[0] if count == 1 else np.concatenate(parts)

    def _run_part(self, rows: Sequence[InputRow]) -> Vectors:
        with torch.inference_mode():
            inputs = torch.from_numpy(np.stack(rows)).to(self._device)
            vectors: Vectors = self._run(inputs).cpu().numpy()
            return vectors


class Recorder(Protocol):
    """Device operations of a BucketRunner; `cuda_graphs.CudaGraphs` implements them for CUDA."""

    device: torch.device

    def scope(self) -> AbstractContextManager[object]:
        """Return the context in which every method below is called."""

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return an uninitialised CPU tensor, pinned where the device copies faster from pinned memory."""

    def record(self, run: ForwardPass, inputs: Tensor) -> ReplayPass:
        """Return a pass that reads the contents of `inputs` at each replay. Raises errors of torch unchanged."""

    def fetch(self, rows_nd: Tensor) -> Vectors:
        """Return a copy on the CPU, complete on return: the only synchronisation of a batch."""


@dataclass(frozen=True, slots=True)
class Staging:
    """Host and device buffers for the largest batch of one row shape; smaller batches use the first rows."""

    host: Tensor
    device: Tensor


class BucketRunner:
    """Runs passes of fixed shapes. Rows beyond the batch keep old contents and are never read.

    Rows of a tower are independent of each other, so padding does not change a result.
    """

    def __init__(self, run: ForwardPass, recorder: Recorder) -> None:
        self._run, self._recorder = run, recorder
        self._buckets = batch_buckets(MAX_BATCH)
        self._staging: dict[tuple[int, ...], Staging] = {}
        self._replays: dict[tuple[int, ...], ReplayPass] = {}

    def warm_up(self, examples: Sequence[InputRow], max_batch: int) -> None:
        """Record every bucket, the largest first, so that smaller ones reuse its memory."""
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
        """Record one bucket. Where memory is too small, drop it and all larger ones: larger batches run in parts."""
        try:
            self._replay(example, size)
        except RuntimeError as error:
            if not is_out_of_memory(error) or size == 1:
                raise
            self._buckets = tuple(each for each in self._buckets if each < size)
            most = self._buckets[-1]
            log.warning(
                "%s: no memory for batches of %d; at most %d per pass",
                self._recorder.device,
                size,
                most,
            )

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
    """Return 1, 2, 4, ... and `max_batch` itself.

    >>> batch_buckets(6)
    (1, 2, 4, 6)
    """
    powers = [1 << exponent for exponent in range(max_batch.bit_length()) if 1 << exponent < max_batch]
    return (*powers, max_batch)


def length_buckets(context: int, least: int = 0) -> tuple[int, ...]:
    """Return the recorded lengths in tokens: 16, 32, ... up to half of `context`, and `context`; none below `least`.

    Texts of 33 to 76 tokens are rare, and each length costs one recording per batch size.

    >>> length_buckets(77)
    (16, 32, 77)
    """
    shorter = [SHORTEST_TEXT << step for step in range(8) if SHORTEST_TEXT << step <= context // 2]
    return (*(length for length in shorter if length >= least), max(context, least))


def smallest_holding(count: int, buckets: Sequence[int]) -> int:
    """Return the first of the ascending `buckets` that is at least `count`, else the last."""
    return next((bucket for bucket in buckets if bucket >= count), buckets[-1])
