"""The command `clip-eval`: `run` is what it does without the name of another of its commands."""

from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import Exclusion, ExitCodeCommand, Requirement, SpecialCase, Values
from clip_vectorizer.common_options import (
    WEAVIATE_OPTIONS,
    collection_option,
    json_option,
    tenant_option,
    vectorizer_key_option,
    weaviate_options,
)
from clip_vectorizer.defaults import MEASURED_QUANTIZERS, MIN_INDEX_CANDIDATES, RESCORED_CANDIDATES
from clip_vectorizer.query.choices import DIGITS, LIMIT_LANGUAGES, LIMIT_TASKS, MAX_DRAWINGS, MIN_VECTORS
from clip_vectorizer.query.cli.connection import service_options

RUN = "run"
PAGES, PAGES_OPTION = "pages", "--pages"


class RunByDefault(click.Group):
    """`clip-eval FOLDER` is `clip-eval run FOLDER`, and `clip-eval --pages CORPUS` is `clip-eval pages CORPUS`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] == PAGES_OPTION:
            args = [PAGES, *args[1:]]
        elif args and args[0] not in self.commands and args[0] != "--help":
            args = [RUN, *args]
        return super().parse_args(ctx, args)


@click.group("clip-eval", cls=RunByDefault)
def main() -> None:
    """Measure one model, its limits, two models compared, models on pages of drawings, or Weaviate's vector index.

    \b
    Examples:
      clip-eval examples/images
      clip-eval examples/images --report out
      clip-eval --collection Image --json
      clip-eval --pages corpus emoji

    Without the name of a command, `clip-eval ...` is `clip-eval run ...`, and `--pages` is the command `pages`.
    """


RUN_RULES = (
    Exclusion("FOLDER", ("--collection",), "either a folder or a collection is evaluated"),
    Exclusion("FOLDER", ("--tenant", *WEAVIATE_OPTIONS), "the images of a folder need no database"),
    Requirement("--tenant", ("--collection",)),
)


@main.command(RUN, cls=ExitCodeCommand, rules=RUN_RULES, short_help="Evaluate one model on a folder or collection.")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--collection", metavar="NAME", help="Evaluate the images of a collection instead, by their label.")
@click.option("--all", "whole", is_flag=True, help="Also the tables that need very many texts.")
@click.option(
    "--class-names",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Lines such as `animals · 动物`: names of the folders in more languages.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FOLDER", help="Write plots and an index.html into FOLDER."
)
@json_option
@tenant_option
@service_options
def run(**values: Any) -> None:
    """Evaluate the sidecar's model on FOLDER, where each subfolder of images is a class, or on a collection.

    \b
    Examples:
      clip-eval run examples/images
      clip-eval run examples/images --class-names examples/class-names.txt --all
      clip-eval run --collection Image --report out --json

    Tables: zero-shot classification by prompts and language, each class, the confusion matrix, few-shot, and search by
    caption (photo.txt next to photo.jpg; `cat · 猫` is a caption in two languages). Figures in brackets are 95 %
    intervals. Exit code 3: some images could not be read; each is named on stderr.
    """
    if values["folder"] is None and values["collection"] is None:
        raise click.UsageError("nothing to evaluate; add a FOLDER with a subfolder per class, or --collection NAME")
    from clip_vectorizer.query.cli.evaluate_actions import run_evaluation  # imports weaviate-client and numpy

    run_evaluation(values)


def starts_both_sidecars(values: Values) -> bool:
    return not any(is_url(values[side]) for side in ("first", "second"))


def is_url(model: str) -> bool:
    return model.startswith(("http://", "https://"))


COMPARE_RULES = (
    SpecialCase(
        "--vectorizer-api-key",
        starts_both_sidecars,
        "is for a sidecar that already runs, and both models start one of their own; remove it",
    ),
)


@main.command("compare", cls=ExitCodeCommand, rules=COMPARE_RULES, short_help="Compare two models.")
@click.argument("first")
@click.argument("second")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@vectorizer_key_option
def compare(**values: Any) -> None:
    """Test whether two models differ on the images of FOLDER by more than chance.

    \b
    Examples:
      clip-eval compare emoji ViT-B-32::openai examples/images
      clip-eval compare http://localhost:9090 http://localhost:9191 examples/images --json

    FIRST (A) and SECOND (B) are addresses of running sidecars, or models as `clip-vectorizer serve --model` takes them,
    each served by a sidecar that ends with this command. Differences are first minus second; interval and p come from a
    paired bootstrap, 10,000 resamples of the images with a fixed seed. Each model uses seven prompts that suit it. Exit
    code 3: some images could not be read.
    """
    from clip_vectorizer.query.cli.evaluate_actions import run_comparison

    run_comparison(values)


def starts_sidecar(values: Values) -> bool:
    return not is_url(values["model"])


def needs_no_folder(values: Values) -> bool:
    return set(values["tasks"]) == {DIGITS}


LIMITS_RULES = (
    SpecialCase(
        "--vectorizer-api-key",
        starts_sidecar,
        "is for a sidecar that already runs, and the model starts one of its own; remove it",
    ),
    SpecialCase("FOLDER", needs_no_folder, "is not used: the digits come with scikit-learn; remove it"),
    SpecialCase("--images", needs_no_folder, "is about the images of a folder, and digits need none; remove it"),
)


@main.command("limits", cls=ExitCodeCommand, rules=LIMITS_RULES, short_help="Measure what a model cannot do.")
@click.argument("model")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(LIMIT_TASKS),
    show_default="all that are possible",
    help="Task to measure. Repeatable.",
)
@click.option(
    "--language", type=click.Choice(LIMIT_LANGUAGES), default="en", show_default=True, help="Language of the captions."
)
@click.option(
    "--images",
    "most",
    type=click.IntRange(1),
    default=MAX_DRAWINGS,
    metavar="N",
    show_default=True,
    help="Use at most N images of FOLDER, drawn at random with a fixed seed.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FOLDER", help="Write plots and an index.html into FOLDER."
)
@json_option
@vectorizer_key_option
def limits(**values: Any) -> None:
    """Measure counting, places, look-alikes, wording and digits, each beside chance.

    \b
    Examples:
      clip-eval limits emoji examples/images
      clip-eval limits http://localhost:9090 examples/images --report out
      clip-eval limits ViT-B-32::openai --task digits --json

    MODEL is the address of a running sidecar, or a model as `clip-vectorizer serve --model` takes it. FOLDER has a
    subfolder per kind of thing, and captions that are names: `cat`, or `cat · 猫`, in photo.txt next to photo.jpg.
    Scenes are composed from its images: 1 to 5 copies of one, and two side by side. Look-alikes are images of one
    subfolder whose names share a word. Digits come with scikit-learn and need no FOLDER. Exit code 3: some images could
    not be read; each is named on stderr.
    """
    if values["folder"] is None and not needs_no_folder(values):
        raise click.UsageError(
            "nothing to compose scenes from; add a FOLDER of captioned images, or --task digits alone"
        )
    from clip_vectorizer.query.cli.evaluate_actions import run_limits

    run_limits(values)


def rescores_nothing(values: Values) -> bool:
    return bool(values["quantizers"]) and not any(each.startswith("rq-") for each in values["quantizers"])


INDEX_RULES = (
    SpecialCase("--rescore-limit", rescores_nothing, "applies to the quantizers rq-8 and rq-1 only; remove it"),
)


@main.command("index", cls=ExitCodeCommand, rules=INDEX_RULES, short_help="Measure Weaviate's vector index.")
@click.option(
    "--vectors",
    "count",
    type=click.IntRange(MIN_VECTORS),
    metavar="N",
    show_default="those stored",
    help="Generate N vectors from those stored.",
)
@click.option(
    "--queries", type=click.IntRange(10), default=1000, metavar="N", show_default=True, help="At most N searches."
)
@click.option(
    "--quantizer",
    "quantizers",
    multiple=True,
    type=click.Choice(MEASURED_QUANTIZERS),
    show_default="all",
    help="Quantizer to measure. Repeatable.",
)
@click.option(
    "--rescore-limit",
    type=click.IntRange(0),
    metavar="N",
    show_default=f"as clip-ingest sets it: {RESCORED_CANDIDATES}; rq-1: 512",
    help="Candidates of rq-8 and rq-1 that are compared again by their full vectors.",
)
@click.option(
    "--ef",
    type=click.IntRange(10, 4096),
    default=MIN_INDEX_CANDIDATES,
    metavar="N",
    show_default=f"as clip-ingest sets it: {MIN_INDEX_CANDIDATES}",
    help="Candidates of a search; Weaviate's own default is 100.",
)
@json_option
@collection_option
@tenant_option
@weaviate_options
def index(**values: Any) -> None:
    """Measure how many of the ten nearest neighbours Weaviate's index finds, and how fast, for each quantizer.

    \b
    Examples:
      clip-eval index
      clip-eval index --vectors 100000 --quantizer none --quantizer rq-8
      clip-eval index --quantizer rq-1 --rescore-limit 100 --json

    The vectors of the collection, except one in ten, which are the queries, go into temporary collections that are
    dropped at the end. `--vectors N` generates N others from them: each is a stored one moved towards a neighbour and
    shifted by the differences of other neighbours. Times are of one gRPC search at a time, without the encoder.
    """
    from clip_vectorizer.query.cli.evaluate_actions import run_index

    run_index(values)


def starts_every_sidecar(values: Values) -> bool:
    return not any(is_url(each) for each in values["models"])


PAGES_RULES = (
    SpecialCase(
        "--vectorizer-api-key",
        starts_every_sidecar,
        "is for a sidecar that already runs, and none of MODELS is an address; remove it",
    ),
)


@main.command(PAGES, cls=ExitCodeCommand, rules=PAGES_RULES, short_help="Compare models on pages of drawings.")
@click.argument("corpus", type=click.Path(path_type=Path))
@click.argument("models", nargs=-1)
@click.option(
    PAGES_OPTION,
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Measure the test pages of FOLDER too, with what was learned from CORPUS; may be repeated.",
)
@click.option(
    "--limit",
    type=click.IntRange(20),
    metavar="N",
    help="Use at most N pages of each split and column, by whole files drawn at random with a fixed seed.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep drawn pages and vectors in FOLDER, so that the next run is quick.",
)
@json_option
@vectorizer_key_option
def pages(**values: Any) -> None:
    """Measure how well models tell technical drawings from other pages, and find the same title block and part.

    \b
    Examples:
      clip-eval pages corpus
      clip-eval --pages corpus emoji local-dir:pages-model --cache kept
      clip-eval --pages corpus emoji http://localhost:9191 --limit 600 --json
      clip-eval --pages corpus --pages freecad --pages real emoji

    CORPUS is a folder with pages.jsonl, as examples/drawings/make_corpus.py makes it. Each of MODELS is the address of
    a running sidecar, or a model as `clip-vectorizer serve --model` takes it; without one only what needs no model is
    measured. Intervals are of 95 %, from 2,000 resamples of files; `less first` is the difference to the first model
    over the same resamples. Exit code 3: some pages could not be read; each is named on stderr.
    """
    from clip_vectorizer.query.cli.evaluate_pages import run_pages

    run_pages(values)
