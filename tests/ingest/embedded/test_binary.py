import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT, SilentProgress, StepProgress
from ingest.embedded.binary import VERSION, find_weaviate, get_cache_dir


def works(version: str, kept: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
    kept.write_text(version)


def no_network(version: str, kept: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
    raise StackError("no download of https://example.org: no network")


def no_go(version: str, kept: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
    raise StackError("no Go 1.26 or newer on PATH")


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def put_on_path(env: Mapping[str, str], help_text: str) -> Path:
    program = Path(env["PATH"]) / "weaviate"
    program.write_text(f"#!/bin/sh\necho '{help_text}'\n")
    program.chmod(0o755)
    return program


def test_a_server_on_path_is_taken_first(env: dict[str, str]) -> None:
    program = put_on_path(env, "--host= --write-timeout= maximum duration")
    assert find_weaviate(SILENT, env, providers=()) == program


def test_another_program_of_that_name_is_not_taken(env: dict[str, str]) -> None:
    put_on_path(env, "weaviate: the command line of something else")
    assert find_weaviate(SILENT, env, providers=(works,)) == get_cache_dir(env) / "weaviate" / VERSION / "weaviate"


def test_what_was_obtained_once_is_kept(env: dict[str, str]) -> None:
    first = find_weaviate(SILENT, env, providers=(works,))
    assert first.read_text() == VERSION
    assert find_weaviate(SILENT, env, providers=(no_network,)) == first


def test_a_way_that_fails_says_so_and_the_next_is_tried(env: dict[str, str]) -> None:
    notes = Notes()
    assert find_weaviate(notes, env, providers=(no_network, works)).is_file()
    assert notes.said == ["no download of https://example.org: no network"]


def test_when_nothing_works_the_error_says_what_was_tried_and_what_to_do(env: dict[str, str]) -> None:
    with pytest.raises(StackError) as caught:
        find_weaviate(SILENT, env, providers=(no_network, no_go))
    for words in ("on PATH", "no download of https://example.org", "no Go 1.26", "install Go", "set WEAVIATE_URL"):
        assert words in str(caught.value)


def test_the_cache_is_in_the_home_folder_unless_xdg_says_otherwise(tmp_path: Path) -> None:
    assert get_cache_dir({}) == Path.home() / ".cache" / "clip-vectorizer"
    assert get_cache_dir({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "clip-vectorizer"


def test_two_that_need_it_at_once_make_it_once(env: dict[str, str]) -> None:
    made: list[int] = []

    def slow(version: str, kept: Path, progress: StepProgress, env: Mapping[str, str]) -> None:
        made.append(1)
        time.sleep(0.5)
        kept.write_text(version)

    both = [threading.Thread(target=find_weaviate, args=(SILENT, env, (slow,))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert made == [1]
