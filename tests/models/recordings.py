"""What CUDA graphs are to a BucketRunner, on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from clip_vectorizer.models.runners import ForwardPass, ReplayPass
from clip_vectorizer.vectors import Vectors


class Recordings:
    """Records by keeping the pass, as a CUDA graph does: over one input, with one output that it overwrites."""

    device = torch.device("cpu")

    def __init__(self, room: int = 10_000) -> None:
        self.sizes: list[tuple[int, ...]] = []
        self.replayed: list[int] = []
        self.fetched: list[int] = []
        self._room, self._inside = room, False

    @contextmanager
    def scope(self) -> Iterator[None]:
        self._inside = True
        with torch.inference_mode():
            yield
        self._inside = False

    def host_buffer(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.full(shape, 77, dtype=dtype)  # what happened to be there

    def record(self, run: ForwardPass, inputs: Tensor) -> ReplayPass:
        assert self._inside
        if len(inputs) > self._room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.sizes.append(tuple(inputs.shape))
        output = run(inputs)

        def replay() -> Tensor:
            assert self._inside
            self.replayed.append(len(inputs))
            return output.copy_(run(inputs))

        return replay

    def fetch(self, rows_nd: Tensor) -> Vectors:
        self.fetched.append(len(rows_nd))
        vectors: Vectors = rows_nd.numpy().copy()
        return vectors
