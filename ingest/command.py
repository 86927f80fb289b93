"""What `clip-ingest` does: build the job, run it with progress and a report file, print the summary."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.exit_codes import FATAL, USAGE
from clip_vectorizer.images.pillow import lift_pillow_limit
from clip_vectorizer.terminal import escape_line
from ingest.arguments import build_job
from ingest.distributed import RaySettings, run_with_ray
from ingest.job import IngestJob, ReindexJob, run_job
from ingest.pipeline import IngestListener
from ingest.progress import progress_on_stderr
from ingest.report import IngestReport, ReportFile

MAX_SHOWN_KEYS = 10  # of images that look alike; --json has them all


def run_command(
    sources: Sequence[str], report_file: Path | None, as_json: bool, ray_address: str | None, **values: Any
) -> int:
    """The parameters of the command to its exit code. Raises VectorizerError."""
    lift_pillow_limit()  # a command owns its process; the project's own limit has a sentence of its own
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
        print_report_on_error(report, as_json),
    ):
        listener = combine_listeners(progress, report_lines)
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


def combine_listeners(progress: IngestListener, report_lines: IngestListener | None) -> IngestListener:
    def listen(report: IngestReport, event: object) -> None:
        progress(report, event)
        if report_lines:
            report_lines(report, event)

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
