"""The command `clip-eval compare`.

The command `clip-eval index`.
"""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from weaviate import WeaviateClient

from clip_vectorizer.cli_common import ExitCodeCommand
from clip_vectorizer.connection_options import vectorizer_key_option, weaviate_options
from clip_vectorizer.database.collections import LEAST_CANDIDATES, read_collection
from clip_vectorizer.database.connection import connect_weaviate, weaviate_errors
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.cli.common import collection_option, json_option, tenant_option
from clip_vectorizer.query.cli.evaluate_output import (
    SOME_FAILED,
    count_truncated_texts,
    show_left_out,
    show_tables,
    status_line,
)
from clip_vectorizer.query.connect import check_collection_exists
from clip_vectorizer.query.display.tables import prepare_streams
from clip_vectorizer.query.evaluation.compare import ModelRanks, compare_models, rank_images
from clip_vectorizer.query.evaluation.dataset import Progress, iterate_labelled_rows, load_labelled_folder
from clip_vectorizer.query.evaluation.index_data import synthesise_vectors
from clip_vectorizer.query.evaluation.index_recall import MEASURED_QUANTIZERS, IndexConfig, build_index_table
from clip_vectorizer.query.evaluation.sidecars import connect_sidecar
from clip_vectorizer.query.evaluation.statistics import SEED
from clip_vectorizer.vectors import Vectors, unit

QUERY_SHARE = 10  # one in so many stored vectors is a query
MIN_VECTORS = 100


@click.command("compare", cls=ExitCodeCommand)
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
    with count_truncated_texts(), status_line() as progress:
        first_side, left_out = measure_side("A", first, folder, vectorizer_api_key, progress)
        second_side, also_left_out = measure_side("B", second, folder, vectorizer_api_key, progress)
    show_left_out(dict([*left_out, *also_left_out]).items())
    show_tables([compare_models(first_side, second_side)], as_json)
    sys.exit(SOME_FAILED if left_out or also_left_out else 0)


def measure_side(
    letter: str, model: str, folder: Path, api_key: str | None, progress: Progress
) -> tuple[ModelRanks, Sequence[tuple[str, str]]]:
    with connect_sidecar(model, api_key, progress) as sidecar:
        info = sidecar.meta()
        labelled = load_labelled_folder(folder, sidecar, progress)
        return rank_images(f"{letter} ({info.model})", labelled, info.model, sidecar, progress), labelled.left_out


@click.command("index", cls=ExitCodeCommand)
@click.option("--vectors", "count", type=click.IntRange(MIN_VECTORS), help="Make so many out of those stored.")
@click.option("--queries", type=click.IntRange(10), default=1000, show_default=True, help="Most searches.")
@click.option(
    "--quantizer", "quantizers", multiple=True, type=click.Choice(MEASURED_QUANTIZERS), help="Which.  [default: all]"
)
@click.option("--rescore-limit", type=click.IntRange(0), help="Of rq-8 and rq-1.  [default: Weaviate's own]")
@click.option(
    "--ef",
    type=click.IntRange(10, 4096),
    default=LEAST_CANDIDATES,
    show_default="as clip-ingest has it: 400",
    help="Candidates of a search; Weaviate's own default is 100.",
)
@json_option
@collection_option
@tenant_option
@weaviate_options
def index_command(
    count: int | None,
    queries: int,
    quantizers: tuple[str, ...],
    rescore_limit: int | None,
    ef: int,
    as_json: bool,
    **stored: Any,
) -> None:
    """Say how many of the ten nearest neighbours Weaviate's index finds, and how fast, by quantisation.

    \b
    Examples:
      clip-eval index
      clip-eval index --vectors 100000 --quantizer none --quantizer rq-8
      clip-eval index --quantizer rq-1 --rescore-limit 100 --json

    The vectors of the collection, one in ten held out as queries, go into collections of their own that are dropped in
    the end. `--vectors N` makes N others out of them: each a stored one moved towards a neighbour and shifted by the
    ways between other neighbours. Times are of a search by gRPC, one at a time, without the encoder.
    """
    prepare_streams()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was made must be dropped
    indexes = [IndexConfig(name, rescore_limit, ef) for name in quantizers or MEASURED_QUANTIZERS]
    url = stored["weaviate_url"]
    with status_line() as progress, connect_weaviate(*weaviate_address(stored)) as client:
        vector = find_vector_name(client, url, stored["collection"])
        rows = iterate_labelled_rows(client, url, stored["collection"], vector, stored["tenant"])
        vectors_nd, queries_qd = split_vectors(
            [vector_d for _, vector_d in rows if vector_d is not None], count, queries
        )
        table = build_index_table(client, url, indexes, vectors_nd, queries_qd, progress)
    show_tables([table], as_json)


def weaviate_address(stored: dict[str, Any]) -> tuple[str, int, str | None]:
    return stored["weaviate_url"], stored["weaviate_grpc_port"], stored["weaviate_api_key"]


def find_vector_name(client: WeaviateClient, url: str, collection: str) -> str:
    """Raises InputError for a collection that is not there, with the names of those that are."""
    with weaviate_errors(url):
        check_collection_exists(collection, client.collections.list_all(simple=True), url)
        return read_collection(client, collection).description.vector


def split_vectors(stored: list[Vectors], count: int | None, queries: int) -> tuple[Vectors, Vectors]:
    """What is indexed, and other vectors of the same kind to ask for. Raises InputError for too few."""
    if count is None and len(stored) < MIN_VECTORS:
        raise InputError(
            f"{len(stored)} vectors are stored, too few to measure; --vectors {MIN_VECTORS} makes more of them"
        )
    vectors_nd = unit(np.stack(stored)) if stored else np.empty((0, 0), dtype=np.float32)
    if count is not None:
        made_nd = synthesise_vectors(vectors_nd, count + queries, SEED)
        return made_nd[:count], made_nd[count:]
    shuffled_nd = np.random.default_rng(SEED).permutation(vectors_nd)
    held = min(queries, len(shuffled_nd) // QUERY_SHARE)
    return shuffled_nd[held:], shuffled_nd[:held]
