"""Devices: parsing CLIP_DEVICE, placing a model, copying it to other devices, and a digest of its weights."""

import copy
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable, SettingsError

ALL = "cuda:all"
DIGEST_LETTERS = 16
BATCH_NORM_BUFFERS = ("running_mean", "running_var")
log = logging.getLogger(__name__)
ModuleT = TypeVar("ModuleT", bound=nn.Module)
ModelT = TypeVar("ModelT")


def parse_devices(text: str, count: int | None = None) -> list[str]:
    """Return torch's device names, with numbers; a name that is given twice stands for two workers.

    `count`: CUDA devices of this machine, by default as many as torch finds. Raises SettingsError.

    >>> parse_devices("cuda,cpu", count=1)
    ['cuda:0', 'cpu']
    >>> parse_devices("cuda:all", count=2)
    ['cuda:0', 'cuda:1']
    """
    have = torch.cuda.device_count() if count is None else count
    if text == ALL and not have:
        raise SettingsError(f"CLIP_DEVICE={text!r}: {explain_no_cuda()}")
    names = (
        [f"cuda:{number}" for number in range(have)]
        if text == ALL
        else [with_number(each) for each in split_names(text)]
    )
    missing = [name for name in names if name != "cpu" and int(name.partition(":")[2]) >= have]
    if missing:
        found = f"torch finds cuda:0 to cuda:{have - 1}" if have else explain_no_cuda()
        raise SettingsError(f"CLIP_DEVICE={text!r}: there is no {' and no '.join(missing)}; {found}")
    return names


def split_names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def with_number(name: str) -> str:
    return "cuda:0" if name == "cuda" else name


def explain_no_cuda() -> str:
    """Return why torch finds no CUDA device, and what to do."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA; install one with it, or use cpu"
    return f"torch {torch.__version__} finds no CUDA device; use cpu, or install a driver for CUDA {torch.version.cuda}"


@dataclass(frozen=True, slots=True)
class Placement:
    """Device and dtype of a model: `device` as torch names it, `precision` fp32, bf16 or int8."""

    device: str = "cpu"
    precision: str = "fp32"

    def check(self) -> None:
        """Raise SettingsError for a device that this machine lacks, or a precision that the device does not support."""
        if self.precision == "int8" and self.device != "cpu":
            raise SettingsError(
                f"CLIP_PRECISION='int8' is for the CPU, not for CLIP_DEVICE={self.device!r}; use bf16 there"
            )
        if self.device != "cpu" and not has_cuda(self.device):
            raise SettingsError(
                f"CLIP_DEVICE={self.device!r}: torch {torch.__version__} has {torch.cuda.device_count()} CUDA devices; "
                "use cpu, or install a driver that fits"
            )
        if self.precision == "bf16" and self.device == "cpu" and not has_fast_bf16():
            log.warning("bf16 is slower than fp32 on this CPU, which has neither AMX nor avx512_bf16")

    def place(self, model: ModuleT) -> ModuleT:
        """Return `model` on the device, in the dtype, in eval mode and without gradients."""
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        return model.to(self.device, dtype).eval().requires_grad_(False)


def has_cuda(device: str) -> bool:
    number = int(device.partition(":")[2] or 0)
    return torch.cuda.is_available() and number < torch.cuda.device_count()


def has_fast_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def count_weights(model: nn.Module) -> int:
    return sum(map(torch.numel, model.parameters()))


def check_numbers(name: str, model: nn.Module) -> None:
    """Raise ModelUnavailable where a weight is NaN or infinite, with the tensor's name.

    Of sound weights only sums are computed, at the speed of memory. Buffers other than a batch norm's may be infinite:
    masks are.
    """
    trained = {key for key, _ in model.named_parameters()}
    for key, value in model.state_dict().items():
        if (key in trained or key.endswith(BATCH_NORM_BUFFERS)) and (wrong := count_non_finite(value)):
            raise ModelUnavailable(
                f"{name} has weights that are no numbers: {wrong:,} of {value.numel():,} in {key} are NaN or infinite; "
                "take an earlier checkpoint of the training that made it, or download it again"
            )


def count_non_finite(value: Tensor) -> int:
    """Return how many numbers are NaN or infinite. Each makes the sum so; the sum of finite ones may overflow too."""
    return 0 if value.sum().isfinite() else int((~value.isfinite()).sum())


def hash_weights(model: nn.Module) -> str:
    """Return a digest of all weights and their names, for float32 on the CPU: equal digests mean equal vectors."""
    sha = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        sha.update(name.encode())
        sha.update(value.detach().contiguous().cpu().numpy().tobytes())
    return sha.hexdigest()[:DIGEST_LETTERS]


def copy_model(model: ModelT, device: torch.device) -> ModelT:
    """Return a copy of `model` (a module, or an object that holds modules) with every weight on `device`.

    Each weight is copied straight to `device`; the source device needs no extra memory.
    """
    memo: dict[int, object] = {}
    for module in find_modules(model):
        memo |= {id(value): move_tensor(value, device) for value in iterate_tensors(module)}
    return copy.deepcopy(model, memo)


def find_modules(model: object) -> list[nn.Module]:
    parts = [model] if isinstance(model, nn.Module) else list(vars(model).values())
    return [part for part in parts if isinstance(part, nn.Module)]


def iterate_tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def move_tensor(value: Tensor, device: torch.device) -> Tensor:
    there = value.detach().to(device)
    return nn.Parameter(there, requires_grad=value.requires_grad) if isinstance(value, nn.Parameter) else there
