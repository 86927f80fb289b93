"""Reads the tensors of a file of weights without running code from it.

Formats: torch's archives and its older pickles, safetensors, and TorchScript archives, as OpenAI published its models.
"""

import argparse
import pathlib
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.file_kinds import (
    DOWNLOAD_AGAIN,
    HEAD_BYTES,
    check_content,
    list_names,
    read_header_size,
)
from clip_vectorizer.models.torchscript import read_torchscript

Weights = dict[str, Tensor]
NUMPY_SUFFIXES = (".npz", ".npy")  # SigLIP's original weights, which open_clip reads itself
# Keys of a training checkpoint that have the weights of the model. The first that is there is taken.
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "weights", "ema_state_dict", "model_ema")
# What optimisers and trainers store beside weights. Values only: none of them runs code when it is read.
HARMLESS_CLASSES: tuple[Any, ...] = (
    argparse.Namespace,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    np.dtype,
    type(np.dtype(np.float64)),
    type(np.dtype(np.float32)),
    type(np.dtype(np.int64)),
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
)
PICKLED_NAME = re.compile(r"GLOBAL ([\w.]+)")


def read_weights(file: Path) -> Weights:
    """Return the tensors of a model by name, as the file has them. Raises ModelUnavailable for any other file."""
    check_content(file)
    try:
        content = load_content(file)
    except ModelUnavailable:
        raise
    except Exception as error:  # torch, zipfile, pickle and safetensors raise errors of their own
        raise ModelUnavailable(f"{file} {explain_failure(file, error)}") from error
    weights = find_weights(content)
    if not weights:
        raise ModelUnavailable(f"{file} has no weights: it is {describe_content(content)}")
    return weights


def explain_weights(file: Path | None) -> str:
    """Return why `file` is not read, with its name; "" where it is, and for the arrays of numpy."""
    if file is None or file.suffix in NUMPY_SUFFIXES:
        return ""
    try:
        read_weights(file)
    except ModelUnavailable as error:
        return str(error)
    return ""


def load_content(file: Path) -> Any:
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    if not head.startswith(b"PK") and read_header_size(head):
        return load_file(file)
    if is_torchscript(file):
        return read_torchscript(file)
    with warnings.catch_warnings(), allow_harmless_classes():
        warnings.filterwarnings("ignore", category=UserWarning)  # old kinds of storage
        return torch.load(file, map_location="cpu", weights_only=True, mmap=head.startswith(b"PK"))


def allow_harmless_classes() -> AbstractContextManager[None]:
    allowed: AbstractContextManager[None] = torch.serialization.safe_globals(list(HARMLESS_CLASSES))
    return allowed


def is_torchscript(file: Path) -> bool:
    """Whether `file` is a TorchScript archive by torch's own rule; a pickle of Python never passes for one."""
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def explain_failure(file: Path, error: Exception) -> str:
    """Return why torch cannot load `file`, without its advice to load unsafely."""
    if isinstance(error, pickle.UnpicklingError) and (names := list_pickled_names(file, error)):
        return (
            f"is a pickle that has code to run besides tensors ({list_names(names)}), so it is not opened; use "
            "a safetensors file of it, or save its tensors alone where it was made: torch.save(model.state_dict(), ...)"
        )
    if (
        isinstance(error, EOFError | IndexError | struct.error | pickle.UnpicklingError)
        or "EOF" in str(error)
        or "truncated" in str(error)
    ):
        return f"is cut off or damaged, or is no file of torch; {DOWNLOAD_AGAIN}"
    return f"is damaged, or is no file of torch ({shorten(error)}); {DOWNLOAD_AGAIN}"


def list_pickled_names(file: Path, error: Exception) -> list[str]:
    """The names of classes and functions that the pickle would call."""
    first = PICKLED_NAME.search(str(error))
    try:
        with allow_harmless_classes():
            found = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except Exception:  # not an archive: only the first name is in the message
        found = []
    if found and not is_torchscript(file):  # a program has classes of its own, which are no code of Python
        return found
    return [first[1]] if first else []


def shorten(error: Exception) -> str:
    """The first line of an error, without its advice about `weights_only`."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return line.partition("weights_only")[0][:200].strip()


def find_weights(content: object) -> Weights:
    """Return the tensors by name out of a training checkpoint or a dictionary of them; empty where there are none."""
    if not isinstance(content, Mapping):
        return {}
    for name in WRAPPERS:
        if isinstance(inner := content.get(name), Mapping) and (weights := find_weights(inner)):
            return weights
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def describe_content(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a dictionary of {list_names(list(content))}" if content else "an empty dictionary"
    if isinstance(content, Tensor):
        return f"one tensor of shape {tuple(content.shape)}"
    return f"a Python {type(content).__name__}"
