"""A tiny Go module stands in for Weaviate; everything else is the real build."""

import os
import subprocess
from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT, SilentProgress
from ingest.embedded.build import build_from_source, build_go_environment

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


def test_a_failed_build_says_why_keeps_its_log_and_can_be_tried_again(tmp_path: Path) -> None:
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
