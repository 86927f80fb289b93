"""The command `clip-eval`: `run` is what it does when no other of its commands is named."""

import sys
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.connection_options import vectorizer_key_option, vectorizer_option, weaviate_options
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.query.cli.common import json_option, tenant_option
from clip_vectorizer.query.cli.evaluate_actions import compare_command, index_command
from clip_vectorizer.query.cli.evaluate_output import SOME_FAILED, count_truncated_texts, show_evaluation, status_line
from clip_vectorizer.query.connect import check_search
from clip_vectorizer.query.display.tables import prepare_streams
from clip_vectorizer.query.evaluation.dataset import (
    LabelledImages,
    Progress,
    load_labelled_collection,
    load_labelled_folder,
    read_names,
)
from clip_vectorizer.query.evaluation.evaluate import evaluate
from clip_vectorizer.query.evaluation.plots import prepare_matplotlib

RUN = "run"
ONE_SOURCE = "say what to evaluate: either a FOLDER of folders of images, or --collection NAME"


class RunByDefault(click.Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [RUN, *args]
        return super().parse_args(ctx, args)


@click.group("clip-eval", cls=RunByDefault)
def main() -> None:
    """Say how good the answers are: of one model, of two compared, of Weaviate's vector index.

    \b
    Examples:
      clip-eval examples/images
      clip-eval examples/images --report out
      clip-eval --collection Image --json

    Without the name of a command, `clip-eval ...` is `clip-eval run ...`.
    """


@main.command(RUN, cls=ExitCodeCommand)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--collection", help="The images stored there instead, by their label.")
@click.option("--all", "whole", is_flag=True, help="The tables too that need very many texts.")
@click.option(
    "--class-names",
    type=click.Path(path_type=Path),
    help="A text file of lines such as `animals · 动物`: the folders' names in more languages.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write plots and an index.html into this folder.")
@json_option
@tenant_option
@weaviate_options
@vectorizer_option
@vectorizer_key_option
def run(
    folder: Path | None,
    whole: bool,
    class_names: Path | None,
    report: Path | None,
    as_json: bool,
    vectorizer_url: str,
    vectorizer_api_key: str | None,
    **stored: Any,
) -> None:
    """Evaluate the sidecar's model on FOLDER, where each folder of images is a class, or on a collection.

    \b
    Examples:
      clip-eval run examples/images
      clip-eval run examples/images --class-names examples/class-names.txt --all
      clip-eval run --collection Image --report out --json

    Tables: zero-shot classification by prompts and language, each class, who is taken for whom, few-shot, and search by
    caption (photo.txt beside photo.jpg; `cat · 猫` is a caption in two languages). Figures in brackets are 95 %
    intervals. Exit code 3: some images could not be read; each is named on stderr.
    """
    prepare_streams()
    if (folder is None) == (stored["collection"] is None):
        raise click.UsageError(ONE_SOURCE)
    if report is not None:
        prepare_matplotlib()  # what it lacks is said now, not after minutes of work
    with (
        count_truncated_texts(),
        status_line() as progress,
        VectorizerClient(vectorizer_url, api_key=vectorizer_api_key) as sidecar,
    ):
        info = sidecar.meta()
        labelled = (
            load_labelled_folder(folder, sidecar, progress) if folder else load_collection(info, progress, **stored)
        )
        others = read_names(class_names, labelled.classes) if class_names else []
        evaluation = evaluate(labelled, info, sidecar, progress, whole, others)
    show_evaluation(evaluation, as_json, report)
    sys.exit(SOME_FAILED if labelled.left_out else 0)


def load_collection(
    info: ModelInfo,
    progress: Progress,
    collection: str,
    tenant: str | None,
    weaviate_url: str,
    weaviate_grpc_port: int,
    weaviate_api_key: str | None,
) -> LabelledImages:
    with connect_weaviate(weaviate_url, weaviate_grpc_port, weaviate_api_key) as client:
        vector = check_search(client, weaviate_url, info, collection, tenant).description.vector
        return load_labelled_collection(client, weaviate_url, collection, vector, tenant, progress)


main.add_command(compare_command)
main.add_command(index_command)
