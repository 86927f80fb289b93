"""The command `clip-classify`: its options, which of them work together, its help."""

from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import (
    Exclusion,
    GroupedCommand,
    Requirement,
    SpecialCase,
    Values,
    combine_options,
    grouped_option,
)
from clip_vectorizer.common_options import ALLOW_ADDRESS, ALLOW_ADDRESS_ATTRIBUTES
from clip_vectorizer.query.choices import AUTO, DEFAULT_SHOTS, IMAGES, LABELS, PROBE_SUFFIX, PROMPT_SETS, STRATEGIES
from clip_vectorizer.query.cli.connection import collection_options

HELP = """Classify images by the labels that you name: FILES, the hits of --query, or the whole collection.

\b
Examples:
  clip-classify --labels "mango,red apple,dog" examples/images/fruit/*.png
  clip-classify --labels 苹果,狗,汽车 --limit 5
  clip-classify --labels cat,dog --template "a drawing of a {}" --json
  clip-classify --labels "crane: a machine / a wading bird,bat: a mammal"
  clip-classify --labels cat,dog --prompts photo-80
  clip-classify --labels animal,food,tool --label-set things --save
  clip-classify --label-set things --query "something red" --limit 50
  clip-classify --labels cat,dog,horse --where label=animals --other 0.3
  clip-classify --linear-probe kinds.npz examples/images/fruit/*.png

No training: each label is put into several prompts, their vectors are averaged, and the nearest label wins.

\b
Exit codes: 0 done; 1 fatal; 2 usage; 3 some images could not be classified
(each is named on stderr); 4 Weaviate or its sidecar unreachable;
5 another model made the collection or the label set; 130 interrupted
"""

LABEL_GROUP, IMAGE_GROUP, METHOD_GROUP, OUTPUT = "Labels", "Which images", "Method", "Output"

classify_options = combine_options(
    (
        grouped_option(
            LABEL_GROUP,
            "--labels",
            multiple=True,
            metavar="A,B,...|@FILE",
            help='Names separated by commas ("in quotes, too"), or a file with one name per line. Repeatable. '
            '"crane: a construction crane / a wading bird" is one name with two descriptions.',
        ),
        grouped_option(
            LABEL_GROUP,
            "--label-set",
            metavar="NAME",
            help="A set stored in the database; with --labels it is created or extended.",
        ),
        grouped_option(
            LABEL_GROUP,
            "--prompts",
            metavar="NAME|@FILE",
            show_default="by the label's language and the model",
            help=f"Prompt templates: {', '.join(PROMPT_SETS)}, or a file with one per line; {{}} is the label.",
        ),
        grouped_option(
            LABEL_GROUP, "--template", "templates", multiple=True, help="A template of your own, with {}. Repeatable."
        ),
        grouped_option(IMAGE_GROUP, "--query", metavar="TEXT", help="Classify the hits of this search."),
        grouped_option(
            IMAGE_GROUP, "--where", multiple=True, metavar="EXPR", help="Only matching images, such as label=fruit."
        ),
        grouped_option(
            IMAGE_GROUP,
            "--limit",
            type=click.IntRange(1),
            metavar="N",
            show_default="all; --query: 10",
            help="Only the first N images.",
        ),
        grouped_option(IMAGE_GROUP, *ALLOW_ADDRESS, **ALLOW_ADDRESS_ATTRIBUTES),
        grouped_option(
            METHOD_GROUP,
            "--strategy",
            metavar="NAME",
            default=AUTO,
            show_default=True,
            help=f"Where similarities are computed: {', '.join(STRATEGIES)}. All give the same labels.",
        ),
        grouped_option(
            METHOD_GROUP, "--few-shot", metavar="PROPERTY", help="Also compare with images labelled by PROPERTY."
        ),
        grouped_option(
            METHOD_GROUP,
            "--linear-probe",
            metavar="PROPERTY|FILE.npz",
            help="Logistic regression on the same images, or one that `clip-vectorizer train linear-probe` wrote.",
        ),
        grouped_option(
            METHOD_GROUP,
            "--shots",
            type=click.IntRange(1),
            default=DEFAULT_SHOTS,
            metavar="N",
            show_default=True,
            help="Images of each label for --few-shot and --linear-probe.",
        ),
        grouped_option(
            METHOD_GROUP, "--remove-means", is_flag=True, help="Subtract the mean image and the mean label first."
        ),
        grouped_option(
            METHOD_GROUP,
            "--other",
            metavar="THRESHOLD",
            help="Label an image `other` if its best cosine (SigLIP, or with shots: its best score) is below.",
        ),
        grouped_option(
            METHOD_GROUP,
            "--other-from",
            metavar="FOLDER",
            type=click.Path(path_type=Path),
            help="Choose that threshold by FOLDER's images: subfolders named by a label, or by anything else.",
        ),
        grouped_option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object per line."),
        grouped_option(
            OUTPUT, "--save", is_flag=True, help="Store each result with its image: predicted_label and so on."
        ),
    )
)


def uses_probe_file(values: Values) -> bool:
    return str(values["linear_probe"] or "").endswith(PROBE_SUFFIX)


def needs_no_collection(values: Values) -> bool:
    fits_probe = values["linear_probe"] and not uses_probe_file(values)
    return not (values["few_shot"] or fits_probe or values["remove_means"])


def compares_in_database(values: Values) -> bool:
    return values["strategy"] in (IMAGES, LABELS)


def compares_files_in_database(values: Values) -> bool:
    return bool(values["files"]) and values["strategy"] == LABELS


RULES = (
    Exclusion("--prompts", ("--template",), "both name the templates"),
    Exclusion("FILES", ("--query", "--where", "--save"), "these are about stored images"),
    Exclusion(
        "FILES", ("--collection", "--tenant", "--consistency"), "no stored image is read", when=needs_no_collection
    ),
    SpecialCase("--strategy", compares_files_in_database, "labels searches stored images; remove it to classify FILES"),
    Exclusion(
        "--strategy",
        ("--few-shot", "--linear-probe", "--remove-means"),
        "the database computes only plain cosines",
        when=compares_in_database,
    ),
    Exclusion("--few-shot", ("--linear-probe", "--remove-means"), "a run uses one of these methods"),
    Exclusion("--linear-probe", ("--remove-means",), "a run uses one of these methods"),
    Requirement("--allow-address", ("FILES",), "it is about images at an address"),
    Requirement("--shots", ("--few-shot", "--linear-probe")),
    Exclusion(
        "--linear-probe",
        ("--labels", "--label-set", "--prompts", "--template", "--shots"),
        "a probe in a file has its own labels and needs no prompts",
        when=uses_probe_file,
    ),
    Exclusion("--other", ("--other-from",), "both set the threshold"),
)


@click.command("clip-classify", cls=GroupedCommand, rules=RULES, help=HELP)
@click.argument("files", nargs=-1, type=click.Path())
@classify_options
@collection_options
def main(**values: Any) -> None:
    from clip_vectorizer.query.cli.classify_actions import run  # imports weaviate-client, which takes a second

    run(values)
