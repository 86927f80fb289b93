"""Where the Weaviate server comes from: PATH, our cache, the official release, and last a build of its Go module."""

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
"""Puts the server of a version at a path, in one move. Raises StackError with a sentence."""

PROVIDERS: tuple[BinaryProvider, ...] = (download_release, build_from_source)


def find_weaviate(
    progress: StepProgress = SILENT, env: Mapping[str, str] = os.environ, ways: tuple[BinaryProvider, ...] = PROVIDERS
) -> Path:
    """The path of a Weaviate server that can be run; obtained once per user and kept in the cache.

    Raises StackError, saying what was tried and what to install, when there is no way to one.
    """
    found = find_on_path(env)
    if found:
        return found
    kept = get_cache_dir(env) / "weaviate" / VERSION / "weaviate"
    if not kept.is_file():
        obtain_once(kept, progress, env, ways)
    return kept


def find_on_path(env: Mapping[str, str]) -> Path | None:
    """A `weaviate` on PATH that is the server: other programs go by that name too."""
    found = shutil.which("weaviate", path=env.get("PATH"))
    return Path(found) if found and is_server(found) else None


def is_server(command: str) -> bool:
    try:
        told = subprocess.run([command, "--help"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "--write-timeout" in told.stdout + told.stderr


def get_cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """This project's folder for what can be made again: $XDG_CACHE_HOME, else ~/.cache."""
    root = env.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "clip-vectorizer"


def obtain_once(kept: Path, progress: StepProgress, env: Mapping[str, str], ways: tuple[BinaryProvider, ...]) -> None:
    with hold_lock(
        kept.with_name("lock"),
        OTHER_BUILD_SECONDS,
        lambda: progress.step("waiting for another process that makes Weaviate ready"),
    ):
        if not kept.is_file():  # that other process may have been the one
            try_providers(kept, progress, env, ways)


def try_providers(kept: Path, progress: StepProgress, env: Mapping[str, str], ways: tuple[BinaryProvider, ...]) -> None:
    failures: list[str] = []
    for way in ways:
        try:
            way(VERSION, kept, progress, env)
            return
        except StackError as error:
            failures.append(str(error))
            progress.note(str(error))
    tried = "\n".join(f"  - {failure}" for failure in ["no Weaviate server `weaviate` on PATH", *failures])
    raise StackError(
        f"there is no Weaviate {VERSION} on this machine and none could be made. Tried:\n{tried}\n"
        "Put a Weaviate server named `weaviate` on PATH (github.com/weaviate/weaviate/releases), "
        "or install Go (go.dev/dl) and try again, or set WEAVIATE_URL and VECTORIZER_URL to a running pair"
    )
