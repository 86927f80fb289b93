import io
import re

import pytest
from rich.console import Console

from clip_vectorizer import progress
from clip_vectorizer.progress import LogDisplay, StepDisplay, TerminalDisplay, count_items, format_duration
from tests.ingest.test_retry import FakeTime


def terminal(width: int = 80) -> tuple[io.StringIO, Console]:
    out = io.StringIO()
    return out, Console(file=out, force_terminal=True, width=width, color_system=None)


def plain(out: io.StringIO) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_a_terminal_shows_the_status_and_keeps_notes() -> None:
    out, console = terminal()
    with TerminalDisplay(console, bar=True) as display:
        display.show("1 of 2 or more, [b]", 1)
        display.note("failed: a/[bold]bad:cat:\\.png")
    assert "1 of 2 or more, [b]" in plain(out) and "failed: a/[bold]bad:cat:\\.png" in plain(out)


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_status_stays_on_one_line_of_a_terminal(width: int) -> None:
    out, console = terminal(width)
    status = "1000344 of 1234567, 123/s, 345 failed, waiting"
    with TerminalDisplay(console, bar=True) as display:
        display.show(status, 1_000_344, 1_234_567, 123.4)
    assert status in plain(out) and all(len(line) <= width for line in re.split(r"[\r\n]", plain(out)))


def test_the_width_of_a_terminal_does_not_break_a_long_note() -> None:
    out, console = terminal(40)
    with TerminalDisplay(console) as display:
        display.note("word " * 30)
    assert "word " * 29 in out.getvalue()


def test_a_log_has_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    time = FakeTime()
    display = LogDisplay(5.0, lambda: time.now)
    display.show("7 of 9", 7, 9, 0.5)
    assert not capsys.readouterr().err
    time.sleep(5.0)
    display.show("7 of 9", 7, 9, 0.5)
    display.show("8 of 9", 8, 9, 0.5)
    assert capsys.readouterr().err == "7 of 9, about 4 s left\n"


def test_the_remaining_time_is_not_guessed_without_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    LogDisplay(0.0).show("7 of 9 or more", 7, None, 100.0)
    assert capsys.readouterr().err == "7 of 9 or more\n"


def test_a_log_without_an_interval_has_only_notes(capsys: pytest.CaptureFixture[str]) -> None:
    display = LogDisplay(None)
    display.show("working")
    display.note("a note")
    assert capsys.readouterr().err == "a note\n"


def test_in_a_log_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with StepDisplay(LogDisplay(15.0)) as steps:
        steps.step("building Weaviate")
        steps.detail("1 of 2 packages")
        steps.note("no network")
    assert capsys.readouterr() == ("", "building Weaviate\nno network\n")


def test_a_long_step_logs_its_details_and_its_duration(capsys: pytest.CaptureFixture[str]) -> None:
    time = FakeTime()
    with StepDisplay(LogDisplay(15.0, lambda: time.now)) as steps:
        steps.step("building Weaviate")
        time.sleep(65.0)
        steps.detail("1 of 2 packages")
    assert capsys.readouterr().err == "building Weaviate\nbuilding Weaviate: 1 of 2 packages\n  done in 1 min 5 s\n"


def test_on_a_terminal_brackets_are_no_markup() -> None:
    out, console = terminal()
    with StepDisplay(TerminalDisplay(console)) as steps:
        steps.step("downloading [/bold]")
        steps.detail("[red] 1 of 2")
        steps.note("no [network]")
    assert "downloading [/bold]" in plain(out) and "no [network]" in plain(out)


def test_a_short_run_shows_no_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(count_items(range(3), streaming=False)) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_long_run_counts_on_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.0)
    assert list(count_items(range(3), streaming=True)) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("1 images, ") and err.count("\n") == 1  # the next line after ten seconds


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s")])
def test_durations_are_minutes_and_seconds(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
