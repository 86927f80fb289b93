"""The options of `clip-ingest`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from clip_vectorizer.connection_options import vectorizer_key_option, weaviate_options
from clip_vectorizer.defaults import IMAGE_COLLECTION, QUANTIZERS
from ingest.choices import MOST_DISTANCE, Fit, Keep
from ingest.pipeline import IngestSettings
from ingest.sources.base import SourceOptions

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
FILE_PATH = click.Path(dir_okay=False, path_type=Path)
DEFAULTS = IngestSettings()

OPTIONS = (
    # where to
    click.option("--collection", default=IMAGE_COLLECTION, show_default=True, help="Made if it is not there."),
    click.option("--tenant", help="Of a collection with a tenant each for people whose images must not mix."),
    click.option(
        "--embed",
        type=click.Choice(["module", "client"]),
        default="module",
        show_default=True,
        help="Who asks the sidecar: Weaviate, an image at a time, or this command, in large batches: the same vectors.",
    ),
    click.option(
        "--store",
        "keep",
        type=click.Choice([str(keep) for keep in Keep]),
        help="What stays in the database: the file, a thumbnail, only its hash, nothing.  [default: thumbnail, or as "
        "the collection was made]",
    ),
    click.option(
        "--quantizer",
        type=click.Choice(list(QUANTIZERS)),
        help="How the vector index holds vectors: whole, or 8 bits or 1 bit a dimension.  [default: none, or as the "
        "collection was made]",
    ),
    # what of it
    click.option("--ignore", multiple=True, metavar="PATTERN", help="Leave these out, as in .gitignore."),
    click.option("--hidden", is_flag=True, help="Take files and folders whose names begin with a dot, too."),
    click.option("--prefix", default="", metavar="NAME", help="Goes before every path."),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N images."),
    click.option("--shard", metavar="I/N", help="Only the Ith of N parts: for N commands at once, from 1/N to N/N."),
    click.option(
        "--retry-failed",
        type=FILE_PATH,
        help="Only what failed by this --report; without SOURCE, its sources. Give the options of that run again.",
    ),
    # how it is read
    click.option(
        "--fit", type=click.Choice([str(fit) for fit in Fit]), help="Long sides: cut or kept.  [default: pages pad]"
    ),
    click.option("--dpi", type=click.IntRange(10, 1200), default=SourceOptions().dpi, show_default=True, help="Pages."),
    click.option("--frames", is_flag=True, help="Every page of a TIFF and frame of a GIF, not only the first."),
    click.option("--exif", is_flag=True, help="Time, camera and place become properties."),
    click.option(
        "--property",
        "columns",
        multiple=True,
        metavar="COLUMN[=NAME][:TYPE]",
        help="A column of a table, or a field of photo.json beside photo.jpg, becomes a property. TYPE: text, int, "
        "number, boolean, date.",
    ),
    click.option("--path-column", help="Of a table: where its images are.  [default: path, file, image, url, ...]"),
    click.option("--label-column", help="[default: label]"),
    click.option("--caption-column", help="[default: caption]"),
    click.option("--root", help="Where relative paths of a table or of `-` begin.  [default: the table's folder]"),
    click.option("-0", "--null", "nul", is_flag=True, help="Paths on standard input end with NUL."),
    click.option("--storage", multiple=True, metavar="KEY=VALUE", help="For s3://, gs://, ...: fsspec's options."),
    click.option("--checksum", is_flag=True, help="Read all files, whatever their size and time say."),
    click.option("--workers", type=click.IntRange(1, 64), default=DEFAULTS.workers, show_default="one a CPU core"),
    # what else is done
    click.option("--take-over", is_flag=True, help="Replace images that came from another source by the same path."),
    click.option("--prune", is_flag=True, help="Remove images that have vanished from the source."),
    click.option("--prune-limit", metavar="N|P%", help="With --prune: how many may go at once.  [default: 10%]"),
    click.option(
        "--near-duplicates",
        "alike_bits",
        type=click.IntRange(0, MOST_DISTANCE),
        metavar="BITS",
        help="Report images that look alike: perceptual hashes at most BITS of 64 apart; 4 is strict, 10 is not.",
    ),
    click.option(
        "--ray",
        "ray_address",
        metavar="ADDRESS",
        help="Share the work out by Ray, with --embed client: `local`, `auto` or HOST:PORT.",
    ),
    click.option("--watch", is_flag=True, help="Stay, and bring in what changes."),
    click.option(
        "--reindex",
        is_flag=True,
        help="Move the collection to the model that --vectorizer-url runs: a new vector an object, then a switch.",
    ),
    click.option("--inference-url", help="With --reindex: that sidecar as Weaviate reaches it, if not by its default."),
    click.option("--dry-run", is_flag=True, help="Read and compare, and write nothing."),
    click.option(
        "--patience",
        type=click.FloatRange(0),
        default=DEFAULTS.patience_seconds,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for a Weaviate or a sidecar that is away.",
    ),
    click.option(
        "--report", "report_file", type=FILE_PATH, help="A line of JSON for every image: key, status, reason."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a sentence."),
    weaviate_options,
    click.option(
        "--vectorizer-url",
        envvar="VECTORIZER_URL",
        show_envvar=True,
        help="The sidecar: asked with --embed client, else only checked to run the model of Weaviate's own.",
    ),
    vectorizer_key_option,
)


def ingest_options(command: CommandT) -> CommandT:
    for option in reversed(OPTIONS):
        command = option(command)
    return command
