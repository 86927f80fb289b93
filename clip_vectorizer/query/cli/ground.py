"""The command `clip-ground`: its options, which of them work together, its help."""

from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import (
    Exclusion,
    GroupedCommand,
    SpecialCase,
    Values,
    combine_options,
    grouped_option,
)
from clip_vectorizer.common_options import ALLOW_ADDRESS, ALLOW_ADDRESS_ATTRIBUTES, WEAVIATE_OPTIONS
from clip_vectorizer.query.choices import GROUND_NMS, GROUND_THRESHOLD, GROUND_TOP, PROMPT_SETS
from clip_vectorizer.query.cli.connection import collection_options

HELP = """Find where in IMAGE the things are that SENTENCE names, or that they are not in it.

\b
Examples:
  clip-ground scene.png "a cat next to a red apple"
  clip-ground scene.png 桌子上有两只猫吗 --png found.png
  clip-ground scene.png "how many birds are there?" --json
  clip-ground scene.png --phrases "cat,red apple" --html found.html
  clip-ground scene.png "cat . red apple . owl" --exclusive --coco found.json
  clip-ground fruit/lemon.png "a lemon" --stored

IMAGE is a file or an address, which the sidecar looks through; or the path or id of an image of the collection, whose
stored regions (clip-ingest --regions) are compared. Where both have the name, it is the file; --stored takes the other.
The noun phrases of SENTENCE are grounded, English or Chinese; full stops between spaces separate phrases as they are.

\b
Exit codes: 0 done, also when nothing is in the picture; 1 fatal; 2 usage;
4 Weaviate or its sidecar unreachable; 5 another model made the collection
"""

PHRASE_GROUP, IMAGE_GROUP, BOX_GROUP, OUTPUT = "Phrases", "Which image", "Boxes", "Output"
SHARE = click.FloatRange(0, 1)
OUTPUT_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)

ground_options = combine_options(
    (
        grouped_option(
            PHRASE_GROUP,
            "--phrases",
            multiple=True,
            metavar="A,B,...",
            help='What to look for, instead of the noun phrases of SENTENCE ("in quotes, too"). Repeatable.',
        ),
        grouped_option(
            PHRASE_GROUP,
            "--prompts",
            metavar="NAME|@FILE",
            show_default="by the phrase's language and the model",
            help=f"Prompt templates: {', '.join(PROMPT_SETS)}, or a file with one per line; {{}} is the phrase.",
        ),
        grouped_option(
            PHRASE_GROUP, "--template", "templates", multiple=True, help="A template of your own, with {}. Repeatable."
        ),
        grouped_option(IMAGE_GROUP, "--stored", is_flag=True, help="IMAGE is in the collection, not a file."),
        grouped_option(IMAGE_GROUP, *ALLOW_ADDRESS, **ALLOW_ADDRESS_ATTRIBUTES),
        grouped_option(
            BOX_GROUP,
            "--threshold",
            type=SHARE,
            default=GROUND_THRESHOLD,
            metavar="PROBABILITY",
            show_default=True,
            help="Least probability of a box.",
        ),
        grouped_option(
            BOX_GROUP,
            "--nms",
            type=SHARE,
            default=GROUND_NMS,
            metavar="IOU",
            show_default=True,
            help="Two boxes of a phrase that overlap by more are one.",
        ),
        grouped_option(
            BOX_GROUP,
            "--top",
            type=click.IntRange(1),
            default=GROUND_TOP,
            metavar="N",
            show_default=True,
            help="Most boxes of a phrase.",
        ),
        grouped_option(
            BOX_GROUP, "--exclusive", is_flag=True, help="A place goes only to the phrase that fits it best."
        ),
        grouped_option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object per phrase."),
        grouped_option(OUTPUT, "--coco", type=OUTPUT_FILE, metavar="FILE", help="Write COCO detection JSON."),
        grouped_option(
            OUTPUT, "--png", type=OUTPUT_FILE, metavar="FILE", help="Write the picture with labelled boxes."
        ),
        grouped_option(
            OUTPUT, "--html", type=OUTPUT_FILE, metavar="FILE", help="Write both as one self-contained page."
        ),
    )
)


def is_stored(values: Values) -> bool:
    from clip_vectorizer.query.grounding.image_names import find_stored_key

    return find_stored_key(values["image"], values["stored"]) is not None


def is_file(values: Values) -> bool:
    return not is_stored(values)


RULES = (
    Exclusion("--prompts", ("--template",), "both name the templates"),
    Exclusion(
        "IMAGE",
        ("--collection", "--tenant", "--consistency", *WEAVIATE_OPTIONS),
        "it is a file, and no stored image is read; --stored reads one",
        when=is_file,
    ),
    SpecialCase("--allow-address", is_stored, "is about images at an address, and IMAGE is none; remove it"),
)


@click.command("clip-ground", cls=GroupedCommand, rules=RULES, help=HELP)
@click.argument("image")
@click.argument("sentence", nargs=-1)
@ground_options
@collection_options
def main(**values: Any) -> None:
    from clip_vectorizer.query.cli.ground_actions import run  # imports numpy and Pillow

    run(values)
