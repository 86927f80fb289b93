"""The number of threads that torch uses for a pass. Process-wide, so only the process that serves sets it."""

from collections.abc import Sequence

import torch

from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.torch_encoder import TorchEncoder

# A pass of fewer weights ends before other threads are awake: with as many threads as cores the emoji model took
# 84 ms of CPU per image on two busy cores, with one thread 7 ms.
WORTH_THREADS = 20_000_000


def cap_torch_threads(cores: int) -> None:
    """Use at most `cores` threads. torch starts one per core of the machine, which may be more than a quota allows."""
    if torch.get_num_threads() > cores:
        torch.set_num_threads(cores)


def set_torch_threads(encoders: Sequence[Encoder], threads: int = 0) -> None:
    """Set the threads of a pass for this process, after loading: `threads`, or the best number for `encoders` if 0."""
    torch.set_num_threads(threads or choose_threads(encoders))


def choose_threads(encoders: Sequence[Encoder]) -> int:
    """Return a share of the cores for several encoders on the CPU, 1 for a small model, else the current number."""
    on_cpu = [encoder for encoder in encoders if encoder.info.device == "cpu"]
    if len(on_cpu) > 1:
        return max(1, usable_cores() // len(on_cpu))
    return 1 if any(map(is_small, on_cpu)) else torch.get_num_threads()


def is_small(encoder: Encoder) -> bool:
    return isinstance(encoder, TorchEncoder) and encoder.weight_count < WORTH_THREADS
