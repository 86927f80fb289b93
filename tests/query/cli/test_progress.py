import pytest

from clip_vectorizer import progress


def test_a_short_run_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.count_items(range(3), streaming=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_long_run_tells_how_far_it_is_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.0)
    assert list(progress.count_items(range(3), streaming=True)) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("1 images, ") and err.count("\n") == 1  # the next line after ten seconds
