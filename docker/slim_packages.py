"""Removes from the packages of an image what nothing reads while it serves, and prints how much each part was.

C++ headers and build files, static libraries, compilers of protocol buffers, type stubs, the tests of other packages,
and the symbol tables of PyTorch's libraries, which only a debugger reads.

    python slim_packages.py /opt/clip-vectorizer/lib/python3.11/site-packages
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

UNREAD = {  # what -> patterns below site-packages
    "headers and build files": ("torch/include", "torch/share/cmake", "numpy/_core/include", "pyarrow/include"),
    "static libraries": ("**/*.a", "**/*.lib"),
    "build tools": ("torch/bin/protoc*",),
    "type stubs": ("**/*.pyi",),
    "tests": tuple(f"{name}/**/tests" for name in ("numpy", "sympy", "networkx", "mpmath")),
}
STRIPPED = ("libtorch_cpu.so", "libtorch_python.so", "libc10.so")


def slim_packages(packages: Path) -> dict[str, int]:
    """The bytes that each part had."""
    removed = {what: sum(map(remove, find_unread(packages, patterns))) for what, patterns in UNREAD.items()}
    removed["symbol tables"] = sum(map(strip_symbols, find_unread(packages / "torch" / "lib", STRIPPED)))
    return removed


def find_unread(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(folder.glob(pattern))


def remove(path: Path) -> int:
    size = measure(path)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)  # a folder that held it is already gone
    return size


def measure(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file() and not file.is_symlink())


def strip_symbols(library: Path) -> int:
    before = library.stat().st_size
    subprocess.run(["strip", "--strip-unneeded", library], check=True)
    return before - library.stat().st_size


if __name__ == "__main__":
    for what, size in slim_packages(Path(sys.argv[1])).items():
        sys.stderr.write(f"slim: {what}: {size / 1e6:.1f} MB\n")
