"""Weaviate built from its published Go module, at the version that weaviate_tool/go.mod pins."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from clip_vectorizer.child import Child
from clip_vectorizer.errors import StackError
from ingest.embedded.disk import need_space
from ingest.embedded.progress import Progress
from ingest.embedded.toolchain import find_go, needed_version

TOOL = Path(__file__).parent / "weaviate_tool"  # go.mod and go.sum: the pinned versions and their checksums
SERVER = "github.com/weaviate/weaviate/cmd/weaviate-server"
NEEDED_GB = 6.0  # Go, sources and compiled packages; all but the server is removed afterwards
LOOK_SECONDS = 0.5
ERROR_LINES = 5


def build_from_source(
    version: str,
    kept: Path,
    progress: Progress,
    env: Mapping[str, str],
    tool: Path = TOOL,
    package: str = SERVER,
) -> None:
    """Puts the server built from `package` of the Go module in `tool` at `kept`.

    The work folder beside it stays after a failure, so that a second try goes on where the first one ended.
    Raises StackError when there is no Go, or the build fails.
    """
    work = kept.parent / "build"
    need_space(work, NEEDED_GB, "building Weaviate")
    go = find_go(needed_version(tool / "go.mod"), work / "toolchain", progress, env)
    module = shutil.copytree(tool, work / "module", dirs_exist_ok=True)
    settings = go_settings(env, work, private=go.is_relative_to(work))
    total = fetch(go, module, package, settings, progress)
    compile_server(go, module, package, settings, progress, total)
    (module / "server").replace(kept)
    shutil.rmtree(work, ignore_errors=True)


def go_settings(env: Mapping[str, str], work: Path, private: bool) -> dict[str, str]:
    """A user's own Go keeps its caches; one that was installed for this build leaves nothing behind."""
    folders = {"GOPATH": str(work / "gopath"), "GOCACHE": str(work / "gocache")} if private else {}
    flags = f"{env.get('GOFLAGS', '')} -modcacherw".strip()  # else the sources can only be removed by `go clean`
    # CGO_ENABLED=0 as in the official release: a static server, which runs in any container too
    return {**env, **folders, "GOFLAGS": flags, "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}


def fetch(go: Path, module: Path, package: str, env: Mapping[str, str], progress: Progress) -> int:
    """Downloads the sources; how many packages there are to compile."""
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
    go: Path, module: Path, package: str, env: Mapping[str, str], progress: Progress, total: int
) -> None:
    progress.step(f"building Weaviate, once ({os.cpu_count()} cores; some minutes)")
    command: list[str | Path] = [go, "build", "-v", "-ldflags", "-s -w", "-o", "server", package]
    run_go(
        command, module, module.parent / "build.log", env, lambda lines: progress.detail(f"{lines} of {total} packages")
    )


def run_go(
    command: list[str | Path], module: Path, log: Path, env: Mapping[str, str], tell: Callable[[int], None]
) -> None:
    """Runs `go`, telling how many lines its log has. Raises StackError with the last ones when it fails."""
    with Child(command, log, env, cwd=module) as child:
        while child.wait(LOOK_SECONDS) is None:
            tell(count_lines(log))
        if child.exit_code:
            raise StackError(
                f"`go {command[1]}` of Weaviate failed with exit code {child.exit_code}; the last lines of {log}:\n"
                f"{child.last_lines(ERROR_LINES)}"
            )


def count_lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def count_packages(log: Path) -> int:
    return sum(1 for line in log.read_text("utf-8").splitlines() if not line.startswith("go: "))
