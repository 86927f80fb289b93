"""The command `clip-eval index`."""

import signal
import sys
from typing import Any

import click
import numpy as np
from weaviate import WeaviateClient

from clip_vectorizer.collections import look_at
from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.connection import connect_weaviate, weaviate_options
from clip_vectorizer.errors import InputError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.indexes import LEAST_CANDIDATES
from clip_vectorizer.query.cli.evaluated import show_tables, telling
from clip_vectorizer.query.cli.options import collection_option, json_option, tenant_option
from clip_vectorizer.query.evaluation.ann.made import made_vectors
from clip_vectorizer.query.evaluation.ann.measure import index_table
from clip_vectorizer.query.evaluation.ann.temporary import QUANTIZERS, Index
from clip_vectorizer.query.evaluation.intervals import SEED
from clip_vectorizer.query.evaluation.stored import stored_rows
from clip_vectorizer.query.guard import check_exists
from clip_vectorizer.query.showing.output import prepare_streams
from clip_vectorizer.vectors import Vectors, unit

HELD_OUT = 10  # one in so many stored vectors is a query
LEAST = 100


@click.command("index", cls=FriendlyErrors)
@click.option("--vectors", "count", type=click.IntRange(LEAST), help="Make so many out of those stored.")
@click.option("--queries", type=click.IntRange(10), default=1000, show_default=True, help="Most searches.")
@click.option("--quantizer", "quantizers", multiple=True, type=click.Choice(QUANTIZERS), help="Which.  [default: all]")
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
    indexes = [Index(name, rescore_limit, ef) for name in quantizers or QUANTIZERS]
    url = stored["weaviate_url"]
    with telling() as progress, connect_weaviate(*weaviate_of(stored)) as client:
        vector = named_vector(client, url, stored["collection"])
        rows = stored_rows(client, url, stored["collection"], vector, stored["tenant"])
        vectors_nd, queries_qd = divided([vector_d for _, vector_d in rows if vector_d is not None], count, queries)
        table = index_table(client, url, indexes, vectors_nd, queries_qd, progress)
    show_tables([table], as_json)


def weaviate_of(stored: dict[str, Any]) -> tuple[str, int, str | None]:
    return stored["weaviate_url"], stored["weaviate_grpc_port"], stored["weaviate_api_key"]


def named_vector(client: WeaviateClient, url: str, collection: str) -> str:
    """Raises InputError for a collection that is not there, with the names of those that are."""
    with weaviate_errors(url):
        check_exists(collection, client.collections.list_all(simple=True), url)
        return look_at(client, collection).description.vector


def divided(stored: list[Vectors], count: int | None, queries: int) -> tuple[Vectors, Vectors]:
    """What is indexed, and other vectors of the same kind to ask for. Raises InputError for too few."""
    if count is None and len(stored) < LEAST:
        raise InputError(f"{len(stored)} vectors are stored, too few to measure; --vectors {LEAST} makes more of them")
    vectors_nd = unit(np.stack(stored)) if stored else np.empty((0, 0), dtype=np.float32)
    if count is not None:
        made_nd = made_vectors(vectors_nd, count + queries, SEED)
        return made_nd[:count], made_nd[count:]
    shuffled_nd = np.random.default_rng(SEED).permutation(vectors_nd)
    held = min(queries, len(shuffled_nd) // HELD_OUT)
    return shuffled_nd[held:], shuffled_nd[:held]
