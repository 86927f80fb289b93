"""Lets PyPI's PyTorch start without the GPU libraries that it is linked to and that a CPU never calls.

PyPI's PyTorch for Linux is the CUDA one: its libraries name about 3 GB of NVIDIA's, and the loader wants every name
and every function to be there before `import torch` succeeds. For each library that is missing this compiles an empty
one of the same name. PyTorch's own CPU code is untouched. A function that is called after all says what is wrong and
aborts. Nothing missing (a GPU build, or PyTorch's CPU wheel): nothing is done.

    python gpu_stand_ins.py /opt/venv/lib/python3.11/site-packages/torch/lib
"""

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

COMPILE = ["gcc", "-shared", "-fPIC", "-O1", "-Wno-attribute-alias"]
MESSAGE = "this image holds no GPU libraries: build it with --build-arg GPU=true, or use CLIP_DEVICE=cpu"
C_SOURCE = f"""
#include <stdlib.h>
#include <unistd.h>
static const char message[] = "{MESSAGE}\\n";
static int absent(void) {{ if (write(2, message, sizeof message - 1)) {{}} abort(); }}
"""


def put_stand_ins(torch_lib: Path) -> list[str]:
    """The names of the libraries that were missing and now have a stand-in in `torch_lib`."""
    report = loader_report(torch_lib / "libtorch_python.so")
    libraries = missing_libraries(report)
    if libraries:
        stand_in = compile_stand_in(missing_functions(report))
        for name in libraries:
            (torch_lib / name).write_bytes(stand_in)
    return libraries


def loader_report(library: Path) -> str:
    """What the loader says about `library` and everything that it needs, one complaint a line."""
    done = subprocess.run(["ldd", "-r", str(library)], capture_output=True, text=True)
    return done.stdout + done.stderr


def missing_libraries(report: str) -> list[str]:
    return sorted(set(re.findall(r"^\s*(\S+) => not found", report, re.MULTILINE)))


def missing_functions(report: str) -> dict[str, list[str]]:
    """Function names by symbol version ("" for none); Python's own are left out, the interpreter has them."""
    found = re.findall(r"undefined symbol: (?!_?Py)(\w+)(?:, version (\S+))?\s", report)
    by_version: defaultdict[str, list[str]] = defaultdict(list)
    for function, version in sorted(set(found)):
        by_version[version].append(function)
    return by_version


def compile_stand_in(functions: dict[str, list[str]]) -> bytes:
    names = [name for group in functions.values() for name in group]
    aliases = [f'int {name}(void) __attribute__((alias("absent")));' for name in names]
    # The loader checks versions too, so the stand-in declares each one that was asked for.
    versions = [f"{version} {{ global: {'; '.join(group)}; }};" for version, group in functions.items() if version]
    with tempfile.TemporaryDirectory() as folder:
        source, script, library = (Path(folder) / name for name in ("absent.c", "versions.map", "libabsent.so"))
        source.write_text(C_SOURCE + "\n".join(aliases))
        script.write_text("\n".join(versions))
        subprocess.run([*COMPILE, f"-Wl,--version-script={script}", "-o", library, source], check=True)
        return library.read_bytes()


if __name__ == "__main__":
    sys.stderr.write(f"stand-ins: {', '.join(put_stand_ins(Path(sys.argv[1]))) or 'none needed'}\n")
