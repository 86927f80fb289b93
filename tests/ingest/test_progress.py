import io

import pytest
from rich.console import Console

from ingest.items import Fate, Outcome
from ingest.progress import Listener, bar, progress_on_stderr
from ingest.report import IngestReport

BAD = Outcome("a/[bold]bad.png", Fate.FAILED, "not an image")


def test_each_failure_is_named_once_and_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = IngestReport(seen=2)
    with progress_on_stderr() as listener:
        report.count(BAD)
        listener(report)
        report.count(Outcome("b.png", Fate.ADDED))
        listener(report)
    shown = capsys.readouterr()
    assert shown.err == "failed: a/[bold]bad.png: not an image\n" and shown.out == ""


def test_a_run_that_breaks_off_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress_on_stderr() as listener:
        listener(IngestReport(seen=7, added=3))
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "stopped after 3 of 7 images; the same command goes on from there\n"


def test_a_terminal_gets_a_bar_and_the_failures_as_they_are() -> None:
    out = io.StringIO()
    with bar(Console(file=out, force_terminal=True, width=80)) as display:
        report = IngestReport(seen=2, failures=[BAD])
        Listener(display)(report)
    assert "1/2" in out.getvalue() and "a/[bold]bad.png: not an image" in out.getvalue()
