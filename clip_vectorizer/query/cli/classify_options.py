"""The options of `clip-classify`, in the groups in which --help lists them."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapting.boosts import SHOTS
from clip_vectorizer.query.cli.options import all_of, option
from clip_vectorizer.query.prompt_sets import lines_of
from clip_vectorizer.query.prompts import PROMPTS
from clip_vectorizer.query.zeroshot.planning import AUTO, STRATEGIES

LABELS_FROM_FILE = "@"
# A name in quotes, or whatever is before the next comma; two of them are Chinese.
NAME = re.compile('\\s*"([^"]*)"\\s*(?=[,\uff0c\u3001]|$)|[^,\uff0c\u3001]*')
TABLES = {".csv": ",", ".tsv": "\t"}
LABELS, IMAGES, HOW, RESULTS = "What to choose from", "Which images", "How it is decided", "What comes out"

classify_options = all_of(
    (
        option(
            LABELS,
            "--labels",
            multiple=True,
            metavar="A,B,...|@FILE",
            help='Names with commas between ("in quotes, too"), or a file of one name a line. May be repeated. '
            '"crane: a construction crane / a wading bird" is one name with two descriptions.',
        ),
        option(LABELS, "--label-set", metavar="NAME", help="A set kept in the database; --labels makes or adds to it."),
        option(
            LABELS,
            "--prompts",
            metavar="NAME|@FILE",
            help=f"Prompt templates: {', '.join(PROMPTS)}, or a file of one a line, with {{}} for the label.  "
            "[default: by the label's language and the model]",
        ),
        option(LABELS, "--template", "templates", multiple=True, help="One of your own, with {}. May be repeated."),
        option(IMAGES, "--query", metavar="TEXT", help="What this search finds, --limit of it."),
        option(IMAGES, "--where", multiple=True, metavar="EXPR", help="Only images like this: label=fruit."),
        option(IMAGES, "--limit", type=click.IntRange(1), help="Only the first so many.  [of --query: 10]"),
        option(
            HOW,
            "--strategy",
            metavar="NAME",
            default=AUTO,
            show_default=True,
            help=f"{', '.join(STRATEGIES)}: who compares; all give the same labels.",
        ),
        option(HOW, "--few-shot", metavar="PROPERTY", help="Images whose property is a label vote beside its text."),
        option(HOW, "--linear-probe", metavar="PROPERTY", help="Logistic regression on the same images."),
        option(
            HOW,
            "--shots",
            type=click.IntRange(1),
            default=SHOTS,
            show_default=True,
            help="How many of each label, for --few-shot and --linear-probe.",
        ),
        option(HOW, "--remove-means", is_flag=True, help="Take off what all images, and all labels, have in common."),
        option(
            HOW,
            "--other",
            metavar="[THRESHOLD]",
            is_flag=False,
            flag_value="",
            help="An image whose best cosine (with shots: best score) is below shows none of the labels.",
        ),
        option(
            HOW,
            "--other-from",
            metavar="FOLDER",
            type=click.Path(path_type=Path),
            help="Choose that threshold on its images: in folders named by a label or by anything else.",
        ),
        option(RESULTS, "--json", "as_json", is_flag=True, help="One JSON object a line."),
        option(RESULTS, "--write", is_flag=True, help="Keep each result with its image: predicted_label and so on."),
    )
)


def labels_from(options: Sequence[str]) -> list[str]:
    """All labels of all `--labels`: comma-separated, or the lines of a file. Raises InputError."""
    return [label for given in options for label in labels_of(given)]


def labels_of(given: str) -> list[str]:
    if not given.startswith(LABELS_FROM_FILE):
        return names_in(given)
    file = Path(given.removeprefix(LABELS_FROM_FILE))
    lines = lines_of(file, f"--labels {given}", "one label a line")
    separator = TABLES.get(file.suffix.lower())
    if separator and any(separator in line for line in lines):
        raise InputError(f"--labels {given} is a table of several columns; name a text file with one label a line")
    return lines


def names_in(listed: str) -> list[str]:
    names, at = [], 0
    while at <= len(listed) and (found := NAME.match(listed, at)):
        names.append(found[0] if found[1] is None else found[1])
        at = found.end() + 1
    return names
