"""The command `clip-search`: its options, which of them work together, its help."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clip_vectorizer.cli_common import (
    CommandMode,
    Exclusion,
    GroupedCommand,
    Requirement,
    SpecialCase,
    Values,
    combine_options,
    grouped_option,
)
from clip_vectorizer.common_options import (
    ALLOW_ADDRESS,
    ALLOW_ADDRESS_ATTRIBUTES,
    VECTORIZER_OPTIONS,
    WEAVIATE_OPTIONS,
)
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.query.choices import ALL_REGIONS, CORNER_MARK, FORCE, PROPERTY_MARK
from clip_vectorizer.query.cli.connection import collection_options

if TYPE_CHECKING:
    from clip_vectorizer.query.saved_searches import SavedSearch

# What may be given beside --saved: how results are printed, how many, and the servers.
TAKES = (
    *("--limit", "--json", "-0", "--html", "--explain", "--property", "--vectors", "--thumbnails", "--no-thumbnails"),
    *("--consistency", *WEAVIATE_OPTIONS, *VECTORIZER_OPTIONS),
)

HELP = """Find the images nearest to TEXT, to an image, or to a sum of several; best first.

\b
Examples:
  clip-search red apple
  clip-search 草莓 --limit 3 --json
  clip-search "horse + stripes - fruit"
  clip-search --image examples/images/animals/cat.png --where label!=animals
  clip-search --like fruit/red-apple.png --plus green --minus red
  clip-search animal --group-by label --limit 3 --per-group 2
  clip-search fruit --dedupe --diversity 0.5 --html sheet.html
  clip-search "a red apple" --regions --where "area<0.2"
  clip-search --like 'scans.pdf#page=7' --regions corner:bottom-right
  clip-search music --captions 0.5 --min-similarity 0.2 --property filename
  clip-search "a red apple" --explain
  clip-search --list --where label=fruit
  clip-search --saved "red fruit" --json
  clip-search guitar -0 | (cd examples/images && xargs -0 ls -l)

In TEXT, + and - with spaces around them add and subtract; 2*stripes counts twice. Similarity is the cosine: between a
text and the right image it is rarely above 0.4. `clip-demo up` prints the environment variables below.

\b
Exit codes: 0 done, also when nothing was found; 1 fatal; 2 usage;
4 Weaviate or its sidecar unreachable; 5 another model made the collection
"""

QUERY, FILTER, ORDER = "Query (all parts are added up)", "Which images", "Order"
OUTPUT, MODES = "Output", "Instead of a search"
SHARE = click.FloatRange(0, 1)

search_options = combine_options(
    (
        grouped_option(QUERY, "--image", "images", multiple=True, metavar="FILE|URL|-", help="An image. Repeatable."),
        grouped_option(QUERY, *ALLOW_ADDRESS, **ALLOW_ADDRESS_ATTRIBUTES),
        grouped_option(QUERY, "--like", multiple=True, metavar="PATH|ID", help="An image of the collection."),
        grouped_option(
            QUERY, "--unlike", multiple=True, metavar="PATH|ID", help="An image of the collection to subtract."
        ),
        grouped_option(
            QUERY, "--vector", "vector_files", multiple=True, metavar="FILE.npy", help="A vector of numpy.save."
        ),
        grouped_option(QUERY, "--plus", multiple=True, metavar="TEXT", help="Another text. Repeatable."),
        grouped_option(QUERY, "--minus", multiple=True, metavar="TEXT", help="A text to subtract. Repeatable."),
        grouped_option(QUERY, "--plain", is_flag=True, help="TEXT is one text; + - * in it mean nothing."),
        grouped_option(QUERY, "--move-to", metavar="TEXT", help="Move the query towards TEXT (nearText's moveTo)."),
        grouped_option(QUERY, "--move-away", metavar="TEXT", help="Move it away (nearText's moveAwayFrom)."),
        grouped_option(
            QUERY,
            "--force",
            type=click.FloatRange(0),
            default=FORCE,
            metavar="X",
            show_default=True,
            help="How far --move-to and --move-away go.",
        ),
        grouped_option(
            FILTER,
            "--where",
            multiple=True,
            metavar="EXPR",
            help="label=fruit, label=fruit|birds, price<=9.5, taken_at>=2024-01-01, path~*.png, camera?, !camera?. "
            "Repeated: all must hold.",
        ),
        grouped_option(
            FILTER,
            "--regions",
            flag_value=ALL_REGIONS,
            is_flag=False,
            metavar="[corner:NAME]",
            help="Search the parts of images too (clip-ingest --regions), and show the best boxes; --where knows "
            "area, x0, y0, x1, y1, method, ... With corner:bottom-right and so on: pages with the same title block in "
            "that corner as --like or --image.",
        ),
        grouped_option(
            FILTER, "--min-similarity", type=click.FloatRange(-1, 1), metavar="COSINE", help="Least similarity."
        ),
        grouped_option(
            FILTER, "--auto-limit", type=click.IntRange(1), metavar="N", help="End at the Nth jump in distance."
        ),
        grouped_option(
            FILTER,
            "--limit",
            type=click.IntRange(1, MAX_RESULTS),
            metavar="N",
            show_default="10; --list: all",
            help="Number of images; of groups with --group-by.",
        ),
        grouped_option(FILTER, "--offset", type=click.IntRange(0), default=0, metavar="N", help="Skip the first N."),
        grouped_option(FILTER, "--dedupe", is_flag=True, help="Show equal images once, with the paths of the copies."),
        grouped_option(
            ORDER,
            "--diversity",
            type=SHARE,
            metavar="SHARE",
            help="0: by similarity alone; 1: unlike the images above (MMR).",
        ),
        grouped_option(
            ORDER,
            "--captions",
            type=SHARE,
            metavar="SHARE",
            help="Hybrid search: weight of a keyword search in the captions.",
        ),
        grouped_option(ORDER, "--group-by", metavar="PROPERTY", help="One group per value, each with its best images."),
        grouped_option(
            ORDER,
            "--per-group",
            type=click.IntRange(1, MAX_RESULTS),
            default=3,
            metavar="N",
            show_default=True,
            help="Images in each group.",
        ),
        grouped_option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object per line."),
        grouped_option(OUTPUT, "-0", "--null", "nul", is_flag=True, help="Print paths ended by NUL, for xargs -0."),
        grouped_option(
            OUTPUT,
            "--html",
            type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
            metavar="FILE|-",
            help="Write a contact sheet: one self-contained page.",
        ),
        grouped_option(OUTPUT, "--explain", is_flag=True, help="Show the requests to Weaviate and the sidecar."),
        grouped_option(
            OUTPUT,
            "--property",
            "properties",
            multiple=True,
            metavar="NAME",
            help="Show this property too. Repeatable.",
        ),
        grouped_option(OUTPUT, "--vectors", is_flag=True, help="With --json: the vectors too."),
        grouped_option(
            OUTPUT,
            "--thumbnails/--no-thumbnails",
            default=None,
            show_default="in --html, and in a terminal that can",
            help="Show thumbnails.",
        ),
        grouped_option(MODES, "--list", "list_all", is_flag=True, help="All images, or those that match --where."),
        grouped_option(MODES, "--newest", is_flag=True, help="With --list: those that were stored last, newest first."),
        grouped_option(MODES, "--after", metavar="ID", help="With --list: continue after this image."),
        grouped_option(MODES, "--saved", metavar="NAME", help="A search that was saved in the page of clip-gallery."),
        grouped_option(
            MODES,
            "--searches",
            "searches_file",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            show_default="clip-vectorizer/searches.json in ~/.local/share or $XDG_DATA_HOME",
            help="With --saved: the file with the saved searches.",
        ),
        grouped_option(
            MODES,
            "--similar-strings",
            metavar="FILE|-|PROPERTY:NAME",
            help="Lines of FILE, or values of a property, by edit distance to TEXT.",
        ),
    )
)


def compares_file(values: Values) -> bool:
    return not (values["similar_strings"] or "").lower().startswith(PROPERTY_MARK)


def prints_no_thumbnails(values: Values) -> bool:
    return bool(values["list_all"] and values["thumbnails"] and not values["as_json"])


class SearchCommand(GroupedCommand):
    """`--regions` takes the word after it only if that names a corner: else it is the text of the search."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(join_corner(args)))


def join_corner(args: Sequence[str]) -> Iterator[str]:
    """Yield the arguments, with the value of each `--regions` in one word with it.

    >>> list(join_corner(["--regions", "corner:top-left", "owl", "--regions", "owl"]))
    ['--regions=corner:top-left', 'owl', '--regions=all', 'owl']
    """
    end = list(args).index("--") if "--" in args else len(args)
    taken = False
    for place, each in enumerate(args):
        following = args[place + 1] if place + 1 < end else ""
        is_corner = following.partition(":")[0].partition("=")[0] == CORNER_MARK
        if taken:
            taken = False
        elif each == "--regions" and place < end:
            taken = is_corner
            yield f"--regions={following if is_corner else ALL_REGIONS}"
        else:
            yield each


RULES = (
    CommandMode(
        "--list",
        (
            *("--where", "--limit", "--newest", "--after", "--json", "-0", "--property", "--vectors", "--thumbnails"),
            *("--no-thumbnails", "--collection", "--tenant", "--consistency", *WEAVIATE_OPTIONS, *VECTORIZER_OPTIONS),
        ),
        "it lists images without a search",
    ),
    SpecialCase("--thumbnails", prints_no_thumbnails, "works with --list only in JSON; add --json, or remove it"),
    CommandMode("--saved", ("--searches", *TAKES), "the saved search has a query, filters and a collection of its own"),
    Requirement("--searches", ("--saved",)),
    Requirement("--similar-strings", ("TEXT",), "it compares strings with TEXT"),
    CommandMode(
        "--similar-strings",
        ("TEXT", "--limit", "--json"),
        "it compares TEXT with the lines of a file, without a database",
        when=compares_file,
    ),
    CommandMode(
        "--similar-strings",
        ("TEXT", "--limit", "--json", "--collection", "--tenant", *WEAVIATE_OPTIONS),
        "it compares TEXT with strings, not with images",
    ),
    Requirement("--plain", ("TEXT",), "it turns off + - * in TEXT"),
    Requirement("--allow-address", ("--image",), "it is about images at an address"),
    Requirement("--force", ("--move-to", "--move-away")),
    Requirement("--captions", ("TEXT", "--plus"), "captions are searched by words"),
    Requirement("--per-group", ("--group-by",)),
    Requirement("--after", ("--list",)),
    Requirement("--newest", ("--list",)),
    Exclusion("--newest", ("--after",), "only the order of all images goes on after one of them"),
    Exclusion("--json", ("-0", "--html", "--explain"), "a run has one output"),
    Exclusion("-0", ("--html", "--explain"), "a run has one output"),
    Exclusion("--html", ("--explain",), "a run has one output"),
    Exclusion("-0", ("--property", "--thumbnails"), "it prints only paths; --json prints both"),
    Requirement("--vectors", ("--json",), "a table has no room for them"),
    Exclusion(
        "--regions",
        ("--captions", "--diversity", "--auto-limit", "--dedupe", "--group-by"),
        "images with regions are ranked by similarity alone",
    ),
    Exclusion("--group-by", ("--offset", "--auto-limit", "--diversity"), "groups start at the nearest image"),
)


@click.command("clip-search", cls=SearchCommand, rules=RULES, help=HELP)
@click.argument("text", nargs=-1)
@search_options
@collection_options
def main(**values: Any) -> None:
    from clip_vectorizer.query.cli.search_actions import run  # imports weaviate-client, which takes a second

    run(*expand(values))


def expand(values: Values) -> "tuple[Values, SavedSearch | None]":
    """Return the parameters with a saved search in place of --saved, and that search."""
    if values["saved"] is None:
        return values, None
    from clip_vectorizer.query.cli.saved import expand_saved  # imports numpy

    return expand_saved(values, main.params, TAKES, lambda words: main.make_context("clip-search", words).params)
