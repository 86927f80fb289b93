"""Tells a file of weights from any other file by its first bytes, and says what the other one is. Imports no torch."""

import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

from clip_vectorizer.errors import ModelUnavailable

HEAD_BYTES = 4096
SHOWN = 3  # names in a sentence
DOWNLOAD_AGAIN = "download it again"
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
    except (zipfile.BadZipFile, OSError, ValueError):  # ValueError: damaged bytes in the name of an entry
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


def list_names(names: list[Any]) -> str:
    """The first names, and how many more there are.

    >>> list_names(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(str(name)[:100] for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown or "nothing"
