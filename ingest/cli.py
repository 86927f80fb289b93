"""The command `clip-ingest`: its arguments and its help."""

from typing import Any

import click

from clip_vectorizer.cli_common import ExitCodeCommand
from ingest.options import RULES, ingest_options

HELP = """Ingest the images of every SOURCE into Weaviate, as objects with vectors.

SOURCE is a folder, a file, a pattern ('photos/**/*.jpg'), an archive (.tar, .tar.gz, .zip), a table of paths or
addresses (.csv, .tsv, .ndjson, .parquet), a .pdf, an address (https://, s3://, gs://), or - for paths on standard
input. An image's path relative to SOURCE identifies it; its folder's name becomes its label, and a .txt file of the
same name its caption.

Images that the collection already holds unchanged are skipped, so running the same command again resumes it. Unusable
files are named on stderr, and the others are ingested.

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
Exit codes: 0 done; 1 fatal; 2 usage; 3 some files failed;
4 Weaviate or its sidecar unreachable; 5 another model made the collection;
130 interrupted
"""


@click.command("clip-ingest", cls=ExitCodeCommand, rules=RULES, help=HELP)
@click.argument("sources", metavar="SOURCE...", nargs=-1)
@ingest_options
@click.pass_context
def main(context: click.Context, /, **values: Any) -> None:
    from ingest.command import run_command  # imports weaviate-client, which takes a second

    context.exit(run_command(**values))
