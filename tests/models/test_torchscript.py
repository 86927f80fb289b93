"""Programs of TorchScript: the tensors that torch itself reads, and nothing of the program is run."""

import io
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.torchscript import read_torchscript
from clip_vectorizer.models.weight_files import read_weights
from tests.models.small import random_clip

TARGET = b"/no-such-folder/TARGET"  # the place of a path in the program below


def save_program(program: Any, file: Path) -> Path:
    save: Any = torch.jit.save
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(program, file)
    return file


def load_with_torch(file: Path) -> Any:
    load: Any = torch.jit.load
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(str(file))


def scripted(module: nn.Module) -> Any:
    script: Any = torch.jit.script
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return script(module)


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 2)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(pixels))
        return out


class Outer(nn.Module):
    """Every type of number that weights have, one tensor under two names, a part of a storage, and a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Inner(), nn.Identity(), Inner())
        self.weight16 = nn.Parameter(torch.randn(3, 5).half())
        self.brain16 = nn.Parameter(torch.randn(3, 5).bfloat16().t())
        self.weight64 = nn.Parameter(torch.randn(4).double())
        self.again = self.weight64
        self.register_buffer("part", torch.arange(100)[10:20:3])
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("numbers", torch.arange(5, dtype=torch.uint8))
        self.register_buffer("empty", torch.empty(0, 4))
        self.register_buffer("scalar", torch.tensor(3.5))

    def forward(self, pixels: Tensor) -> Tensor:
        out: Tensor = self.blocks(pixels)
        return out


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert ours[name].dtype == value.dtype and torch.equal(ours[name], value), name


def test_the_tensors_are_those_that_torch_reads(tmp_path: Path) -> None:
    torch.manual_seed(3)
    file = save_program(scripted(Outer().eval()), tmp_path / "program.pt")
    assert_equal(read_torchscript(file), dict(load_with_torch(file).state_dict()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_traced_clip_as_openai_published_it(dtype: torch.dtype, tmp_path: Path) -> None:
    model = random_clip(quick_gelu=True)
    trace: Any = torch.jit.trace_module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = trace(model, {"encode_text": torch.zeros(1, 77, dtype=torch.long)})
        file = save_program(program.to(dtype), tmp_path / "program.pt")
    theirs = dict(load_with_torch(file).state_dict())
    assert_equal(read_torchscript(file), theirs)
    assert set(read_weights(file)) == set(theirs)


class Trap(nn.Module):
    w: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, bool]:
        return (self.w, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, bool]) -> None:
        self.w = state[0]
        self.training = state[1]
        torch.save(self.w, "/no-such-folder/TARGET")


def replace_member(file: Path, end: str, change: Callable[[bytes], bytes]) -> Path:
    """Change the member of an archive whose name has that end."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, old in members.items():
            archive.writestr(name, change(old) if name.endswith(end) else old)
    return file


def test_a_program_that_writes_a_file_when_it_is_loaded_does_not(tmp_path: Path) -> None:
    target, file = tmp_path / "written", save_program(scripted(Trap()), tmp_path / "program.pt")
    replace_member(file, "/test_torchscript.py", lambda code: code.replace(TARGET, str(target).encode()))
    with pytest.raises(ModelUnavailable, match="has no weights"):
        read_weights(file)
    assert not target.exists()
    load_with_torch(file)
    assert target.exists()  # torch.jit.load runs it, which is why it is not used


class Call:
    """A pickle that calls a function when it is read."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("function", "name"), [(Path.touch, "getattr"), (torch.load, "torch.serialization.load"), (eval, "eval")]
)
def test_a_pickle_of_python_in_a_program_is_refused_by_its_name(function: Any, name: str, tmp_path: Path) -> None:
    target, file = tmp_path / "touched", save_program(scripted(Trap()), tmp_path / "program.pt")
    argument: Any = target if function is Path.touch else str(target)
    replace_member(file, "/data.pkl", lambda _: pickle.dumps(Call(function, argument), protocol=2))
    with pytest.raises(ModelUnavailable, match=rf"has code to run besides tensors \(.*{name}"):
        read_weights(file)
    assert not target.exists()


def test_what_a_program_changes_in_our_classes_does_not_last(tmp_path: Path) -> None:
    """BUILD may set attributes of anything that the pickle can name, a class too."""
    file = save_program(scripted(Outer().eval()), tmp_path / "program.pt")
    evil = save_program(scripted(Trap()), tmp_path / "evil.pt")
    pickled = b"\x80\x02c__torch__\nTrap\n(N}X\x0c\x00\x00\x00__setstate__Nstb."
    replace_member(evil, "/data.pkl", lambda _: pickled)
    with pytest.raises(ModelUnavailable):
        read_weights(evil)
    assert "blocks.0.conv.weight" in read_torchscript(file)


def test_a_tensor_outside_of_its_storage_is_refused(tmp_path: Path) -> None:
    file = save_program(scripted(Trap()), tmp_path / "program.pt")
    replace_member(file, "/data/0", lambda _: b"\0\0")
    with pytest.raises(ModelUnavailable, match="damaged"):
        read_weights(file)


def test_a_compressed_storage_is_refused(tmp_path: Path) -> None:
    """torch never compresses; a small file could fill the memory."""
    buffer = io.BytesIO()
    file = save_program(scripted(Inner()), tmp_path / "program.pt")
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name))
    file.write_bytes(buffer.getvalue())
    with pytest.raises(ModelUnavailable, match="damaged"):
        read_weights(file)
