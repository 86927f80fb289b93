"""`clip-ingest`: parse, call, print."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.errors import InputError, VectorizerError
from ingest.arguments import build_job
from ingest.distributed import RaySettings, run_with_ray
from ingest.job import IngestJob, run_job
from ingest.options import ingest_options
from ingest.pipeline import IngestListener
from ingest.progress import escape_unprintable, progress_on_stderr
from ingest.report import IngestReport, ReportFile

USAGE = 2  # exit code
MAX_SHOWN_KEYS = 10  # of images that look alike; --json has them all

HELP = """Bring the images of every SOURCE into Weaviate, as objects with vectors.

SOURCE is a folder, a file, a pattern ('photos/**/*.jpg'), an archive (.tar, .tar.gz, .zip), a table of paths or
addresses (.csv, .tsv, .ndjson, .parquet), a .pdf, an address (https://, s3://, gs://), or - for paths on standard
input. An image's path relative to SOURCE identifies it; its folder's name becomes its label; a .txt file of the same
name beside it, its caption.

What the collection holds unchanged is skipped, so the same command run again resumes, or costs next to nothing. What
cannot be used is named on stderr and stops nothing.

\b
Example, from nothing to a first search:
  eval "$(clip-demo up)"
  clip-ingest examples/images
  clip-search "a red apple"

\b
More:
  clip-ingest ~/Pictures --embed client --exif --report report.jsonl
  clip-ingest --retry-failed report.jsonl
  clip-ingest ~/Pictures --prune --watch
  clip-ingest ~/Pictures --reindex --vectorizer-url http://localhost:9191
  clip-ingest shop.csv --property price:number --property brand
  find . -name '*.png' -print0 | clip-ingest - -0

\b
Exit codes: 0 all in, 1 fatal, 2 usage, 3 some files failed, 4 Weaviate or its sidecar unreachable,
5 the collection was made with another model, 130 interrupted
"""


@click.command(cls=ExitCodeCommand, help=HELP)
@click.argument("sources", metavar="SOURCE...", nargs=-1)
@ingest_options
@click.pass_context
def main(
    context: click.Context,
    /,
    sources: tuple[str, ...],
    report_file: Path | None,
    as_json: bool,
    ray_address: str | None,
    **given: Any,
) -> None:
    job = build_job(sources, **given)
    report = IngestReport()
    if given["retry_failed"] and not job.sources:
        print_report(report, as_json, {"collection": job.collection, "dry_run": job.dry_run})
        context.exit(0)  # nothing has failed
    check_sources(job)
    with (
        progress_on_stderr() as progress,
        open_report_file(report_file) as written,
        print_report_on_error(report, as_json),
    ):
        listener = combine_listeners(progress, written)
        ray = RaySettings(address=ray_address) if ray_address else None
        model = run_with_ray(job, report, listener, ray) if ray else run_job(job, report, listener)
    print_report(report, as_json, {"collection": job.collection, "model": model, "dry_run": job.dry_run})
    problem = written.problem if written else ""
    context.exit(report.exit_code or (1 if problem else 0))


def check_sources(job: IngestJob) -> None:
    if not (job.sources or job.reindex):
        raise InputError("no SOURCE; name a folder, a file or an address, for example: clip-ingest examples/images")
    if "" in job.sources:
        raise InputError("a SOURCE is empty (an unset variable?); name a folder, `.` for the present one")


@contextmanager
def open_report_file(file: Path | None) -> Iterator[ReportFile | None]:
    with ReportFile(file, lambda sentence: click.echo(sentence, err=True)) if file else nullcontext() as written:
        yield written


@contextmanager
def print_report_on_error(report: IngestReport, as_json: bool) -> Iterator[None]:
    try:
        yield
    except (VectorizerError, KeyboardInterrupt) as error:
        if as_json and getattr(error, "exit_code", 0) != USAGE:
            print_report(report, as_json, {"error": str(error) or "interrupted"})
        raise


def combine_listeners(progress: IngestListener, written: IngestListener | None) -> IngestListener:
    def listen(report: IngestReport, event: object) -> None:
        progress(report, event)
        if written:
            written(report, event)

    return listen


def print_report(report: IngestReport, as_json: bool, about: dict[str, Any]) -> None:
    if as_json:
        click.echo(json.dumps(report.as_json() | about, ensure_ascii=False))
        return
    dry = " (a dry run: nothing was written)" if about["dry_run"] else ""
    click.echo(f"{report.summary()} -> {about['collection']}{dry}")
    for group in report.near_duplicates:
        more = f"  and {len(group.keys) - MAX_SHOWN_KEYS} more" if len(group.keys) > MAX_SHOWN_KEYS else ""
        click.echo(escape_unprintable(f"alike: {'  '.join(group.keys[:MAX_SHOWN_KEYS])}{more}"))
