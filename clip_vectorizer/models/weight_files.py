"""Reads the tensors of a file of weights without running code from it; says what any other file is.

Formats: torch's archives and its older pickles, safetensors, and TorchScript archives, as OpenAI published its models.
"""

import argparse
import json
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

Weights = dict[str, Tensor]
HEAD_BYTES = 4096
SHOWN = 3  # names in a sentence
DOWNLOAD_AGAIN = "download it again"
# Keys of a training checkpoint that have the weights of the model. The first that is there is taken.
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "weights", "ema_state_dict", "model_ema")
FOREIGN_FILES: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL | re.IGNORECASE), sentence)
    for pattern, sentence in (
        (
            rb"version https://git-lfs\.github\.com/spec/",
            "is a Git LFS pointer, not the weights: run `git lfs pull` in its repository",
        ),
        (rb"GGUF|GGML|ggjt|lmgg", "is a GGUF file of llama.cpp, which has other tensors; name the original weights"),
        (rb"\x08[\x01-\x14](\x12.{1,40}|\x1a|\x3a)", "looks like an ONNX model; name the original weights of PyTorch"),
        (rb"\x89HDF\r\n", "is an HDF5 file, of Keras or TensorFlow; name the weights of PyTorch"),
        (rb"\x93NUMPY", "is a single array of numpy, not a model"),
        (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd|.{257}ustar", "is an archive: unpack it"),
        (
            rb"\s*(<!doctype\s+html|<html|<head|<body|<!--)",
            "is an HTML page, perhaps of a download that needs a login or a licence; open the address in a browser",
        ),
        (rb"\s*<", f"is an XML file, perhaps an error of a download; {DOWNLOAD_AGAIN}"),
        (rb"\s*\{.*\"weight_map\"", "is an index of several files of weights; join them into one file first"),
        (rb"\s*[\[{]\s*[\"\]}{\[]", "is a JSON file, not weights; name the file of weights beside it"),
        (rb"\xff\xd8\xff|\x89PNG|GIF8", "is an image, not weights"),
        (rb"%PDF-", "is a PDF file, not weights"),
    )
)
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


def check_content(file: Path) -> None:
    """Raise ModelUnavailable where `file` is not one of weights, by its first bytes."""
    if problem := find_problem(file):
        raise ModelUnavailable(f"{file} {problem}")


def find_problem(file: Path) -> str:
    """Return what is wrong with `file`, without reading its tensors; "" for a file that may have weights."""
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD_BYTES)
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
    if not head:
        return f"is empty (0 bytes); {DOWNLOAD_AGAIN}"
    if head.startswith(b"PK"):
        return find_archive_problem(file)
    if read_header_size(head):
        return find_safetensors_problem(file)
    if head.startswith(b"\x80"):  # a pickle
        return ""
    known = next((sentence for pattern, sentence in FOREIGN_FILES if pattern.match(head)), "")
    return known or "is neither a file of torch nor safetensors; name a file of weights (.pt, .bin, .safetensors)"


def find_archive_problem(file: Path) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return f"is cut off: the end of the archive is missing; {DOWNLOAD_AGAIN}"
    if any(name.endswith(("/data.pkl", "/constants.pkl")) or name == "data.pkl" for name in names):
        return ""
    return f"is a zip archive without weights of torch ({list_names(names)}): unpack it and name the file of weights"


def read_header_size(head: bytes) -> int:
    """The length of a safetensors header; 0 for any other file."""
    if len(head) < 9 or head[8:9] != b"{":
        return 0
    size = int(struct.unpack_from("<Q", head)[0])
    return size if size < 1 << 32 else 0


def find_safetensors_problem(file: Path) -> str:
    size = file.stat().st_size
    with file.open("rb") as opened:
        start = 8 + read_header_size(opened.read(9))
        header = opened.read(start - 9)
    try:
        tensors = json.loads(b"{" + header)
        end = start + max((int(each["data_offsets"][1]) for name, each in tensors.items() if "data_offsets" in each))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return f"is cut off or damaged in its header (safetensors); {DOWNLOAD_AGAIN}"
    return f"is cut off: it has {size:,} of {end:,} bytes; {DOWNLOAD_AGAIN}" if size < end else ""


def load_content(file: Path) -> Any:
    with file.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
    if not head.startswith(b"PK") and read_header_size(head):
        return load_file(file)
    if is_torchscript(file):
        return load_torchscript(file)
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


def load_torchscript(file: Path) -> Weights:
    """TorchScript has an interpreter of its own, which cannot call Python; only its tensors are taken."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*")  # deprecated
        load: Any = torch.jit.load  # untyped
        weights: Weights = dict(load(str(file), map_location="cpu").state_dict())
    return weights


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
    try:
        with allow_harmless_classes():
            found = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(file)))
    except Exception:  # not an archive: only the first name is in the message
        found = []
    first = PICKLED_NAME.search(str(error))
    return found or ([first[1]] if first else [])


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


def list_names(names: list[Any]) -> str:
    """The first names, and how many more there are.

    >>> list_names(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(str(name)[:100] for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown or "nothing"
