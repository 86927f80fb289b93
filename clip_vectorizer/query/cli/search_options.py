"""The options of `clip-search`."""

from pathlib import Path

import click

from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.query.cli.common import combine_options, grouped_option

WHAT, WHICH, HOW = "What to look for (all of it together)", "Which images", "In what order"
OUTPUT, INSTEAD = "Output", "Instead of a search"
SHARE = click.FloatRange(0, 1)

search_options = combine_options(
    (
        grouped_option(
            WHAT, "--image", "images", multiple=True, metavar="FILE|URL|-", help="An image. May be repeated."
        ),
        grouped_option(WHAT, "--like", multiple=True, metavar="PATH|ID", help="An image that is in the collection."),
        grouped_option(
            WHAT, "--vector", "vectors_of", multiple=True, metavar="FILE.npy", help="A vector, as numpy saves it."
        ),
        grouped_option(WHAT, "--plus", multiple=True, metavar="TEXT", help="A text more. May be repeated."),
        grouped_option(WHAT, "--minus", multiple=True, metavar="TEXT", help="What is taken away. May be repeated."),
        grouped_option(WHAT, "--plain", is_flag=True, help="TEXT is one text, whatever + - * it holds."),
        grouped_option(WHAT, "--move-to", metavar="TEXT", help="Moves the search towards this, as nearText's moveTo."),
        grouped_option(WHAT, "--move-away", metavar="TEXT", help="Away from this, as nearText's moveAwayFrom."),
        grouped_option(WHAT, "--force", type=click.FloatRange(0), help="How far it is moved.  [default: 0.5]"),
        grouped_option(
            WHICH,
            "--where",
            multiple=True,
            metavar="EXPR",
            help="label=fruit, label=fruit|birds, price<=9.5, taken_at>=2024-01-01, path~*.png, camera?, !camera?. "
            "Repeated: all must hold.",
        ),
        grouped_option(
            WHICH, "--min-similarity", type=click.FloatRange(-1, 1), help="Only images at least so near (cosine)."
        ),
        grouped_option(
            WHICH, "--auto-limit", type=click.IntRange(1), metavar="N", help="End at the Nth jump of the distance."
        ),
        grouped_option(
            WHICH,
            "--limit",
            type=click.IntRange(1, MAX_RESULTS),
            default=10,
            show_default=True,
            help="Images, or groups.",
        ),
        grouped_option(
            WHICH, "--offset", type=click.IntRange(0), default=0, metavar="N", help="Leave out the first N."
        ),
        grouped_option(WHICH, "--fold", is_flag=True, help="Equal images count as one, which names its copies."),
        grouped_option(
            HOW,
            "--diversity",
            type=SHARE,
            help="0: only nearness counts, 1: only being unlike those above (MMR).",
        ),
        grouped_option(
            HOW,
            "--captions",
            type=SHARE,
            metavar="SHARE",
            help="A search of the captions' words counts so much beside the images (hybrid search).",
        ),
        grouped_option(
            HOW, "--group-by", metavar="PROPERTY", help="--limit groups, one a value, each with its best images."
        ),
        grouped_option(HOW, "--per-group", type=click.IntRange(1, MAX_RESULTS), help="Images a group.  [default: 3]"),
        grouped_option(OUTPUT, "--json", "as_json", is_flag=True, help="One JSON object a line."),
        grouped_option(OUTPUT, "-0", "--null", "nul", is_flag=True, help="Paths, each ended by NUL, for xargs -0."),
        grouped_option(
            OUTPUT,
            "--html",
            type=click.Path(dir_okay=False, writable=True, allow_dash=True, path_type=Path),
            metavar="FILE|-",
            help="A contact sheet: one page that holds everything.",
        ),
        grouped_option(OUTPUT, "--explain", is_flag=True, help="Show what Weaviate and the sidecar are asked."),
        grouped_option(
            OUTPUT, "--property", "properties", multiple=True, metavar="NAME", help="Show it too. May be repeated."
        ),
        grouped_option(OUTPUT, "--vectors", is_flag=True, help="With --json: the vectors too."),
        grouped_option(
            OUTPUT,
            "--thumbnails/--no-thumbnails",
            default=None,
            help="[default: in a terminal that can show them, and in --html]",
        ),
        grouped_option(
            INSTEAD,
            "--everything",
            is_flag=True,
            help="All images that there are, or that --where lets through, in an order that stays.",
        ),
        grouped_option(INSTEAD, "--after", metavar="ID", help="With --everything: go on after this image."),
        grouped_option(
            INSTEAD,
            "--similar-strings",
            metavar="FILE|-|PROPERTY:NAME",
            help="The lines of FILE, or a property's values, by least edit distance to TEXT.",
        ),
    )
)
consistency_option = click.option(
    "--consistency",
    type=click.Choice(["ONE", "QUORUM", "ALL"], case_sensitive=False),
    show_default="Weaviate's",
    help="How many replicas must answer.",
)
