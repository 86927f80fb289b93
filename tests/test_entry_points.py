"""Every command ends in one way when it is interrupted, also while its libraries are being loaded."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from clip_vectorizer import entry_points

SCRIPTS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["scripts"]
LOADING = "import sys, time; sys.stdout.write('.'); sys.stdout.flush(); time.sleep(60)"


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_every_script_starts_a_command(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(entry_points, "run_command", started.append)
    getattr(entry_points, script.partition(":")[2])()
    [module] = started
    assert isinstance(import_module(module).main, click.Command)


def test_an_interrupt_while_libraries_load_is_one_word_and_130(tmp_path: Path) -> None:
    (tmp_path / "loads_slowly.py").write_text(LOADING)
    code = "from clip_vectorizer.entry_points import run_command; run_command('loads_slowly')"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.read(1) == "."
        time.sleep(0.1)  # it sleeps now
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=20)
    assert (process.returncode, printed) == (130, "interrupted\n")
