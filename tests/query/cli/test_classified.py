import json
from collections.abc import Iterator

import pytest

from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.query import Classification
from clip_vectorizer.query.cli.classify_output import show_classifications
from clip_vectorizer.query.cli.classify_request import skip_unreadable

GOOD = Classification("a.png", "cat", 0.75, 0.5, "dog", similarity=0.25, id="id-1")
BAD = Classification("b.png", error="not an image")


def test_classifications_as_json_have_the_same_keys_whatever_happened(capsys: pytest.CaptureFixture[str]) -> None:
    failed = show_classifications([GOOD, BAD], as_json=True)
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
    show_classifications([BAD, GOOD], as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["path", "label", "score", "margin", "runner-up"],
        ["a.png", "cat", "0.750", "0.500", "dog"],
    ]


def test_nothing_to_classify_is_said_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_classifications([], as_json=False) == 0
    assert "nothing to classify: no image is there; fill" in capsys.readouterr().err
    show_classifications([], as_json=False, why_nothing="no image is left by --where")
    assert capsys.readouterr().err == "nothing to classify: no image is left by --where\n"


def test_a_run_that_ends_early_shows_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> Iterator[Classification]:
        yield GOOD
        raise WeaviateUnreachable("gone")

    with pytest.raises(WeaviateUnreachable):
        show_classifications(failing(), as_json=False)
    assert "a.png" in capsys.readouterr().out


def test_a_files_name_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = Classification("\x1b[31mred\n.png", error="broken")
    show_classifications([evil], as_json=False)
    assert skip_unreadable([evil, GOOD]) == [GOOD]
    err = capsys.readouterr().err
    assert err.startswith(r"\x1b[31mred\n.png: broken") and r"--other-from: \x1b[31mred\n.png: broken" in err
    assert "\x1b" not in err
