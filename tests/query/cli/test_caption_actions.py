"""`clip-caption`: what it prints."""

import json
from collections.abc import Generator

import pytest

from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.query.captions.writing import Caption, CaptionCounts
from clip_vectorizer.query.cli.caption_actions import show_captions

GOOD = Caption("a.png", "id-1", "a cat", "labels:emoji")
BAD = Caption("b.png", "id-2", "", "labels:emoji", "no vector")
NONE = CaptionCounts()


def show(*captions: Caption, as_json: bool = False, left_out: CaptionCounts = NONE) -> int:
    return show_captions((each for each in captions), as_json, left_out)


def test_json_lines_have_the_same_keys_and_an_error_where_there_is_no_caption(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert show(GOOD, BAD, as_json=True) == 1
    out, err = capsys.readouterr()
    good, bad = map(json.loads, out.splitlines())
    assert good == {"path": "a.png", "id": "id-1", "caption": "a cat", "caption_by": "labels:emoji"}
    assert bad == {**good, "path": "b.png", "id": "id-2", "caption": None, "error": "no vector"}
    assert err.splitlines()[0] == "b.png: no vector"


def test_a_table_shows_the_captions_and_the_counts_follow_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(GOOD, GOOD, left_out=CaptionCounts(given=2, done=5)) == 0
    out, err = capsys.readouterr()
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [["path", "caption"], *2 * [["a.png", "a cat"]]]
    assert err == "2 captions written; 2 images have their own; 5 were captioned before\n"


def test_a_run_that_ends_early_prints_its_captions_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> Generator[Caption]:
        yield from (GOOD, GOOD, BAD, BAD)
        raise WeaviateUnreachable("gone")

    with pytest.raises(WeaviateUnreachable):
        show_captions(failing(), as_json=False, left_out=NONE)
    out, err = capsys.readouterr()
    assert "a.png" in out and err.splitlines()[-1] == "2 captions written; 2 images got none"
