"""A bad query or option is one sentence that names it, never a stack trace."""

import json
from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query import ImageSearch, Query
from tests.stack.acceptance.in_process import Command

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        ([], 2, "--image"),
        (["  "], 2, "empty"),
        (["a thing", "--where", "label"], 2, "label"),
        (["a thing", "--where", ""], 2, "filter"),
        (["a thing", "--where", "price=cheap"], 2, "cheap"),
        (["a thing", "--where", "made>=tomorrow"], 2, "tomorrow"),
        (["a thing", "--where", "thumbnail=x"], 2, "thumbnail"),
        (["a thing", "--limit", "0"], 2, "--limit"),
        (["a thing", "--limit", "5", "--offset", "9996"], 2, "10000"),
        (["a thing", "--offset", "-1"], 2, "--offset"),
        (["a thing", "--diversity", "1.5"], 2, "--diversity"),
        (["a thing", "--captions", "-0.1"], 2, "--captions"),
        (["a thing", "--min-similarity", "7"], 2, "similarity"),
        (["a thing", "--consistency", "MANY"], 2, "MANY"),
        (["apple - apple"], 2, "cancel"),
        (["apple + "], 2, "apple"),
        (["--image", "no-such-file.png"], 2, "no-such-file.png"),
        (["--image", "http://127.0.0.1:1/x.png"], 2, "http://127.0.0.1:1/x.png"),
        (["--like", "00000000-0000-0000-0000-000000000000"], 2, "00000000-0000-0000-0000-000000000000"),
        (["--vector", "no-such-file.npy"], 2, "no-such-file.npy"),
        (["word", "--similar-strings", "no-such-file.txt"], 2, "no-such-file.txt"),
    ],
    ids=str,
)
def test_a_bad_option_is_a_sentence_that_names_it(
    clip_search: Command, words: list[str], code: int, named: str
) -> None:
    refused = clip_search(*words, expect=code)
    assert refused.stdout == ""
    assert named in refused.stderr


def test_files_with_other_content_are_named(clip_search: Command, tmp_path: Path) -> None:
    for name, content in (("notes.png", b"not a picture"), ("notes.npy", b"not an array")):
        (tmp_path / name).write_bytes(content)
        refused = clip_search("--image" if name.endswith("png") else "--vector", tmp_path / name, expect=2)
        assert name in refused.stderr and refused.stdout == ""


def test_a_vector_of_another_length_or_without_direction_is_refused(
    clip_search: Command, pictures: ImageSearch, tmp_path: Path
) -> None:
    np.save(tmp_path / "short.npy", np.ones(7, np.float32))
    refused = clip_search("--vector", tmp_path / "short.npy", expect=5)
    assert "7" in refused.stderr
    with pytest.raises(Mismatch):
        pictures.find(Query.vector(np.ones(7, np.float32)))
    with pytest.raises(InputError):
        pictures.find(Query.vector(np.zeros(pictures.info.dimension, np.float32)))


def test_python_refuses_as_the_command_does(pictures: ImageSearch) -> None:
    with pytest.raises(InputError, match="label"):
        pictures.find("a thing", filters="labl=fruit")
    with pytest.raises(InputError):
        pictures.find(Query.text("apple") - Query.text("apple"))
    with pytest.raises(InputError, match="10000"):
        pictures.find("a thing", limit=10_000, offset=1)
    with pytest.raises(InputError, match="diversity"):
        pictures.find("a thing", diversity=2.0)
    with pytest.raises(InputError, match=r"weight|number|finite|nan"):
        pictures.find(float("nan") * Query.text("apple"))


def test_json_lines_are_strict_json(clip_search: Command) -> None:
    for line in clip_search("guitar", "--json", "--vectors", "--limit", 2).stdout.splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


OPTIONS = (
    ("--like", "fruit/banana.png"), ("--minus", "red"), ("--where", "label=fruit"), ("--group-by", "label"),
    ("--diversity", "0.5"), ("--dedupe",), ("--captions", "0.5"), ("--offset", "2"), ("--explain",),
)  # fmt: skip


@pytest.mark.parametrize("one", OPTIONS, ids=lambda option: option[0])
def test_any_two_options_together_give_results_or_a_sentence(clip_search: Command, one: tuple[str, ...]) -> None:
    for other in OPTIONS[OPTIONS.index(one) + 1 :]:
        answer = clip_search("apple", *one, *other, expect=None)
        assert answer.exit_code in (0, 2), (other, answer.stderr)
        assert bool(answer.stdout) == (answer.exit_code == 0), (other, answer.stderr)
