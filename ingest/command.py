"""What `clip-ingest` does: build the job, run it with progress and a report file, print the summary.

Progress goes to stderr: a bar on a terminal, a line now and then elsewhere; failures at once, by name.
"""

import gc
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.counts import format_count
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.exit_codes import FATAL, USAGE
from clip_vectorizer.images.pillow import lift_pillow_limit
from clip_vectorizer.ingest_state import find_state_folder
from clip_vectorizer.progress import StatusDisplay, open_display
from clip_vectorizer.terminal import escape_line
from ingest.beacon import IngestBeacon
from ingest.distributed import RaySettings, run_with_ray
from ingest.items import ItemOutcome, Status
from ingest.job import IngestJob, ReindexJob, build_job, run_job
from ingest.pipeline import IngestListener
from ingest.report import IngestReport, ReportFile
from ingest.retry import RetryWait
from ingest.watch import RoundComplete

MAX_SHOWN_KEYS = 10  # of images that look alike; --json has them all
LOG_SECONDS = 5.0
SHOW_SECONDS = 0.1
RATE_SECONDS = 10.0  # the rate is measured over the last so many seconds


def run_command(
    sources: Sequence[str], report_file: Path | None, as_json: bool, ray_address: str | None, **values: Any
) -> int:
    """The parameters of the command to its exit code. Raises VectorizerError."""
    lift_pillow_limit()  # a command owns its process; the project's own limit has a sentence of its own
    gc.freeze()  # what the imports made: half a million objects, which every full collection would visit
    job = build_job(sources, **values)
    about: dict[str, Any] = {"collection": job.collection, "dry_run": job.dry_run}
    report = IngestReport()
    if values["retry_failed"] and not job.sources:
        print_report(report, as_json, about)
        return 0  # nothing has failed
    check_sources(job)
    with (
        progress_on_stderr() as progress,
        open_report_file(report_file) as report_lines,
        open_beacon(job) as beacon,
        print_report_on_error(report, as_json),
    ):
        listener = combine_listeners(progress, report_lines, beacon)
        ray = RaySettings(address=ray_address) if ray_address else None
        if ray and isinstance(job, IngestJob):
            model = run_with_ray(job, report, listener, ray)
        else:
            model = run_job(job, report, listener)
    print_report(report, as_json, about | {"model": model})
    problem = report_lines.problem if report_lines else ""
    return report.exit_code or (FATAL if problem else 0)


def check_sources(job: IngestJob | ReindexJob) -> None:
    if not (job.sources or isinstance(job, ReindexJob)):
        raise InputError("no SOURCE; name a folder, a file or an address, for example: clip-ingest examples/images")
    if "" in job.sources:
        raise InputError("a SOURCE is empty (an unset variable?); name a folder, `.` for the present one")


@contextmanager
def open_report_file(file: Path | None) -> Iterator[ReportFile | None]:
    with ReportFile(file, lambda sentence: click.echo(sentence, err=True)) if file else nullcontext() as report:
        yield report


@contextmanager
def print_report_on_error(report: IngestReport, as_json: bool) -> Iterator[None]:
    """With --json, an error or Ctrl-C prints what was done until then; wrong usage prints nothing on stdout."""
    try:
        yield
    except (VectorizerError, KeyboardInterrupt) as error:
        if as_json and getattr(error, "exit_code", 0) != USAGE:
            print_report(report, as_json, {"error": str(error) or "interrupted"})
        raise


def open_beacon(job: IngestJob | ReindexJob) -> AbstractContextManager[IngestBeacon | None]:
    """What shows a page of `clip-gallery` how far this ingest is."""
    if isinstance(job, ReindexJob) or job.dry_run:
        return nullcontext()
    return IngestBeacon(find_state_folder(os.environ), job, RateMeter().at)


def combine_listeners(*listeners: IngestListener | None) -> IngestListener:
    def listen(report: IngestReport, event: object) -> None:
        for each in listeners:
            if each is not None:
                each(report, event)

    return listen


def print_report(report: IngestReport, as_json: bool, about: dict[str, Any]) -> None:
    if as_json:
        click.echo(json.dumps(report.as_json() | about, ensure_ascii=False))
        return
    dry = " (a dry run: nothing was written)" if about["dry_run"] else ""
    click.echo(f"{report.summary()} -> {about['collection']}{dry}")
    for group in report.near_duplicates:
        more = f"  and {len(group.keys) - MAX_SHOWN_KEYS} more" if len(group.keys) > MAX_SHOWN_KEYS else ""
        click.echo(escape_line(f"alike: {'  '.join(group.keys[:MAX_SHOWN_KEYS])}{more}"))


@contextmanager
def progress_on_stderr() -> Iterator["ProgressListener"]:
    """A listener for `ingest`. If the ingest is interrupted, stderr gets a line with the number of images done."""
    with open_display(LOG_SECONDS, bar=True) as display:
        listener = ProgressListener(display)
        try:
            yield listener
        except BaseException:
            listener.report_interruption()
            raise


class ProgressListener:
    def __init__(self, display: StatusDisplay) -> None:
        self._display = display
        self._report: IngestReport | None = None
        self._rate = RateMeter()
        self._shown = 0.0
        self._waiting = ""
        self._watched: tuple[int, int] | None = None

    def __call__(self, report: IngestReport, event: object) -> None:
        self._report = report
        if isinstance(event, ItemOutcome) and event.status is Status.FAILED:
            self._note(f"failed: {event.key.removesuffix('::')}: {event.reason}")
        if isinstance(event, VectorizerError):
            self._note(f"warning: {event}")
        if isinstance(event, RoundComplete):
            self._note_round(report)
        if isinstance(event, RetryWait) and event.reason != self._waiting:
            self._note(f"waiting: {event.reason}")
        if isinstance(event, RetryWait | ItemOutcome):
            self._waiting = event.reason if isinstance(event, RetryWait) else ""
        now = time.monotonic()
        if now - self._shown >= SHOW_SECONDS:  # a hundred thousand images must not be drawn one by one
            self._shown = now
            rate = self._rate.at(now, report.done)
            total = report.seen if report.complete else None
            self._display.show(format_progress(report, rate), report.done, total, rate)

    def report_interruption(self) -> None:
        report = self._report
        if report and (report.done < report.seen or not report.complete):
            self._note(f"stopped after {report.done} of {format_total(report)} images; the same command resumes there")

    def _note(self, sentence: str) -> None:
        self._display.note(escape_line(sentence))

    def _note_round(self, report: IngestReport) -> None:
        """What a round of --watch has changed; a round without changes prints nothing."""
        now = report.done, report.pruned
        if now != self._watched:
            self._note(f"{report.summary()}; watching for changes, Ctrl-C stops")
        self._watched = now


class RateMeter:
    """Images a second over the last moments: a run that waits, or reached large files, shows it at once."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def at(self, now: float, done: int) -> float:
        self._marks = [mark for mark in self._marks if now - mark[0] <= RATE_SECONDS] or self._marks[-1:]
        self._marks.append((now, done))
        (then, before), seconds = self._marks[0], now - self._marks[0][0]
        return (done - before) / seconds if seconds > 0 and then < now else 0.0


def format_progress(report: IngestReport, rate: float) -> str:
    failed = f", {report.failed} failed" if report.failed else ""
    regions = f", {format_count(report.regions, 'region')}" if report.regions else ""
    return (
        f"{report.done} of {format_total(report)}, {rate:.0f}/s{regions}{failed}{', waiting' if report.waiting else ''}"
    )


def format_total(report: IngestReport) -> str:
    return f"{report.seen}" if report.complete else f"{report.seen} or more"
