"""`--help` of every command is fast: it imports no library that takes long."""

import subprocess
import sys
from importlib.metadata import distribution

import pytest

SLOW = ("weaviate", "numpy", "PIL", "torch", "rich", "httpx", "uvicorn", "starlette", "pypdfium2", "fsspec")
SCRIPTS = {entry.name: entry for entry in distribution("clip-vectorizer").entry_points.select(group="console_scripts")}
SUBCOMMANDS = {
    "clip-ingest": ("backup", "restore"),
    "clip-eval": ("run", "compare", "limits", "index"),
    "clip-vectorizer": (
        *("serve", "models", "models list", "models download", "doctor"),
        *("train", "train emoji", "train contrastive", "train linear-probe", "train grounding", "completion"),
    ),
    "clip-demo": ("up", "down", "weaviate"),
}
LINES = [*SCRIPTS, *(f"{name} {each}" for name, more in SUBCOMMANDS.items() for each in more)]
PROGRAM = """
import sys
from clip_vectorizer import entry_points
try:
    entry_points.{function}()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {slow} if name in sys.modules])
"""


@pytest.mark.parametrize("line", LINES)
def test_help_imports_no_slow_library(line: str) -> None:
    command, *words = line.split()
    program = PROGRAM.format(function=SCRIPTS[command].value.partition(":")[2], slow=SLOW)
    ran = subprocess.run(
        [sys.executable, "-c", program, *words, "--help"], capture_output=True, text=True, timeout=60, check=True
    )
    assert ran.stdout.startswith("Usage:") and ran.stdout.splitlines()[-1] == "[]"
