import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT, SilentProgress, StepProgress
from ingest.embedded.binary import VERSION, find_weaviate, get_cache_dir


def works(version: str, target: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
    target.write_text(version)


def no_network(version: str, target: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
    raise StackError("no download of https://example.org: no network")


def no_go(version: str, target: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
    raise StackError("no Go 1.26 or newer on PATH")


class NoteRecorder(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def put_on_path(env: Mapping[str, str], help_text: str) -> Path:
    program = Path(env["PATH"]) / "weaviate"
    program.write_text(f"#!/bin/sh\necho '{help_text}'\n")
    program.chmod(0o755)
    return program


def test_a_server_on_path_comes_first(env: dict[str, str]) -> None:
    program = put_on_path(env, "--host= --write-timeout= maximum duration")
    assert find_weaviate(SILENT, env, providers=()) == program


def test_another_program_of_that_name_is_ignored(env: dict[str, str]) -> None:
    put_on_path(env, "weaviate: the command line of something else")
    assert find_weaviate(SILENT, env, providers=(works,)) == get_cache_dir(env) / "weaviate" / VERSION / "weaviate"


def test_a_binary_obtained_once_is_kept(env: dict[str, str]) -> None:
    first = find_weaviate(SILENT, env, providers=(works,))
    assert first.read_text() == VERSION
    assert find_weaviate(SILENT, env, providers=(no_network,)) == first


def test_a_provider_that_fails_is_noted_and_the_next_is_tried(env: dict[str, str]) -> None:
    recorder = NoteRecorder()
    assert find_weaviate(recorder, env, providers=(no_network, works)).is_file()
    assert recorder.notes == ["no download of https://example.org: no network"]


def test_when_every_provider_fails_the_error_lists_the_attempts_and_what_to_do(env: dict[str, str]) -> None:
    with pytest.raises(StackError) as caught:
        find_weaviate(SILENT, env, providers=(no_network, no_go))
    for words in ("on PATH", "no download of https://example.org", "no Go 1.26", "install Go", "set WEAVIATE_URL"):
        assert words in str(caught.value)


def test_the_cache_is_in_the_home_folder_unless_xdg_cache_home_is_set(tmp_path: Path) -> None:
    assert get_cache_dir({}) == Path.home() / ".cache" / "clip-vectorizer"
    assert get_cache_dir({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "clip-vectorizer"


def test_two_threads_that_need_it_build_it_once(env: dict[str, str]) -> None:
    builds: list[int] = []

    def slow(version: str, target: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
        builds.append(1)
        time.sleep(0.5)
        target.write_text(version)

    both = [threading.Thread(target=find_weaviate, args=(SILENT, env, (slow,))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert builds == [1]
