"""The options of `clip-classify`, in the groups in which --help lists them."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.boosts import DEFAULT_SHOTS
from clip_vectorizer.query.cli.common import combine_options, grouped_option
from clip_vectorizer.query.prompts import PROMPTS, read_lines
from clip_vectorizer.query.zeroshot.comparison import AUTO, STRATEGIES

FILE_MARK = "@"
# A name in quotes, or whatever is before the next comma; two of them are Chinese.
LABEL_NAME = re.compile('\\s*"([^"]*)"\\s*(?=[,\uff0c\u3001]|$)|[^,\uff0c\u3001]*')
TABLE_SEPARATORS = {".csv": ",", ".tsv": "\t"}
LABELS, IMAGES, HOW, RESULTS = "What to choose from", "Which images", "How it is decided", "What comes out"

classify_options = combine_options(
    (
        grouped_option(
            LABELS,
            "--labels",
            multiple=True,
            metavar="A,B,...|@FILE",
            help='Names with commas between ("in quotes, too"), or a file of one name a line. May be repeated. '
            '"crane: a construction crane / a wading bird" is one name with two descriptions.',
        ),
        grouped_option(
            LABELS, "--label-set", metavar="NAME", help="A set kept in the database; --labels makes or adds to it."
        ),
        grouped_option(
            LABELS,
            "--prompts",
            metavar="NAME|@FILE",
            help=f"Prompt templates: {', '.join(PROMPTS)}, or a file of one a line, with {{}} for the label.  "
            "[default: by the label's language and the model]",
        ),
        grouped_option(
            LABELS, "--template", "templates", multiple=True, help="One of your own, with {}. May be repeated."
        ),
        grouped_option(IMAGES, "--query", metavar="TEXT", help="What this search finds, --limit of it."),
        grouped_option(IMAGES, "--where", multiple=True, metavar="EXPR", help="Only images like this: label=fruit."),
        grouped_option(IMAGES, "--limit", type=click.IntRange(1), help="Only the first so many.  [of --query: 10]"),
        grouped_option(
            HOW,
            "--strategy",
            metavar="NAME",
            default=AUTO,
            show_default=True,
            help=f"{', '.join(STRATEGIES)}: who compares; all give the same labels.",
        ),
        grouped_option(
            HOW, "--few-shot", metavar="PROPERTY", help="Images whose property is a label vote beside its text."
        ),
        grouped_option(HOW, "--linear-probe", metavar="PROPERTY", help="Logistic regression on the same images."),
        grouped_option(
            HOW,
            "--shots",
            type=click.IntRange(1),
            default=DEFAULT_SHOTS,
            show_default=True,
            help="How many of each label, for --few-shot and --linear-probe.",
        ),
        grouped_option(
            HOW, "--remove-means", is_flag=True, help="Take off what all images, and all labels, have in common."
        ),
        grouped_option(
            HOW,
            "--other",
            metavar="[THRESHOLD]",
            is_flag=False,
            flag_value="",
            help="An image whose best cosine (with shots: best score) is below shows none of the labels.",
        ),
        grouped_option(
            HOW,
            "--other-from",
            metavar="FOLDER",
            type=click.Path(path_type=Path),
            help="Choose that threshold on its images: in folders named by a label or by anything else.",
        ),
        grouped_option(RESULTS, "--json", "as_json", is_flag=True, help="One JSON object a line."),
        grouped_option(
            RESULTS, "--write", is_flag=True, help="Keep each result with its image: predicted_label and so on."
        ),
    )
)


def parse_all_labels(options: Sequence[str]) -> list[str]:
    """All labels of all `--labels`: comma-separated, or the lines of a file. Raises InputError."""
    return [label for given in options for label in parse_labels(given)]


def parse_labels(given: str) -> list[str]:
    if not given.startswith(FILE_MARK):
        return split_names(given)
    file = Path(given.removeprefix(FILE_MARK))
    lines = read_lines(file, f"--labels {given}", "one label a line")
    separator = TABLE_SEPARATORS.get(file.suffix.lower())
    if separator and any(separator in line for line in lines):
        raise InputError(f"--labels {given} is a table of several columns; name a text file with one label a line")
    return lines


def split_names(listed: str) -> list[str]:
    names, at = [], 0
    while at <= len(listed) and (found := LABEL_NAME.match(listed, at)):
        names.append(found[0] if found[1] is None else found[1])
        at = found.end() + 1
    return names
