"""Virtual environments of the peers, below this project's cache folder: made once, and again when a pin changes."""

import shutil
import subprocess
import sys
from pathlib import Path

import click

from benchmarks.peers.catalog import PeerPackage
from ingest.embedded.binary import get_cache_dir

UV = Path(sys.executable).with_name("uv")
STAMP = "requirements.txt"  # in the environment, written last
INSTALL_SECONDS = 1800.0
REASON_LINES, REASON_CHARACTERS = 3, 400


class PeerUnavailable(Exception):
    """The peer cannot be installed, started or run; the message is the reason, one sentence."""


def find_python(package: PeerPackage) -> Path:
    """Return the Python of the package's environment, made where it is missing. Raises PeerUnavailable."""
    folder = get_cache_dir() / "peers" / package.name
    stamp, wanted = folder / STAMP, "\n".join([*package.requirements, ""])
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and python.exists()):
        click.echo(f"installing {package.version} into {folder.name}, once", err=True)
        shutil.rmtree(folder, ignore_errors=True)
        run_uv("venv", "--quiet", "--python", sys.executable, str(folder))
        run_uv("pip", "install", "--quiet", "--python", str(python), *package.requirements)
        stamp.write_text(wanted, encoding="utf-8")
    return python


def run_uv(*words: str) -> None:
    uv = str(UV) if UV.exists() else shutil.which("uv")
    if uv is None:
        raise PeerUnavailable("uv is missing: `make setup` installs it into .venv")
    try:
        done = subprocess.run((uv, *words), capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PeerUnavailable(f"not installed within {INSTALL_SECONDS:.0f} s") from error
    if done.returncode:
        raise PeerUnavailable(f"cannot be installed: {summarise_error(done.stderr)}")


def summarise_error(text: str) -> str:
    """Return the last lines of an error output as one line.

    >>> summarise_error("Traceback\\n  File\\n\\nModuleNotFoundError: No module named 'x'\\n")
    "Traceback File ModuleNotFoundError: No module named 'x'"
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-REASON_LINES:])[-REASON_CHARACTERS:] or "no error output"
