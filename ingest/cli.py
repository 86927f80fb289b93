"""`clip-ingest`: parse, call, print."""

import json
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.connection import vectorizer_key_option, weaviate_options
from clip_vectorizer.schema import IMAGE_COLLECTION
from ingest.pipeline import IngestSettings, ingest_listing
from ingest.progress import progress_on_stderr
from ingest.sources import list_sources
from ingest.weaviate_store import open_store

HELP = """Bring every image under SOURCE into Weaviate, where the multi2vec-clip module makes the vectors.

SOURCE is a folder or a file. An image's path relative to SOURCE identifies it; its folder's name becomes its label; a
.txt file of the same name beside it, its caption. Files that the collection holds unchanged are skipped, so the same
command run again resumes, or costs next to nothing. A file that cannot be used is named on stderr and stops nothing.

\b
Example, from nothing to a first search:
  eval "$(clip-demo up)"
  clip-ingest examples/images
  clip-search "a red apple"

\b
Exit codes: 0 all in, 1 fatal, 2 usage, 3 some files failed, 4 Weaviate or its sidecar unreachable,
5 the collection was made with another model, 130 interrupted
"""


class SourcePath(click.Path):
    """A path, but not the empty one: what an unset variable leaves would be taken for the present folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("a SOURCE is empty (an unset variable?); name a folder, `.` for the present one", param, ctx)
        return super().convert(value, param, ctx)


@click.command(cls=FriendlyErrors, help=HELP)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, type=SourcePath(path_type=Path))
@click.option("--collection", default=IMAGE_COLLECTION, show_default=True, help="Made if it is not there.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=IngestSettings().workers,
    show_default="one a CPU core",
    help="Threads that read and decode files.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a sentence.")
@weaviate_options
@click.option(
    "--vectorizer-url",
    envvar="VECTORIZER_URL",
    default=None,
    show_envvar=True,
    help="If given, this sidecar is checked to run the model of Weaviate's own.",
)
@vectorizer_key_option
@click.pass_context
def main(
    context: click.Context,
    sources: tuple[Path, ...],
    collection: str,
    workers: int,
    as_json: bool,
    weaviate_url: str,
    weaviate_grpc_port: int,
    weaviate_api_key: str | None,
    vectorizer_url: str | None,
    vectorizer_api_key: str | None,
) -> None:
    listing = list_sources(sources)  # a wrong SOURCE is told before anybody is asked for a connection
    with (
        open_store(
            weaviate_url, weaviate_grpc_port, weaviate_api_key, vectorizer_url, collection, vectorizer_api_key
        ) as store,
        progress_on_stderr() as listener,
    ):
        report = ingest_listing(listing, store, listener, IngestSettings(workers=workers))
    about = {"collection": collection, "model": store.model}
    click.echo(json.dumps(report.as_json() | about) if as_json else f"{report.summary()} -> {collection}")
    context.exit(report.exit_code)
