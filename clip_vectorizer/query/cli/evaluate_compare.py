"""The command `clip-eval compare`."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.connection import vectorizer_key_option
from clip_vectorizer.query.cli.evaluated import SOME_FAILED, cut_texts_counted, show_left_out, show_tables, telling
from clip_vectorizer.query.cli.options import json_option
from clip_vectorizer.query.evaluation.compare import Side, comparison, side_of
from clip_vectorizer.query.evaluation.data import Progress
from clip_vectorizer.query.evaluation.folder import labelled_folder
from clip_vectorizer.query.evaluation.sidecars import sidecar_for
from clip_vectorizer.query.showing.output import prepare_streams


@click.command("compare", cls=FriendlyErrors)
@click.argument("first")
@click.argument("second")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
@vectorizer_key_option
def compare_command(first: str, second: str, folder: Path, as_json: bool, vectorizer_api_key: str | None) -> None:
    """Say whether two models differ on the images of FOLDER by more than chance.

    \b
    Examples:
      clip-eval compare emoji ViT-B-32::openai examples/images
      clip-eval compare http://localhost:9090 http://localhost:9191 examples/images --json

    FIRST (A) and SECOND (B) are models as `clip-vectorizer serve --model` takes them, each in a sidecar of its own that
    ends with this command, or addresses of sidecars that run. Differences are first less second; interval and p are of
    a paired bootstrap, 10,000 resamples of the images from a fixed seed. Each model is asked with seven prompts that
    suit it. Exit code 3: some images could not be read.
    """
    prepare_streams()
    with cut_texts_counted(), telling() as progress:
        first_side, left_out = measured("A", first, folder, vectorizer_api_key, progress)
        second_side, also_left_out = measured("B", second, folder, vectorizer_api_key, progress)
    show_left_out(dict([*left_out, *also_left_out]).items())
    show_tables([comparison(first_side, second_side)], as_json)
    sys.exit(SOME_FAILED if left_out or also_left_out else 0)


def measured(
    letter: str, model: str, folder: Path, api_key: str | None, progress: Progress
) -> tuple[Side, Sequence[tuple[str, str]]]:
    with sidecar_for(model, api_key, progress) as sidecar:
        info = sidecar.meta()
        labelled = labelled_folder(folder, sidecar, progress)
        return side_of(f"{letter} ({info.model})", labelled, info.model, sidecar, progress), labelled.left_out
