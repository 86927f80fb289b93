"""`clip-classify`: parse, call, print."""

import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import click

from clip_vectorizer.connection_options import vectorizer_key_option, vectorizer_option, weaviate_options
from clip_vectorizer.progress import count_items
from clip_vectorizer.query.adapt.boosts import few_shot, linear_probe, remove_means
from clip_vectorizer.query.cli.classify_options import classify_options, parse_all_labels
from clip_vectorizer.query.cli.classify_output import EMPTY_COLLECTION, show_classifications
from clip_vectorizer.query.cli.classify_request import choose_threshold
from clip_vectorizer.query.cli.common import GroupedCommand, collection_option, tenant_option
from clip_vectorizer.query.cli.search_options import consistency_option
from clip_vectorizer.query.display.tables import prepare_streams
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.prompts import select_prompt_set
from clip_vectorizer.query.zeroshot.arguments import ClassifyArguments, ClassifyInput
from clip_vectorizer.query.zeroshot.scores import Boost

SOME_FAILED = 3
QUERY_LIMIT = 10  # images, where no --limit is given

HELP = """Say which of the labels each image shows: FILES, what --query finds, or the whole collection.

\b
Examples:
  clip-classify --labels "mango,red apple,dog" examples/images/fruit/*.png
  clip-classify --labels 苹果,狗,汽车 --limit 5
  clip-classify --labels cat,dog --template "a drawing of a {}" --json
  clip-classify --labels "crane: a machine / a wading bird,bat: a mammal"
  clip-classify --labels cat,dog --prompts photo-80
  clip-classify --labels animal,food,tool --label-set things --write
  clip-classify --label-set things --query "something red" --limit 50
  clip-classify --labels cat,dog,horse --where label=animals --other 0.3

No training: each label is put into several prompts, their vectors are averaged, and the nearest label wins.

\b
Exit codes: 0 all in, 1 fatal, 2 usage, 3 some images could not be classified;
each is named on stderr, 4 Weaviate or its sidecar unreachable,
5 another model made the collection or the label set, 130 interrupted
"""


@click.command("clip-classify", cls=GroupedCommand, help=HELP)
@click.argument("files", nargs=-1, type=click.Path())
@classify_options
@collection_option
@tenant_option
@consistency_option
@weaviate_options
@vectorizer_option
@vectorizer_key_option
def main(**given: Any) -> None:
    prepare_streams()
    check_options(given)
    labels, how = parse_all_labels(given["labels"]), build_options(given)
    with open_search(given) as search:
        how["other"] = choose_threshold(given["other"], given["other_from"], search, labels, how)
        results = search.classify(select_images(given, search), labels, limit=given["limit"], **how)
        failed = show_classifications(
            count_items(results, given["as_json"]), given["as_json"], explain_no_images(given)
        )
    sys.exit(SOME_FAILED if failed else 0)


def check_options(given: Mapping[str, Any]) -> None:
    """Raises click.UsageError for what contradicts itself."""
    if not given["labels"] and not given["label_set"]:
        raise click.UsageError("say what to choose from: --labels A,B,... or --label-set NAME")
    if given["prompts"] and given["templates"]:
        raise click.UsageError("--prompts and --template exclude each other: name a set, or give your own templates")
    if given["files"] and (given["query"] or given["where"]):
        raise click.UsageError("FILES are classified as they are; leave --query and --where away")
    if given["other"] and given["other_from"]:
        raise click.UsageError("--other names the threshold and --other-from chooses one; take one of them")
    if sum(map(bool, (given["few_shot"], given["linear_probe"], given["remove_means"]))) > 1:
        raise click.UsageError("--few-shot, --linear-probe and --remove-means exclude each other; take one")


def build_options(given: Mapping[str, Any]) -> ClassifyArguments:
    """Raises InputError for prompts that cannot be used."""
    how = ClassifyArguments(
        prompts=select_prompt_set(given["prompts"], given["templates"] or None),
        label_set=given["label_set"],
        strategy=given["strategy"],
        boost=build_boost(given),
        write=given["write"],
    )
    if given["where"] and not given["query"]:
        how["where"] = given["where"]
    return how


def build_boost(given: Mapping[str, Any]) -> Boost | None:
    if given["few_shot"]:
        return few_shot(given["few_shot"], given["shots"])
    if given["linear_probe"]:
        return linear_probe(given["linear_probe"], given["shots"])
    return remove_means() if given["remove_means"] else None


def open_search(given: Mapping[str, Any]) -> AbstractContextManager[ImageSearch]:
    """Files need a collection only where its images help to judge them."""
    helped = given["few_shot"] or given["linear_probe"] or given["remove_means"]
    return ImageSearch.connect(
        given["weaviate_url"],
        given["weaviate_grpc_port"],
        given["weaviate_api_key"],
        given["vectorizer_url"],
        None if given["files"] and not helped else given["collection"],
        given["vectorizer_api_key"],
        given["tenant"],
        given["consistency"],
    )


def explain_no_images(given: Mapping[str, Any]) -> str:
    if given["where"]:
        return "no image is left by --where"
    return "--query finds no image" if given["query"] else EMPTY_COLLECTION


def select_images(given: Mapping[str, Any], search: ImageSearch) -> ClassifyInput:
    if given["query"] is not None:
        return search.by_text(given["query"], given["limit"] or QUERY_LIMIT, where=given["where"] or None)
    return given["files"] or None
