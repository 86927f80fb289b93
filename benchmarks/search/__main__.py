"""What Weaviate's vector index finds of the ten nearest, and how fast, at 100,000 vectors: `clip-eval index` at size.

The vectors are made out of those of the example images (clip_vectorizer/query/evaluation/ann/made.py says how and why).
Every index is filled before the first is searched; then they are searched in turns, one query at a time, by gRPC.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.common import Figure, Report, Spread, json_option
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.connection import connect_weaviate
from clip_vectorizer.query.evaluation.ann.made import made_vectors
from clip_vectorizer.query.evaluation.ann.measure import K, Searched, measured, row_of
from clip_vectorizer.query.evaluation.ann.temporary import QUANTIZERS, Index
from clip_vectorizer.query.evaluation.folder import labelled_folder
from clip_vectorizer.query.evaluation.intervals import SEED
from clip_vectorizer.vectors import Vectors
from ingest.embedded import LocalStack

CLAIM = f"Weaviate's index against exact search: {K} nearest, one query at a time by gRPC, no encoder"
EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
WANTED = {"rq-8": ">= 0.98"}
MOST_P50 = "<= 15"


@click.command()
@click.option("--vectors", "count", default=100_000, show_default=True, type=click.IntRange(100), help="Indexed.")
@click.option("--queries", default=1000, show_default=True, type=click.IntRange(10), help="Each to each index.")
@json_option
def main(count: int, queries: int, json_file: Path | None) -> None:
    """Fill an index of each quantisation, search them, compare with exact search.

    \b
    Example:
      python -m benchmarks.search --vectors 20000
    """
    report = Report(CLAIM)
    report.begin()
    with TemporaryDirectory() as folder, LocalStack("emoji", Path(folder)) as stack:
        made_nd = made_vectors(example_vectors(stack), count + queries, SEED)
        vectors_nd, queries_qd = made_nd[:count], made_nd[count:]
        weaviate = stack.weaviate
        with connect_weaviate(weaviate.url, weaviate.grpc_port, weaviate.api_key) as client:
            indexes = [Index(name) for name in QUANTIZERS]
            for searched in measured(client, weaviate.url, indexes, vectors_nd, queries_qd, tell):
                add_figures(report, searched, vectors_nd, queries_qd)
    report.write(json_file)


def example_vectors(stack: LocalStack) -> Vectors:
    with VectorizerClient(stack.sidecar.url) as sidecar:
        return labelled_folder(EXAMPLES, sidecar, tell).vectors_nd


def tell(sentence: str) -> None:
    click.echo(sentence, err=True)


def add_figures(report: Report, searched: Searched, vectors_nd: Vectors, queries_qd: Vectors) -> None:
    row = row_of(searched, vectors_nd, queries_qd)
    name = f"{searched.index.quantizer}, {len(vectors_nd)} vectors of {vectors_nd.shape[1]}"
    for value, unit, wanted in (
        (f"recall@{K}", "", WANTED.get(searched.index.quantizer, "")),
        ("p50_ms", "ms", MOST_P50),
        ("p95_ms", "ms", ""),
        ("seconds_to_fill", "s", ""),
    ):
        report.add(Figure(f"{name}, {value}", unit, None, Spread.of([float(str(row[value]))]), None, target=wanted))


if __name__ == "__main__":
    main()
