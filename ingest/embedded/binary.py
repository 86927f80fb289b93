"""Find the Weaviate server: on PATH, in our cache, as the official release, or built from its Go module."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT, StepProgress
from ingest.embedded.build import build_from_source
from ingest.embedded.files import hold_lock
from ingest.embedded.release import download_release

VERSION = "1.39.0"
OTHER_BUILD_SECONDS = 3600.0  # another process may be building; on a slow machine that takes long

BinaryProvider = Callable[[str, Path, StepProgress, Mapping[str, str]], None]
"""Called with (version, target path, progress, environment): puts the server there atomically, or raises StackError."""

PROVIDERS: tuple[BinaryProvider, ...] = (download_release, build_from_source)


def find_weaviate(
    progress: StepProgress = SILENT,
    env: Mapping[str, str] = os.environ,
    providers: tuple[BinaryProvider, ...] = PROVIDERS,
) -> Path:
    """Return the path of a Weaviate server; obtained once per user and kept in the cache.

    Raises StackError when every provider failed; the message lists the attempts and what to install.
    """
    on_path = find_on_path(env)
    if on_path:
        return on_path
    target = get_cache_dir(env) / "weaviate" / VERSION / "weaviate"
    if not target.is_file():
        obtain_once(target, progress, env, providers)
    return target


def find_on_path(env: Mapping[str, str]) -> Path | None:
    """Return a `weaviate` on PATH if it is the server; other programs have that name too."""
    found = shutil.which("weaviate", path=env.get("PATH"))
    return Path(found) if found and is_server(found) else None


def is_server(command: str) -> bool:
    try:
        completed = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "--write-timeout" in completed.stdout + completed.stderr


def get_cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return this project's cache folder: below $XDG_CACHE_HOME, else below ~/.cache."""
    root = env.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "clip-vectorizer"


def obtain_once(
    target: Path, progress: StepProgress, env: Mapping[str, str], providers: tuple[BinaryProvider, ...]
) -> None:
    with hold_lock(
        target.with_name("lock"),
        OTHER_BUILD_SECONDS,
        lambda: progress.step("waiting for another process that prepares Weaviate"),
    ):
        if not target.is_file():  # the other process may have put it there
            try_providers(target, progress, env, providers)


def try_providers(
    target: Path, progress: StepProgress, env: Mapping[str, str], providers: tuple[BinaryProvider, ...]
) -> None:
    failures: list[str] = []
    for provide in providers:
        try:
            provide(VERSION, target, progress, env)
            return
        except StackError as error:
            failures.append(str(error))
            progress.note(str(error))
    tried = "\n".join(f"  - {failure}" for failure in ["no Weaviate server `weaviate` on PATH", *failures])
    raise StackError(
        f"there is no Weaviate {VERSION} on this machine, and it could not be downloaded or built. Tried:\n{tried}\n"
        "Put a Weaviate server named `weaviate` on PATH (github.com/weaviate/weaviate/releases), "
        "or install Go (go.dev/dl) and try again, or set WEAVIATE_URL and VECTORIZER_URL to a running pair"
    )
