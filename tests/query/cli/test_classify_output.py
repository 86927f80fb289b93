import json
from collections.abc import Generator

import pytest

from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.query import Classification
from clip_vectorizer.query.cli.classify_actions import show_classifications, skip_unreadable

GOOD = Classification("a.png", "cat", 0.75, 0.5, "dog", similarity=0.25, id="id-1")
BAD = Classification("b.png", error="not an image")


def show(*results: Classification, as_json: bool = False, why_nothing: str = "the collection is empty") -> int:
    return show_classifications((each for each in results), as_json, why_nothing)


def test_json_lines_have_the_same_keys_for_failures(capsys: pytest.CaptureFixture[str]) -> None:
    failed = show(GOOD, BAD, as_json=True)
    out, err = capsys.readouterr()
    good, bad = map(json.loads, out.splitlines())
    assert list(good)[:5] == ["path", "label", "score", "margin", "runner_up"]
    assert good == {
        **{"path": "a.png", "label": "cat", "score": 0.75, "margin": 0.5, "runner_up": "dog"},
        **{"similarity": 0.25, "id": "id-1"},
    }
    assert bad == {**dict.fromkeys(good), "path": "b.png", "id": "", "error": "not an image"}
    assert failed == 1 and err.splitlines() == ["b.png: not an image", "1 of 2 images could not be classified"]


def test_a_table_shows_what_could_be_classified(capsys: pytest.CaptureFixture[str]) -> None:
    show(BAD, GOOD)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["path", "label", "score", "margin", "runner-up"],
        ["a.png", "cat", "0.750", "0.500", "dog"],
    ]


def test_nothing_to_classify_prints_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(why_nothing="no image is left by --where") == 0
    assert capsys.readouterr().err == "nothing to classify: no image is left by --where\n"


def test_a_run_that_ends_early_prints_its_results_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> Generator[Classification]:
        yield GOOD
        raise WeaviateUnreachable("gone")

    with pytest.raises(WeaviateUnreachable):
        show_classifications(failing(), as_json=False, why_nothing="")
    assert "a.png" in capsys.readouterr().out


def test_a_file_name_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = Classification("\x1b[31mred\n.png", error="broken")
    show(evil)
    assert skip_unreadable([evil, GOOD]) == [GOOD]
    err = capsys.readouterr().err
    assert err.startswith(r"\x1b[31mred\n.png: broken") and r"--other-from: \x1b[31mred\n.png: broken" in err
    assert "\x1b" not in err
