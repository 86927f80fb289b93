"""Errors with messages of torch."""

import pytest
import torch

from clip_vectorizer.errors import DeviceLost
from clip_vectorizer.models.device_errors import detect_lost_device, is_lost, is_out_of_memory

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
HINT = "\nCUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace may be wrong."
LOST = [
    "CUDA error: device-side assert triggered",
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: unspecified launch failure",
    "CUDA error: misaligned address",
    "CUDA error: an illegal instruction was encountered",
    "CUDA error: uncorrectable ECC error encountered",
    "CUDA error: the launch timed out and was terminated",
]
NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79 GiB"),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    torch.AcceleratorError("CUDA error: out of memory" + HINT),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]
ORDINARY = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"),
    ValueError("device-side assert triggered"),  # not torch's
    RuntimeError("CUDA error: invalid configuration argument" + HINT),
]


def alive(_device: torch.device) -> None:
    pass


def dead(_device: torch.device) -> None:
    raise RuntimeError("CUDA error: an illegal memory access was encountered" + HINT)


def full(_device: torch.device) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize("kind", [RuntimeError, torch.AcceleratorError])
@pytest.mark.parametrize("message", LOST)
def test_a_fatal_cuda_error_raises_device_lost(message: str, kind: type[RuntimeError]) -> None:
    error = kind(message + HINT)
    assert is_lost(error)
    assert not is_out_of_memory(error)
    with (
        pytest.raises(DeviceLost, match=f"cuda:0 is lost .{message}.*started again") as raised,
        detect_lost_device(GPU),
    ):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", NO_MEMORY)
def test_out_of_memory_errors_pass_unchanged(error: RuntimeError) -> None:
    assert is_out_of_memory(error)
    assert not is_lost(error)
    with pytest.raises(type(error)) as passed, detect_lost_device(GPU, dead):
        raise error
    assert passed.value is error


@pytest.mark.parametrize("error", ORDINARY)
def test_other_errors_pass_unchanged_while_the_device_works(error: Exception) -> None:
    assert not is_lost(error)
    with pytest.raises(type(error)) as passed, detect_lost_device(GPU, alive):
        raise error
    assert passed.value is error


def test_a_device_that_fails_a_minimal_operation_is_lost() -> None:
    with pytest.raises(DeviceLost, match="illegal memory access"), detect_lost_device(GPU, dead):
        raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")


def test_a_full_device_is_not_a_lost_one() -> None:
    with pytest.raises(RuntimeError, match="EXECUTION_FAILED"), detect_lost_device(GPU, full):
        raise RuntimeError("CUDNN_STATUS_EXECUTION_FAILED")


def test_a_cpu_is_never_probed() -> None:
    with pytest.raises(RuntimeError, match="assert"), detect_lost_device(CPU, dead):
        raise RuntimeError("CUDA error: device-side assert triggered")


def test_success_does_not_probe_the_device() -> None:
    with detect_lost_device(GPU, dead):
        pass
