"""Classifies a failed pass: too little memory for this batch, a bad item, or a device that is lost."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from clip_vectorizer.errors import DeviceLost

NO_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
# Errors after which every call of this process to the device fails ("sticky": CUDA Runtime API, cudaError_t: "This
# leaves the process in an inconsistent state and any further CUDA work will return the same error").
STICKY = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "illegal address",
    "misaligned address",
    "unspecified launch failure",
    "launch timed out",
    "hardware stack error",
    "invalid program counter",
    "operation not supported on global/shared address space",
    "uncorrectable ECC error",
    "uncorrectable NVLink error",
    "unrecoverable",
    "driver shutting down",
    "GPU is lost",
    "external device",
    "no CUDA-capable device",
)
DeviceProbe = Callable[[torch.device], None]  # raises RuntimeError when the device no longer works


@contextmanager
def detect_lost_device(device: torch.device, probe: DeviceProbe | None = None) -> Iterator[None]:
    """Raise DeviceLost for a failure inside that left `device` unusable; pass on every other failure unchanged."""
    try:
        yield
    except RuntimeError as error:
        if device.type != "cpu" and not is_out_of_memory(error):
            raise_if_lost(device, error, probe or probe_device)
        raise


def raise_if_lost(device: torch.device, error: Exception, probe: DeviceProbe) -> None:
    """Raise DeviceLost if `error` is a fatal CUDA error, or if a minimal operation on the device fails."""
    cause: Exception | None = error if is_lost(error) else run_probe(probe, device)
    if cause:
        raise DeviceLost(
            f"{device} is lost ({first_line(cause)}): nothing can run on it until this process is started again; "
            "if that does not help, look at `nvidia-smi` and the kernel log for XID errors"
        ) from error


def run_probe(probe: DeviceProbe, device: torch.device) -> Exception | None:
    try:
        probe(device)
    except RuntimeError as error:
        return None if is_out_of_memory(error) else error
    return None


def probe_device(device: torch.device) -> None:
    """Run a minimal operation. Raises RuntimeError if `device` is lost."""
    torch.zeros(1, device=device).add_(1).item()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the pass may succeed with a smaller batch."""
    return isinstance(error, torch.OutOfMemoryError) or contains_any(error, NO_MEMORY)


def is_lost(error: BaseException) -> bool:
    """Whether the message of `error` is that of a CUDA error after which every later call fails too."""
    return isinstance(error, RuntimeError) and not is_out_of_memory(error) and contains_any(error, STICKY)


def contains_any(error: BaseException, marks: tuple[str, ...]) -> bool:
    text = str(error).lower()
    return any(mark.lower() in text for mark in marks)


def first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
