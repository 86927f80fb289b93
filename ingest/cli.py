"""The command `clip-ingest`: its options, which of them work together, its help."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from clip_vectorizer.cli_common import (
    CommandMode,
    CommandWithSubcommands,
    Exclusion,
    Requirement,
    SpecialCase,
    Values,
    complete_word,
)
from clip_vectorizer.common_options import (
    ALLOW_ADDRESS,
    ALLOW_ADDRESS_ATTRIBUTES,
    VECTORIZER_OPTIONS,
    WEAVIATE_OPTIONS,
    pdf_password_option,
    vectorizer_key_option,
    weaviate_options,
)
from clip_vectorizer.defaults import IMAGE_COLLECTION, QUANTIZERS, STDIN
from clip_vectorizer.images.settings import LEAST_DECODED
from ingest.backup_cli import backup, restore
from ingest.choices import (
    DPI,
    MAX_HASH_DISTANCE,
    MAX_REGIONS,
    PATIENCE_SECONDS,
    REGION_LIMIT,
    SINGLE_PROCESS_OPTIONS,
    WORKERS,
    Fit,
    Keep,
)

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
FILE_PATH = click.Path(dir_okay=False, path_type=Path)
MODULE, CLIENT = "module", "client"  # who sends images to the sidecar


TARGET_OPTIONS = (
    click.option(
        "--collection",
        default=IMAGE_COLLECTION,
        metavar="NAME",
        show_default=True,
        help="Collection; created if missing.",
    ),
    click.option("--tenant", metavar="NAME", help="Tenant of a multi-tenant collection; created if missing."),
    click.option(
        "--embed",
        type=click.Choice([MODULE, CLIENT]),
        default=MODULE,
        show_default=True,
        help="Who calls the sidecar: Weaviate, one image at a time, or this command, in large batches. The vectors "
        "are the same.",
    ),
    click.option(
        "--keep",
        type=click.Choice([str(keep) for keep in Keep]),
        show_default="thumbnail, or as the collection was created",
        help="What the database stores of an image: the file, a thumbnail, only a hash, nothing.",
    ),
    click.option(
        "--quantizer",
        type=click.Choice(list(QUANTIZERS)),
        show_default="none, or as the collection was created",
        help="Compression of the vector index: none, 8 bits or 1 bit per dimension.",
    ),
)
SELECTION_OPTIONS = (
    click.option("--ignore", multiple=True, metavar="PATTERN", help="Skip matching files; .gitignore syntax."),
    click.option("--hidden", is_flag=True, help="Include files and folders whose names begin with a dot."),
    click.option("--prefix", default="", metavar="NAME", help="Prepended to every path."),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N images."),
    click.option("--shard", metavar="I/N", help="Only part I of N: for N commands at once, 1/N to N/N."),
    click.option(
        "--retry-failed",
        type=FILE_PATH,
        metavar="REPORT",
        help="Only what failed according to this --report; without SOURCE, its sources. Repeat that run's options.",
    ),
)
READING_OPTIONS = (
    click.option(
        "--fit",
        type=click.Choice([str(fit) for fit in Fit]),
        show_default="pad for pages, else crop",
        help="Crop long sides or pad short ones to the model's square.",
    ),
    click.option(
        "--dpi", type=click.IntRange(10, 1200), default=DPI, metavar="N", show_default=True, help="For PDF pages."
    ),
    pdf_password_option,
    click.option(
        "--least-decoded",
        type=click.FloatRange(0, 1),
        default=LEAST_DECODED,
        metavar="SHARE",
        show_default=True,
        help="Share of a damaged image that must be there.",
    ),
    click.option("--frames", is_flag=True, help="Every page of a TIFF and frame of a GIF, not only the first."),
    click.option("--exif", is_flag=True, help="Store time, camera and place as properties."),
    click.option(
        "--property",
        "columns",
        multiple=True,
        metavar="COLUMN[=NAME][:TYPE]",
        help="Store a column of a table, or a field of photo.json next to photo.jpg, as a property. TYPE: text, int, "
        "number, boolean, date.",
    ),
    click.option(
        "--path-column", metavar="NAME", show_default="path, file, image, url, ...", help="A table's image paths."
    ),
    click.option(
        "--label-column", metavar="NAME", show_default="label", help="Labels: of a table, or a field of photo.json."
    ),
    click.option(
        "--caption-column",
        metavar="NAME",
        show_default="caption",
        help="Captions: of a table, or a field of photo.json.",
    ),
    click.option(
        "--root",
        metavar="FOLDER|URL",
        show_default="the table's folder",
        help="Base of relative paths in a table, in a list or from standard input.",
    ),
    click.option("-0", "--null", "nul", is_flag=True, help="Paths on standard input end with NUL."),
    click.option("--storage", multiple=True, metavar="KEY=VALUE", help="fsspec options for s3://, gs://, ..."),
    click.option(*ALLOW_ADDRESS, **ALLOW_ADDRESS_ATTRIBUTES),
    click.option("--checksum", is_flag=True, help="Read all files, even if size and time are unchanged."),
    click.option(
        "--workers",
        type=click.IntRange(1, 64),
        default=WORKERS,
        metavar="N",
        show_default="one per CPU core",
        help="Threads that read and decode.",
    ),
)
ACTION_OPTIONS = (
    click.option(
        "--regions",
        metavar="METHOD",
        show_default="as stored",
        help="Store parts of each image with vectors of their own: grid[=3x3[,OVERLAP]], objects (found by the "
        "sidecar), boxes[=COCO.json] or boxes=FIELD of photo.json, owlv2:MODEL; none removes them.",
    ),
    click.option(
        "--region-limit",
        type=click.IntRange(1, MAX_REGIONS),
        metavar="N",
        show_default=f"{REGION_LIMIT}, of given boxes {MAX_REGIONS}",
        help="The best N regions of an image.",
    ),
    click.option("--take-over", is_flag=True, help="Replace images of the same path that came from another source."),
    click.option("--prune", is_flag=True, help="Remove images that are gone from the source."),
    click.option(
        "--prune-limit",
        default="10%",
        metavar="N|P%",
        show_default=True,
        help="With --prune: refuse to remove more than this.",
    ),
    click.option(
        "--near-duplicates",
        "hash_distance",
        type=click.IntRange(0, MAX_HASH_DISTANCE),
        metavar="BITS",
        help="Report similar images: perceptual hashes at most BITS of 64 apart; 4 is strict, 10 is loose.",
    ),
    click.option(
        "--ray",
        "ray_address",
        metavar="ADDRESS",
        help="Distribute the work with Ray: `local`, `auto` or HOST:PORT. Implies --embed client.",
    ),
    click.option("--watch", is_flag=True, help="Keep running, and ingest what changes."),
    click.option(
        "--reindex",
        is_flag=True,
        help="Move the collection to the model behind --vectorizer-url: a new vector for every object, then a switch.",
    ),
    click.option(
        "--beside",
        is_flag=True,
        help="With --reindex: no switch; each model's sidecar searches its own vectors.",
    ),
    click.option(
        "--inference-url",
        metavar="URL",
        show_default="Weaviate's own",
        help="With --reindex: that sidecar's address as Weaviate reaches it.",
    ),
    click.option("--dry-run", is_flag=True, help="Read and compare, but write nothing."),
    click.option(
        "--patience",
        type=click.FloatRange(0),
        default=PATIENCE_SECONDS,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for an unreachable Weaviate or sidecar.",
    ),
    click.option(
        "--report", "report_file", type=FILE_PATH, metavar="FILE", help="Write key, status and reason of every image."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a sentence."),
)
CONNECTION_OPTIONS = (
    weaviate_options,
    click.option(
        "--vectorizer-url",
        envvar="VECTORIZER_URL",
        metavar="URL",
        show_envvar=True,
        help="The sidecar; called with --embed client, else only checked to run the same model as Weaviate's.",
    ),
    vectorizer_key_option,
)
OPTIONS = (*TARGET_OPTIONS, *SELECTION_OPTIONS, *READING_OPTIONS, *ACTION_OPTIONS, *CONNECTION_OPTIONS)

REINDEX_TAKES = (
    *("--collection", "--beside", "--inference-url", "--dry-run", "--patience", "--report", "--json"),
    *(*WEAVIATE_OPTIONS, *VECTORIZER_OPTIONS),
)
# They select files and the way to read them: they must be those of the ingest that brought them in.
REINDEX_SOURCE_TAKES = (
    *("SOURCE", "--tenant", "--ignore", "--hidden", "--prefix", "--fit", "--dpi", "--pdf-password"),
    *(
        "--least-decoded",
        "--frames",
        "--exif",
        "--property",
        "--path-column",
        "--label-column",
        "--caption-column",
        "--root",
        "-0",
        "--storage",
        "--allow-address",
    ),
    "--workers",
)
HELP = """Ingest the images of every SOURCE into Weaviate, as objects with vectors.

SOURCE is a folder, a file, a pattern ('photos/**/*.jpg'), an archive (.tar, .tar.gz, .zip), a table of images, paths
or addresses (.csv, .tsv, .ndjson, .parquet), a list of them (.txt), a .pdf, an address (https://, s3://, gs://), or -
for paths on standard input. An image's path relative to SOURCE identifies it; its folder's name becomes its label, and
a .txt file of the same name its caption.

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
  clip-ingest ~/Pictures --regions grid=3x3
  find . -name '*.png' -print0 | clip-ingest - -0
  clip-ingest backup

`backup` and `restore` as the first word are commands; a folder of that name is ./backup.

\b
Exit codes: 0 done; 1 fatal; 2 usage; 3 some files failed;
4 Weaviate or its sidecar unreachable; 5 another model made the collection;
130 interrupted
"""


def names_no_source(values: Values) -> bool:
    return not values["sources"]


def reads_no_stdin(values: Values) -> bool:
    return STDIN not in values["sources"]


def names_no_table(values: Values) -> bool:
    """Whether no SOURCE is a table; false without SOURCE, as with --retry-failed. Tables in a folder are not read."""
    from ingest.sources.entries import is_table  # imports Pillow

    return bool(values["sources"]) and not any(map(is_table, list_source_names(values)))


def resolves_no_paths(values: Values) -> bool:
    """Whether no SOURCE has paths in it: a table, a list, standard input."""
    from ingest.sources.lists import LIST_EXTENSIONS

    names_list = any(name.lower().endswith(LIST_EXTENSIONS) for name in list_source_names(values))
    return names_no_table(values) and reads_no_stdin(values) and not names_list


def list_source_names(values: Values) -> list[str]:
    """Return the sources; of a URL only the last part of its path, without its query."""
    from ingest.sources.urls import is_url, parse_base_name

    return [parse_base_name(word) if is_url(word) else word for word in values["sources"]]


def calls_no_sidecar(values: Values) -> bool:
    called = values["vectorizer_url"] or values["ray_address"] or values["reindex"] or values["regions"]
    return not called and values["embed"] != CLIENT


def leaves_embedding_to_weaviate(values: Values) -> bool:
    return bool(values["embed"] == MODULE)


RULES = (
    CommandMode(
        "--reindex",
        REINDEX_TAKES,
        "without SOURCE it reads only images that the database stores",
        when=names_no_source,
    ),
    CommandMode(
        "--reindex", (*REINDEX_TAKES, *REINDEX_SOURCE_TAKES), "it gives every object a new vector and changes no other"
    ),
    Requirement("--beside", ("--reindex",)),
    Requirement("--inference-url", ("--reindex",)),
    Exclusion("--beside", ("--inference-url",), "Weaviate makes no vectors beside the first"),
    Exclusion("--dry-run", ("--inference-url",), "a dry run adds no vector to the collection"),
    Requirement("--region-limit", ("--regions",)),
    Requirement("--prune-limit", ("--prune",), "it removes nothing by itself"),
    Exclusion("--prune", ("--limit", "--shard", "--retry-failed"), "it needs the whole source"),
    Exclusion("--ray", tuple(SINGLE_PROCESS_OPTIONS), "Ray cannot distribute it"),
    Exclusion("--ray", ("--embed",), "Ray's workers call the sidecar", when=leaves_embedding_to_weaviate),
    SpecialCase("--path-column", names_no_table, "is about tables; add a table as a SOURCE (.csv, ...), or remove it"),
    SpecialCase(
        "--root",
        resolves_no_paths,
        "is the base of paths in a table, in a list or on standard input; add one of these as a SOURCE, or remove it",
    ),
    SpecialCase("-0", reads_no_stdin, "is about paths on standard input; add - as a SOURCE, or remove it"),
    SpecialCase(
        "--vectorizer-api-key",
        calls_no_sidecar,
        "is for a sidecar that this command calls; add --vectorizer-url or --embed client, or remove it",
    ),
)


def ingest_options(command: CommandT) -> CommandT:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.group("clip-ingest", cls=CommandWithSubcommands, rules=RULES, help=HELP, invoke_without_command=True)
@click.argument("sources", metavar="SOURCE...", nargs=-1, shell_complete=complete_word)
@ingest_options
@click.pass_context
def main(context: click.Context, /, **values: Any) -> None:
    from ingest.command import run_command  # imports weaviate-client, which takes a second

    context.exit(run_command(**values))


main.add_command(backup)
main.add_command(restore)
