"""Processes that train one model together: each has a part of every batch, and all have the loss of the whole one.

The vectors of all parts are gathered, the loss is computed over them in each process, each continues the gradient of
its own part, and the gradients of the weights are added. So loss and gradient are those of one process with the whole
batch, which the mean of the gradients of separate losses, as of DistributedDataParallel, is not.

B batch · P part of it · D dimensions
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from clip_vectorizer.errors import InputError
from clip_vectorizer.models.cores import usable_cores

ValueT = TypeVar("ValueT")
RANK, SIZE, LOCAL_RANK = "RANK", "WORLD_SIZE", "LOCAL_RANK"  # as torchrun sets them
WAIT = timedelta(hours=2)  # for the first process, which downloads the model and copies the images


@dataclass(frozen=True, slots=True)
class TrainingGroup:
    """This process among those that train. One alone needs no torch.distributed."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def choose_part(self, items: Sequence[ValueT]) -> Sequence[ValueT]:
        """Return this process's part: parts follow each other, and their lengths differ by one at most.

        >>> [TrainingGroup(rank, 3).choose_part(range(7)) for rank in range(3)]
        [range(0, 2), range(2, 4), range(4, 7)]
        """
        return items[len(items) * self.rank // self.size : len(items) * (self.rank + 1) // self.size]

    def gather_rows(self, rows_pd: Tensor) -> tuple[Tensor, slice]:
        """Return (B, D) rows of all processes, in their order, and the place of this one's. No gradient passes."""
        if self.size == 1:
            return rows_pd, slice(0, len(rows_pd))
        shapes = self._gather_shapes(rows_pd)
        longest, dimension = max(length for length, _ in shapes), max(width for _, width in shapes)
        padded = rows_pd.new_zeros(longest, dimension)
        padded[: len(rows_pd), : rows_pd.shape[1]] = rows_pd
        parts = [torch.empty_like(padded) for _ in shapes]
        distributed.all_gather(parts, padded)
        rows = torch.cat([part[:length] for part, (length, _) in zip(parts, shapes, strict=True)])
        first = sum(length for length, _ in shapes[: self.rank])
        return rows, slice(first, first + len(rows_pd))

    def _gather_shapes(self, rows_pd: Tensor) -> list[tuple[int, int]]:
        own = torch.tensor(rows_pd.shape, device=rows_pd.device)
        found = [torch.empty_like(own) for _ in range(self.size)]
        distributed.all_gather(found, own)
        return [(int(length), int(width)) for length, width in found]

    @torch.no_grad()
    def add_gradients(self, weights: Mapping[str, nn.Parameter], shared: Sequence[str] = ()) -> None:
        """Replace each gradient by the sum over all processes.

        `shared`: weights of the loss itself, whose whole gradient each process has; that of the first one counts.
        """
        if self.size == 1:
            return
        trained = {name: weight for name, weight in weights.items() if weight.requires_grad}
        for name, weight in trained.items():
            if weight.grad is None or (name in shared and not self.is_first):
                weight.grad = torch.zeros_like(weight)
        gradients = [weight.grad for weight in trained.values() if weight.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, part in zip(gradients, torch.split(flat, [each.numel() for each in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def count_all(self, own: int) -> int:
        """Return the sum over all processes."""
        return sum(self.gather_values(own))

    def gather_values(self, own: ValueT) -> list[ValueT]:
        """Return the value of each process, in their order. It is pickled."""
        if self.size == 1:
            return [own]
        values: list[ValueT] = [own] * self.size
        distributed.all_gather_object(values, own)
        return values

    def share_first(self, own: ValueT) -> ValueT:
        """Return the value of the first process."""
        return self.gather_values(own)[0]

    @torch.no_grad()
    def copy_weights(self, weights: Iterable[Tensor]) -> None:
        """Give all processes the weights of the first: other machines may draw or round others."""
        if self.size > 1:
            for weight in weights:
                distributed.broadcast(weight, 0)

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """Run the body in the first process, then in the others at once: what it downloads or writes is there then."""
        if self.size > 1 and not self.is_first:
            distributed.barrier()
        yield
        if self.size > 1 and self.is_first:
            distributed.barrier()


ALONE = TrainingGroup()


def read_rank(env: Mapping[str, str] = os.environ) -> TrainingGroup:
    """Return the place among the processes of torchrun; one alone without it. Raises InputError.

    >>> read_rank({"RANK": "3", "WORLD_SIZE": "4"}).rank
    3
    """
    if RANK not in env or SIZE not in env:
        return ALONE
    try:
        return TrainingGroup(int(env[RANK]), int(env[SIZE]))
    except ValueError:
        raise InputError(f"{RANK}={env[RANK]!r}, {SIZE}={env[SIZE]!r}: start several processes by torchrun") from None


def choose_device(device: str, local_rank: int, size: int) -> str:
    """Return the device of a process. Raises InputError for a device that all of them would share.

    >>> choose_device("cuda", 2, 4), choose_device("cuda:1", 0, 1)
    ('cuda:2', 'cuda:1')
    """
    if size == 1 or device == "cpu":
        return device
    if device != "cuda":
        raise InputError(f"--device {device}: several processes have a device each; use --device cuda, or cpu")
    return f"cuda:{local_rank}"


@contextmanager
def join_group(
    place: TrainingGroup, device: str, local_rank: int, meeting: Path | None = None
) -> Iterator[TrainingGroup]:
    """Connect with the other processes, by a new file, or as torchrun says. Raises InputError, RuntimeError."""
    own = choose_device(device, local_rank, place.size)
    if own != "cpu":
        torch.cuda.set_device(own)
    backend = "gloo" if own == "cpu" else "nccl"
    method = f"file://{meeting}" if meeting else "env://"
    distributed.init_process_group(backend, method, WAIT, world_size=place.size, rank=place.rank)
    threads = torch.get_num_threads()
    torch.set_num_threads(min(threads, max(1, usable_cores() // place.size)))
    try:
        yield TrainingGroup(place.rank, place.size, own)
    finally:
        torch.set_num_threads(threads)
        distributed.destroy_process_group()
