"""Reads the tensors of a TorchScript archive without running its program.

`torch.jit.load` runs `__setstate__` of each module in the archive, and that code may write any file: `torch.save` and
`torch.from_file` are part of the language. So the pickle of the archive is read here, with nothing to call but what
builds tensors. Modules are records: a tensor's name is its path through them, as in `state_dict()`.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CLASS_PREFIX = "__torch__."  # of modules, and of all other classes of a program
CONSTANTS, PICKLE, DATA = "/constants.pkl", "data.pkl", "data/"
STORAGE_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
LIST_BUILDERS = ("build_intlist", "build_tensorlist", "build_doublelist", "build_boollist", "restore_type_tag")


def read_torchscript(file: Path) -> dict[str, Tensor]:
    """Return the tensors of the program's modules by name.

    Raises pickle.UnpicklingError for code of Python, ValueError for a storage that is damaged, errors of zipfile.
    """
    with zipfile.ZipFile(file) as archive:
        root = next(name for name in archive.namelist() if name.endswith(CONSTANTS)).removesuffix(CONSTANTS[1:])
        program = ProgramUnpickler(archive, root).load()
    return dict(list_tensors(program, ""))


class ScriptRecord:
    """An object of a program: its attributes and nothing else."""

    attributes: Mapping[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.attributes = state if isinstance(state, Mapping) else {}


class ProgramUnpickler(pickle.Unpickler):
    """What the pickle may call is made anew for each file, so that a file cannot change it for the next one."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(root + PICKLE)))
        self._archive, self._folder = archive, root + DATA
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the class or function of a name. Raises pickle.UnpicklingError for what no program needs."""
        if f"{module}.".startswith(CLASS_PREFIX):
            return type("ScriptRecord", (ScriptRecord,), {})
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): make_rebuild(),
            **{("torch", kind): dtype for kind, dtype in STORAGE_TYPES.items()},
            **{("torch.jit._pickle", builder): make_identity() for builder in LIST_BUILDERS},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"Unsupported global: GLOBAL {module}.{name} in a program of TorchScript")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Tensor:
        """Return a storage as a tensor of one dimension: `pid` is ('storage', type, key, device, length)."""
        kind, dtype, key, _, length = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype) or not str(key).isalnum():
            raise ValueError(f"unsupported storage: {kind} {key}")
        if key not in self._storages:
            self._storages[key] = self._read_storage(str(key), dtype, int(length))
        return self._storages[key]

    def _read_storage(self, key: str, dtype: torch.dtype, length: int) -> Tensor:
        found = self._archive.getinfo(self._folder + key)
        if found.compress_type != zipfile.ZIP_STORED or found.file_size < length * dtype.itemsize:
            raise ValueError(f"storage {key} has {found.file_size} bytes for {length} numbers")
        if not length:
            return torch.empty(0, dtype=dtype)
        return torch.frombuffer(bytearray(self._archive.read(found)), dtype=dtype, count=length)


def make_rebuild() -> Callable[..., Tensor]:
    def rebuild(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
        return storage.as_strided(size, stride, offset)  # torch refuses what is outside of the storage

    return rebuild


def make_identity() -> Callable[..., Any]:
    return lambda value, *_: value


def list_tensors(record: object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a module and of the modules in it."""
    for name, value in record.attributes.items() if isinstance(record, ScriptRecord) else ():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        else:
            yield from list_tensors(value, f"{prefix}{name}.")
