"""Where a model runs and with what numbers, and the digest that names its weights."""

import hashlib
import logging
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from clip_vectorizer.errors import SettingsError

log = logging.getLogger(__name__)
DIGEST_LETTERS = 16
# A pass of fewer parameters is over before other threads have woken: with as many threads as cores the emoji model
# took 84 ms of CPU an image on two busy cores, with one 7 ms.
WORTH_THREADS = 20_000_000
Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Placement:
    """`device` as torch names it, `precision` fp32, bf16 or int8, `threads` of one pass on a CPU.

    0 threads: one for a small model, else what torch chooses.
    """

    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 0

    def check(self) -> None:
        """Raises SettingsError for a device that this machine does not have, or numbers that the device does not."""
        if self.threads:
            torch.set_num_threads(self.threads)
        if self.precision == "int8" and self.device != "cpu":
            raise SettingsError(
                f"CLIP_PRECISION='int8' is for the CPU, not for CLIP_DEVICE={self.device!r}; use bf16 there"
            )
        if self.device != "cpu" and not has_cuda(self.device):
            raise SettingsError(
                f"CLIP_DEVICE={self.device!r}: torch {torch.__version__} has {torch.cuda.device_count()} CUDA devices; "
                "use cpu, or install a driver that fits"
            )
        if self.precision == "bf16" and self.device == "cpu" and not fast_bf16():
            log.warning("bf16 is slower than fp32 on this CPU, which has neither AMX nor avx512_bf16")

    def place(self, model: Module) -> Module:
        """In eval mode, without gradients, where and as it shall run."""
        self.limit_threads(model)
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        return model.to(self.device, dtype).eval().requires_grad_(False)

    def limit_threads(self, model: nn.Module) -> None:
        if not self.threads and self.device == "cpu" and sum(map(torch.numel, model.parameters())) < WORTH_THREADS:
            torch.set_num_threads(1)


def has_cuda(device: str) -> bool:
    number = int(device.partition(":")[2] or 0)
    return torch.cuda.is_available() and number < torch.cuda.device_count()


def fast_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def digest(model: nn.Module) -> str:
    """Of all float32 weights, by name: equal digests mean equal vectors on like machines."""
    sha = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        sha.update(name.encode())
        sha.update(value.detach().contiguous().cpu().numpy().tobytes())
    return sha.hexdigest()[:DIGEST_LETTERS]
