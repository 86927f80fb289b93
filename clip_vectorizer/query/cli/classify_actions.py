"""What `clip-classify` does: read the options, choose a threshold with --other-from, classify, print."""

import sys
from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.exit_codes import SOME_FAILED
from clip_vectorizer.image_files import format_skipped, is_image_file
from clip_vectorizer.progress import count_items
from clip_vectorizer.query.adapt.boosts import few_shot, linear_probe, remove_means, trained_probe
from clip_vectorizer.query.adapt.probe_file import TrainedProbe
from clip_vectorizer.query.adapt.threshold import Threshold
from clip_vectorizer.query.choices import AUTO, PROBE_SUFFIX
from clip_vectorizer.query.cli.connection import open_search
from clip_vectorizer.query.cli.image_results import ResultCounts, ResultFormat, print_results
from clip_vectorizer.query.cli.label_names import parse_all_labels
from clip_vectorizer.query.display.tables import prepare_streams
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.labels.label_store import parse_label
from clip_vectorizer.query.prompts import normalize_text, select_prompt_set
from clip_vectorizer.query.zeroshot.classify import ClassifyArguments, ClassifyInput
from clip_vectorizer.query.zeroshot.scores import Boost, Classification
from clip_vectorizer.terminal import escape_line

QUERY_LIMIT = 10  # images of --query, without --limit
COLUMN_NAMES = ("path", "label", "score", "margin", "runner-up")
LEAST_FIXED_SCORE = 0.0005  # a lower one would be 0.000


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """`files`, else the hits of `query`, else the whole collection."""

    labels: tuple[str, ...]
    arguments: ClassifyArguments
    files: tuple[str, ...]
    query: str | None
    where: tuple[str, ...]
    limit: int | None
    threshold_folder: Path | None  # choose the threshold by its images
    as_json: bool
    probe: TrainedProbe | None = None  # instead of a comparison with texts

    @property
    def needs_collection(self) -> bool:
        """Files need one only if its images help to judge them."""
        return not self.files or (self.arguments.get("boost") is not None and self.probe is None)

    @property
    def why_nothing(self) -> str:
        """A likely reason for no images."""
        if self.where:
            return "no image is left by --where"
        return "--query finds no image" if self.query else "the collection is empty; fill it with `clip-ingest FOLDER`"


def run(values: Mapping[str, Any]) -> None:
    """`values`: the command's parameters. Exits with 3 if some images could not be classified."""
    prepare_streams()
    request = build_request(values)
    collection = values["collection"] if request.needs_collection else None
    with open_search({**values, "collection": collection}) as search:
        if request.probe:
            request.probe.check_model(search.info)
        arguments = request.arguments
        if request.threshold_folder is not None:
            arguments["threshold"] = choose_threshold(request, request.threshold_folder, search)
        results = search.classify(select_images(request, search), request.labels, limit=request.limit, **arguments)
        counted = count_items(results, streaming=request.as_json)
        failed = show_classifications(counted, request.as_json, request.why_nothing)
    sys.exit(SOME_FAILED if failed else 0)


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


def build_request(values: Mapping[str, Any]) -> ClassifyRequest:
    """Raises click.UsageError without labels, InputError for labels or prompts that cannot be used."""
    probe = load_probe(values["linear_probe"])
    if not values["labels"] and not values["label_set"] and not probe:
        raise click.UsageError("no labels; add --labels A,B,... or --label-set NAME")
    return ClassifyRequest(
        labels=probe.labels if probe else tuple(parse_all_labels(values["labels"])),
        arguments=build_arguments(values, probe),
        files=values["files"],
        query=values["query"],
        where=values["where"],
        limit=values["limit"],
        threshold_folder=values["other_from"],
        as_json=values["as_json"],
        probe=probe,
    )


def load_probe(option: str | None) -> TrainedProbe | None:
    """The probe in a file; None for the name of a property. Raises InputError."""
    return TrainedProbe.load(Path(option)) if option and option.endswith(PROBE_SUFFIX) else None


def build_arguments(values: Mapping[str, Any], probe: TrainedProbe | None) -> ClassifyArguments:
    arguments = ClassifyArguments(
        prompts=select_prompt_set(values["prompts"], values["templates"] or None),
        label_set=values["label_set"],
        strategy=values["strategy"],
        threshold=None if values["other"] is None else parse_threshold(values["other"]),
        boost=trained_probe(probe) if probe else build_boost(values),
        save=values["save"],
    )
    if values["where"] and not values["query"]:
        arguments["filters"] = values["where"]
    return arguments


def parse_threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--other {text}: expected a number such as 0.25") from None


def build_boost(values: Mapping[str, Any]) -> Boost | None:
    if values["few_shot"]:
        return few_shot(values["few_shot"], values["shots"])
    if values["linear_probe"]:
        return linear_probe(values["linear_probe"], values["shots"])
    return remove_means() if values["remove_means"] else None


def show_classifications(results: Generator[Classification], as_json: bool, why_nothing: str) -> int:
    """Print all results, see print_results. Returns how many images could not be classified."""
    counts = ResultCounts()
    print_results(results, ResultFormat(COLUMN_NAMES, format_cells, to_json), as_json, counts)
    total = counts.good + counts.failed
    if counts.failed:
        click.echo(f"{counts.failed} of {total} images could not be classified", err=True)
    if not total:
        click.echo(f"nothing to classify: {why_nothing}", err=True)
    return counts.failed


def format_cells(result: Classification) -> tuple[str, ...]:
    digits = ".3f" if result.score >= LEAST_FIXED_SCORE else ".0e"  # a sigmoid model's, where no label fits
    return result.path, result.label, f"{result.score:{digits}}", f"{result.margin:{digits}}", result.runner_up


def to_json(result: Classification) -> dict[str, object]:
    """Every line has the same keys; a failed image has nulls, and `error`."""
    values = asdict(result)
    error = values.pop("error")
    if not error:
        return values
    return dict.fromkeys(values) | {"path": result.path, "id": result.id, "error": error}
