"""Records passes as CUDA graphs: one launch replays a whole tower.

A tower at batch 1 is about 200 kernels of a few microseconds each; launching them one by one from Python takes longer
than computing them.
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
    """Recorder with one stream and one memory pool for all graphs of an encoder; graphs run one at a time.

    Graphs of a pool share memory, so a result must be fetched before another graph runs. A lock enforces that.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._lock = threading.Lock()
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()
        torch.cuda.synchronize(device)  # the weights were copied on another stream

    @contextmanager
    def scope(self) -> Iterator[None]:
        with self._lock, torch.inference_mode(), torch.cuda.device(self.device), torch.cuda.stream(self._stream):
            yield

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def record(self, run: ForwardPass, inputs: Tensor) -> ReplayPass:
        """Return the replay of a pass; the pass itself where it contains steps that a CUDA graph cannot record."""
        for _ in range(WARM_UP_PASSES):
            run(inputs)
        self._stream.synchronize()
        try:
            return self._graph(run, inputs)
        except RuntimeError as error:
            if is_out_of_memory(error) or is_lost(error):
                raise
            log.warning("no CUDA graph for input %s (%s); running it kernel by kernel", tuple(inputs.shape), error)
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
        pinned = torch.empty(rows_nd.shape, dtype=rows_nd.dtype, pin_memory=True)
        pinned.copy_(rows_nd, non_blocking=True)
        self._stream.synchronize()
        vectors: Vectors = pinned.numpy().copy()  # the pinned memory returns to its pool
        return vectors
