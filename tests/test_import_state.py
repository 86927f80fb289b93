"""Importing the library leaves the host program as it was: no switch of Pillow, warnings, logging, locale, torch."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

# What a clean process runs. What others set when they are imported (numpy filters warnings, weaviate too) is not ours:
# every module from outside the project is imported first, then the state is taken, then the project is imported. Each
# set of rooms, after `--` from the set before it, has its turn: what the second one needs is not there in the first.
COMPARE = """
import ast, gc, importlib, json, locale, logging, os, random, signal, socket, sys, threading, warnings
from pathlib import Path

SKIPPED = ("__main__",)  # these run when they are imported


def modules(rooms):
    for room in rooms:
        path = Path(room)
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            parts = file.with_suffix("").parts
            if parts[-1] not in SKIPPED:
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def outside(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [(alias.name, "") for alias in node.names] if isinstance(node, ast.Import) else []
        names += [(node.module, alias.name) for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        yield from (each for each in names if each[0].split(".")[0] not in ("clip_vectorizer", "ingest"))


def state():
    import numpy
    from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

    values = {
        "Pillow's limit of pixels": Image.MAX_IMAGE_PIXELS,
        "Pillow's limit of a text in a PNG": (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY),
        "Pillow's truncated files": ImageFile.LOAD_TRUNCATED_IMAGES,
        "Pillow's libtiff": (TiffImagePlugin.READ_LIBTIFF, TiffImagePlugin.WRITE_LIBTIFF),
        "Pillow's formats": sorted(Image.OPEN),
        "warnings": list(map(str, warnings.filters)),
        "logging": (logging.root.level, list(map(str, logging.root.handlers)), logging.root.manager.disable),
        "logging's exceptions": logging.raiseExceptions,
        "loggers": sorted((name, logger.level, len(logger.handlers), logger.disabled)
            for name, logger in logging.root.manager.loggerDict.items()
            if isinstance(logger, logging.Logger) and (logger.level or logger.handlers or logger.disabled)),
        "locale": locale.setlocale(locale.LC_ALL),
        "numpy's errors": numpy.geterr(),
        "numpy's printing": str(numpy.get_printoptions()),
        "random numbers": hash(random.getstate()),
        "signals": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)],
        "sockets' timeout": socket.getdefaulttimeout(),
        "hooks": [str(sys.excepthook), str(threading.excepthook), str(sys.unraisablehook), str(sys.displayhook)],
        "streams": [str(sys.stdin), str(sys.stdout), str(sys.stderr)],
        "recursion": sys.getrecursionlimit(),
        "garbage collector": (gc.isenabled(), gc.get_threshold()),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "threads": threading.active_count(),
    }
    if "torch" in sys.modules:
        import torch

        values["torch"] = (
            torch.get_num_threads(),
            torch.get_num_interop_threads(),
            torch.initial_seed(),
            str(torch.get_default_dtype()),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.benchmark,
            torch.backends.mkldnn.enabled,
        )
    return values


def changes(rooms):
    ours = list(modules(rooms))
    for module, name in sorted({each for _, file in ours for each in outside(file)}):
        try:
            getattr(importlib.import_module(module), name, None)  # some packages import at the first use of a name
        except ImportError:
            pass  # an extra, or a module of another system
    from PIL import Image

    Image.init()
    before = state()
    for name, _ in ours:
        importlib.import_module(name)
    after = state()
    return {key: [str(before[key]), str(after[key])] for key in before if before[key] != after[key]}


words = sys.argv[1:]
turns = [[]]
for word in words:
    turns.append([]) if word == "--" else turns[-1].append(word)
print(json.dumps([changes(rooms) for rooms in turns]))
"""
BASE = (
    *sorted(str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / "clip_vectorizer").glob("*.py")),
    "clip_vectorizer/database",
    "clip_vectorizer/query",
    "ingest",
)
SERVE = ("clip_vectorizer/models", "clip_vectorizer/server", "clip_vectorizer/training")


def test_importing_changes_nothing_in_the_process() -> None:
    """The base first, in a process that has nothing else; then, in the same one, what serves and trains."""
    assert changed((*BASE, "--", *SERVE)) == [{}, {}]


def test_a_module_that_changes_something_is_found(tmp_path: Path) -> None:
    (tmp_path / "careless.py").write_text("from PIL import Image\nImage.MAX_IMAGE_PIXELS = None\n")
    (tmp_path / "harmless.py").write_text("import json\n")
    for words, expected in (("careless.py", "--", "harmless.py"), 0), (("harmless.py", "--", "careless.py"), 1):
        found = changed(words, tmp_path)
        assert list(found[expected]) == ["Pillow's limit of pixels"] and not found[1 - expected]


def changed(words: tuple[str, ...], folder: Path = REPOSITORY) -> list[dict[str, list[str]]]:
    """What differs after each set of rooms."""
    ran = subprocess.run([sys.executable, "-c", COMPARE, *words], cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    differences: list[dict[str, list[str]]] = json.loads(ran.stdout.splitlines()[-1])
    return differences
