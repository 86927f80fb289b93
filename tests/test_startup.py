"""`--help` of every command is fast: it imports no library that takes long. Nor does a run that does not need it."""

import ast
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.server.clients import RED, serving

SLOW = ("weaviate", "numpy", "PIL", "torch", "rich", "httpx", "uvicorn", "starlette", "jinja2", "pypdfium2", "fsspec")
SCRIPTS = {entry.name: entry for entry in distribution("clip-vectorizer").entry_points.select(group="console_scripts")}
SUBCOMMANDS = {
    "clip-ingest": ("backup", "restore"),
    "clip-eval": ("run", "compare", "limits", "index", "pages"),
    "clip-vectorizer": (
        *("serve", "models", "models list", "models download", "doctor"),
        *("train", "train emoji", "train contrastive", "train linear-probe", "train grounding", "train simclr"),
        "completion",
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
    output, slow = run_entrance(*line.split(), "--help")
    assert output.startswith("Usage:") and slow == []


def test_a_file_is_grounded_without_importing_the_client_of_the_database(tmp_path: Path) -> None:
    (picture := tmp_path / "red.png").write_bytes(RED)
    files = {option: tmp_path / f"found{option}" for option in ("--png", "--html", "--coco")}
    words = [str(word) for pair in files.items() for word in pair]
    with serving() as sidecar:
        output, slow = run_entrance("clip-ground", str(picture), "a red apple", "--vectorizer-url", sidecar.url, *words)
    assert "red apple" in output and all(file.stat().st_size for file in files.values())
    assert "httpx" in slow and "weaviate" not in slow


def run_entrance(command: str, *words: str) -> tuple[str, list[str]]:
    """What the command printed, and which of `SLOW` it imported."""
    program = PROGRAM.format(function=SCRIPTS[command].value.partition(":")[2], slow=SLOW)
    ran = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60, check=True
    )
    output, _, last = ran.stdout.rstrip().rpartition("\n")
    return output, list(ast.literal_eval(last))
