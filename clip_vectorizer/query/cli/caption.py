"""The command `clip-caption`: its options, which of them work together, its help."""

from collections.abc import Callable
from typing import Any

import click

from clip_vectorizer.cli_common import Exclusion, GroupedCommand, Values, combine_options, grouped_option
from clip_vectorizer.query.choices import (
    CAPTION_LABELS,
    CAPTION_LEAST,
    CAPTION_MODEL,
    CAPTION_NEIGHBOURS,
    CAPTION_REGIONS,
    CAPTION_WAYS,
    PROMPT_SETS,
)
from clip_vectorizer.query.cli.connection import collection_options

HELP = """Write captions for the stored images, which word searches then find.

\b
Examples:
  clip-caption --by labels --labels "cat,dog,red apple" --limit 20
  clip-caption --by labels --label-set things --top 3
  clip-caption --by neighbours --top 5
  clip-caption --by regions --label-set things
  clip-caption --by model --where label=fruit
  clip-search "a red apple" --captions 0.5

\b
labels      the names of the nearest labels
neighbours  the caption of the nearest images that have one
regions     "a cat and a red apple": the labels of parts of the picture,
            which clip-ingest --regions stores
model       a sentence by the captioner of the sidecar
            (clip-vectorizer serve --captioner NAME)

A caption goes to `predicted_caption`, and what wrote it to `caption_by`. An image with a caption of its own gets none.
A run that was interrupted continues where it ended.

\b
Exit codes: 0 done; 1 fatal; 2 usage; 3 some images got no caption
(each is named on stderr); 4 Weaviate or its sidecar unreachable;
5 another model made the collection or the label set; 130 interrupted
"""

WAY_GROUP, IMAGE_GROUP, OUTPUT = "Way", "Which images", "Output"

caption_options = combine_options(
    (
        grouped_option(
            WAY_GROUP, "--by", required=True, type=click.Choice(CAPTION_WAYS), help="Where the words come from."
        ),
        grouped_option(
            WAY_GROUP,
            "--labels",
            multiple=True,
            metavar="A,B,...|@FILE",
            help='Names separated by commas ("in quotes, too"), or a file with one name per line. Repeatable.',
        ),
        grouped_option(
            WAY_GROUP,
            "--label-set",
            metavar="NAME",
            help="A set stored in the database; with --labels it is created or extended.",
        ),
        grouped_option(
            WAY_GROUP,
            "--prompts",
            metavar="NAME|@FILE",
            show_default="by the label's language and the model",
            help=f"Prompt templates: {', '.join(PROMPT_SETS)}, or a file with one per line; {{}} is the label.",
        ),
        grouped_option(
            WAY_GROUP,
            "--top",
            type=click.IntRange(1, 100),
            metavar="N",
            default=1,
            show_default=True,
            help="Labels of a caption; or neighbours, of whose captions the most typical one is taken.",
        ),
        grouped_option(
            WAY_GROUP,
            "--least",
            type=click.FloatRange(0, 1),
            metavar="P",
            default=CAPTION_LEAST,
            show_default=True,
            help="Least probability of a thing in a region.",
        ),
        grouped_option(
            WAY_GROUP,
            "--batch",
            type=click.IntRange(1, 256),
            metavar="N",
            show_default="4",
            help="Images of one request to the captioner.",
        ),
        grouped_option(
            IMAGE_GROUP, "--where", multiple=True, metavar="EXPR", help="Only matching images, such as label=fruit."
        ),
        grouped_option(IMAGE_GROUP, "--limit", type=click.IntRange(1), metavar="N", help="Caption N images at most."),
        grouped_option(
            IMAGE_GROUP, "--redo", is_flag=True, help="Also those that an earlier run of the same way captioned."
        ),
        grouped_option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object per line."),
    )
)


def is_way(*ways: str) -> Callable[[Values], bool]:
    def decide(values: Values) -> bool:
        return values["by"] in ways

    return decide


RULES = (
    Exclusion(
        "--by",
        ("--labels", "--label-set", "--prompts"),
        "its words come from elsewhere",
        when=is_way(CAPTION_NEIGHBOURS, CAPTION_MODEL),
    ),
    Exclusion(
        "--by",
        ("--top",),
        "it takes one label of each region, or a sentence",
        when=is_way(CAPTION_REGIONS, CAPTION_MODEL),
    ),
    Exclusion(
        "--by",
        ("--least",),
        "it looks at whole pictures",
        when=is_way(CAPTION_LABELS, CAPTION_NEIGHBOURS, CAPTION_MODEL),
    ),
    Exclusion(
        "--by",
        ("--batch",),
        "it uses no captioner",
        when=is_way(CAPTION_LABELS, CAPTION_NEIGHBOURS, CAPTION_REGIONS),
    ),
)


@click.command("clip-caption", cls=GroupedCommand, rules=RULES, help=HELP)
@caption_options
@collection_options
def main(**values: Any) -> None:
    from clip_vectorizer.query.cli.caption_actions import run  # imports weaviate-client, which takes a second

    run(values)
