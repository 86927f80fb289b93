"""Lets PyPI's PyTorch start without the GPU libraries that it is linked to and that a CPU never uses.

PyPI's PyTorch for Linux is the CUDA one: its libraries name about 3 GB of NVIDIA's and 0.5 GB of its own GPU code, and
the loader wants every name and every symbol to be there before `import torch` succeeds. This removes PyTorch's own GPU
code, and compiles one small library that takes the place of each that is missing. PyTorch's CPU code is untouched. The
CUDA runtime's functions return "no device", as they do on a machine without a GPU; any other function that is
called after all prints what is wrong and aborts. PyTorch's Python part is given what a build without CUDA has: no
`torch.version.cuda`, no NCCL and so no `torch.distributed`. PyTorch's CPU wheel is left as it is.

    python gpu_stand_ins.py /opt/venv/lib/python3.11/site-packages
"""

import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

GPU_CODE = ("libtorch_cuda.so", "libtorch_cuda_linalg.so", "libtorch_nvshmem.so", "libcaffe2_nvrtc.so")
PATCHES = {  # file -> (text, its replacement)
    "version.py": (r"^cuda: .*$", "cuda: Optional[str] = None"),
    "__init__.py": (
        r"^from torch import _C as _C$",
        r"\g<0>\n_C._has_cuda = False\ndel _C._c10d_init, _C._rpc_init",
    ),
}
COMPILE = ["gcc", "-shared", "-fPIC", "-O1", "-Wno-attribute-alias"]
LINK = ["-Wl,--no-as-needed", "-l:libstdc++.so.6"]  # of the descriptions of types
MESSAGE = "this image holds no GPU libraries: build it with --build-arg GPU=true, or use CLIP_DEVICE=cpu"
C_SOURCE = f"""
#include <stdlib.h>
#include <unistd.h>
static const char message[] = "{MESSAGE}\\n";
static int absent(void) {{ if (write(2, message, sizeof message - 1)) {{}} abort(); }}
static int no_device(void) {{ return 100; }}  /* cudaErrorNoDevice */
static void *place[8];
static void *registry(void) {{ return place; }}
static const char *explain(void) {{ return "{MESSAGE}"; }}
enum {{ VIRTUAL_FUNCTIONS = 256 }};
extern const char class_type_info[] __asm__("_ZTVN10__cxxabiv117__class_type_infoE");
struct type {{ const char *table, *name; }};
"""


def put_stand_ins(packages: Path) -> list[str]:
    """The names of the libraries that were missing and now have a stand-in beside PyTorch's own."""
    torch_lib = packages / "torch" / "lib"
    for name in GPU_CODE:
        (torch_lib / name).unlink(missing_ok=True)
    users = [torch_lib / "libtorch_python.so", *packages.glob("torchvision/*.so")]
    report = "".join(loader_report(user, torch_lib) for user in users)
    libraries = missing_libraries(report)
    if libraries:
        patch_python(packages / "torch")
        stand_in = compile_stand_in(missing_symbols(report, needed_versions([*torch_lib.glob("*.so"), *users])))
        for name in libraries:
            (torch_lib / name).write_bytes(stand_in)
    return libraries


def patch_python(torch: Path) -> None:
    """Raises ValueError when a version of PyTorch has other lines."""
    for name, (pattern, replacement) in PATCHES.items():
        text, count = re.subn(pattern, replacement, (torch / name).read_text(), flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"{torch / name}: {count} lines match {pattern}, not one")
        (torch / name).write_text(text)


def loader_report(library: Path, torch_lib: Path) -> str:
    """What the loader says about `library` and everything that it needs, one complaint a line."""
    return run_tool("ldd", "-r", library, LD_LIBRARY_PATH=str(torch_lib))


def run_tool(*command: str | Path, **env: str) -> str:
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def missing_libraries(report: str) -> list[str]:
    return sorted(set(re.findall(r"^\s*(\S+) => not found", report, re.MULTILINE)))


def needed_versions(libraries: list[Path]) -> dict[str, str]:
    """The version that a symbol of a GPU library must have; the loader does not report all of them."""
    undefined = run_tool("nm", "-D", "--undefined-only", *libraries)
    return dict(re.findall(r" U (\w+)@(lib\S+)$", undefined, re.MULTILINE))


def missing_symbols(report: str, versions: dict[str, str]) -> dict[str, list[str]]:
    """Names by symbol version ("" for none); Python's own are left out, the interpreter has them."""
    by_version: defaultdict[str, list[str]] = defaultdict(list)
    for symbol in sorted(set(re.findall(r"undefined symbol: (?!_?Py)(\w+)", report))):
        by_version[versions.get(symbol, "")].append(symbol)
    return by_version


def compile_stand_in(symbols: dict[str, list[str]]) -> bytes:
    definitions = [define_symbol(name) for group in symbols.values() for name in group]
    # The loader checks versions too, so the stand-in declares each one that was asked for.
    versions = [f"{version} {{ global: {'; '.join(group)}; }};" for version, group in symbols.items() if version]
    with tempfile.TemporaryDirectory() as folder:
        source, script, library = (Path(folder) / name for name in ("absent.c", "versions.map", "libabsent.so"))
        source.write_text(C_SOURCE + "\n".join(definitions))
        script.write_text("\n".join(versions))
        subprocess.run([*COMPILE, f"-Wl,--version-script={script}", "-o", library, source, *LINK], check=True)
        return library.read_bytes()


def define_symbol(name: str) -> str:
    """A line of C that defines a symbol, a function or one of C++'s descriptions of a type."""
    if name.startswith("_ZTI"):  # PyTorch's bindings read these at start
        return f'const struct type {name} = {{class_type_info + 16, "{name.removeprefix("_ZTI")}"}};'
    if name.startswith("_ZTV"):
        return f"int (*const {name}[VIRTUAL_FUNCTIONS])(void) = {{[0 ... VIRTUAL_FUNCTIONS - 1] = absent}};"
    if name in ("cudaGetErrorString", "cudaGetErrorName"):
        return f'const char *{name}(void) __attribute__((alias("explain")));'
    if "get_gil_checker" in name:  # called at start, for a place to put a function pointer
        return f'void *{name}(void) __attribute__((alias("registry")));'
    behaviour = "no_device" if name.startswith(("cuda", "cupti", "__cuda")) else "absent"
    return f'int {name}(void) __attribute__((alias("{behaviour}")));'


if __name__ == "__main__":
    sys.stderr.write(f"stand-ins: {', '.join(put_stand_ins(Path(sys.argv[1]))) or 'none needed'}\n")
