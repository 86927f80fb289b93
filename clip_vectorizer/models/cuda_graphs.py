"""Passes recorded as CUDA graphs: one launch replays a whole tower.

A tower at batch 1 is some 200 kernels of a few microseconds each; launched one by one from Python they take longer
than they compute.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from clip_vectorizer.models.device_errors import is_lost, is_out_of_memory
from clip_vectorizer.models.runners import ForwardPass, ReplayPass
from clip_vectorizer.vectors import Vectors

log = logging.getLogger(__name__)
WARM_UP_PASSES = 3  # libraries choose algorithms and allocate in the first ones, which cannot be recorded


class CudaGraphs:
    """One stream and one pool of memory for all graphs of an encoder: no two of them run at once.

    Graphs of one pool use the same memory, so an answer must be fetched before another graph runs: hence the lock.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._lock = threading.Lock()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()
        torch.cuda.synchronize(device)  # the weights came by another stream

    @contextmanager
    def scope(self) -> Iterator[None]:
        with self._lock, torch.inference_mode(), torch.cuda.device(self.device), torch.cuda.stream(self._stream):
            yield

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def record(self, run: ForwardPass, inputs: Tensor) -> ReplayPass:
        """The graph of a pass; the pass itself where it has steps that no graph can hold."""
        for _ in range(WARM_UP_PASSES):
            run(inputs)
        self._stream.synchronize()
        try:
            return self._graph(run, inputs)
        except RuntimeError as error:
            if is_out_of_memory(error) or is_lost(error):
                raise
            log.warning("no CUDA graph for input %s (%s); it runs step by step", tuple(inputs.shape), error)
            return lambda: run(inputs)

    def _graph(self, run: ForwardPass, inputs: Tensor) -> ReplayPass:
        graph = torch.cuda.CUDAGraph()
        # thread_local: decoders and another device's worker may use CUDA while this thread records
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            rows_bd = run(inputs)

        def replay() -> Tensor:
            graph.replay()
            return rows_bd

        return replay

    def fetch(self, rows_nd: Tensor) -> Vectors:
        answer = torch.empty(rows_nd.shape, dtype=rows_nd.dtype, pin_memory=True)
        answer.copy_(rows_nd, non_blocking=True)
        self._stream.synchronize()
        vectors: Vectors = answer.numpy().copy()  # pinned memory goes back to its pool with `answer`
        return vectors
