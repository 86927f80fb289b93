"""What `clip-classify` does: choose a threshold with --other-from, classify, print."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.exit_codes import SOME_FAILED
from clip_vectorizer.image_files import format_skipped, is_image_file
from clip_vectorizer.progress import count_items
from clip_vectorizer.query.adapt.threshold import Threshold
from clip_vectorizer.query.choices import AUTO
from clip_vectorizer.query.cli.classify_output import show_classifications
from clip_vectorizer.query.cli.classify_request import QUERY_LIMIT, ClassifyRequest, build_request
from clip_vectorizer.query.display.tables import prepare_streams
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.labels.label import parse_label
from clip_vectorizer.query.prompts import normalize_text
from clip_vectorizer.query.zeroshot.arguments import ClassifyArguments, ClassifyInput
from clip_vectorizer.query.zeroshot.results import Classification
from clip_vectorizer.terminal import escape_line


def run(values: Mapping[str, Any]) -> None:
    """`values`: the command's parameters. Exits with 3 if some images could not be classified."""
    prepare_streams()
    request = build_request(values)
    with open_search(request, values) as search:
        arguments = request.arguments
        if request.threshold_folder is not None:
            arguments["threshold"] = choose_threshold(request, request.threshold_folder, search)
        results = search.classify(select_images(request, search), request.labels, limit=request.limit, **arguments)
        counted = count_items(results, streaming=request.as_json)
        failed = show_classifications(counted, request.as_json, request.why_nothing)
    sys.exit(SOME_FAILED if failed else 0)


def open_search(request: ClassifyRequest, values: Mapping[str, Any]) -> AbstractContextManager[ImageSearch]:
    return ImageSearch.connect(
        values["weaviate_url"],
        grpc_port=values["weaviate_grpc_port"],
        api_key=values["weaviate_api_key"],
        vectorizer_url=values["vectorizer_url"],
        collection=values["collection"] if request.needs_collection else None,
        vectorizer_api_key=values["vectorizer_api_key"],
        tenant=values["tenant"],
        consistency_level=values["consistency"],
    )


def select_images(request: ClassifyRequest, search: ImageSearch) -> ClassifyInput:
    if request.query is not None:
        return search.by_text(request.query, request.limit or QUERY_LIMIT, filters=request.where or None)
    return request.files or None


def choose_threshold(request: ClassifyRequest, folder: Path, search: ImageSearch) -> float:
    """The threshold of --other-from, which is printed on stderr. Raises InputError."""
    threshold = learn_threshold(request, folder, search)
    click.echo(f"--other: {threshold}", err=True)
    return threshold.value


def learn_threshold(request: ClassifyRequest, folder: Path, search: ImageSearch) -> Threshold:
    """Raises InputError for a folder that has not images of both kinds."""
    files = list_threshold_images(folder)
    arguments: ClassifyArguments = {**request.arguments, "save": False, "filters": None, "strategy": AUTO}
    results = skip_unreadable(search.classify(files, request.labels, **arguments))
    if not results:
        raise InputError(f"--other-from {folder}: none of its {len(files)} images can be read")
    entries = search.label_set(name) if (name := arguments.get("label_set")) else request.labels
    names = {parse_label(normalize_text(each))[0].casefold() for each in entries}
    is_labelled = [Path(each.path).parent.name.casefold() in names for each in results]
    return Threshold.choose(np.array([each.similarity for each in results]), np.array(is_labelled, dtype=bool))


def list_threshold_images(folder: Path) -> list[Path]:
    """Return the images under `folder`; the number of other files is printed on stderr. Raises InputError for none."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if skipped := format_skipped(file for file in files if not is_image_file(file)):
        click.echo(escape_line(f"--other-from {folder}: {skipped}"), err=True)
    images = [file for file in files if is_image_file(file)]
    if not images:
        raise InputError(f"--other-from {folder}: no images there; name a folder of folders of images")
    return images


def skip_unreadable(results: Iterable[Classification]) -> list[Classification]:
    """The readable ones; the others are named on stderr, and the threshold is chosen without them."""
    readable: list[Classification] = []
    for each in results:
        if each.error:
            click.echo(escape_line(f"--other-from: {each.path}: {each.error}"), err=True)
        else:
            readable.append(each)
    return readable
