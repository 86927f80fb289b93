import pytest

from clip_vectorizer.progress import LineProgress, SpinnerProgress, format_duration


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")])
def test_times_are_told_in_minutes_and_seconds(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words


def test_without_a_terminal_each_step_is_a_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with LineProgress() as progress:
        progress.step("building Weaviate")
        progress.detail("1 of 2 packages")
        progress.note("no network")
    assert capsys.readouterr() == ("", "building Weaviate\nno network\n")


def test_on_a_terminal_brackets_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with SpinnerProgress() as progress:
        progress.step("downloading [/bold]")
        progress.detail("[red] 1 of 2")
        progress.note("no [network]")
    told = capsys.readouterr()
    assert told.out == ""
    assert "no [network]" in told.err
