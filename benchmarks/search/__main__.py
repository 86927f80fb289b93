"""What Weaviate's vector index finds of the ten nearest, and how fast, at 100,000 vectors: `clip-eval index` at size.

The vectors are synthesised from those of the example images (see clip_vectorizer/query/evaluation/index_data.py).
Texts lie elsewhere than images, so captions are queries too: harder for an index than one more image.
Every index is filled before the first is searched; then they are searched in turns, one query at a time, by gRPC.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import numpy.typing as npt

from benchmarks.common import Figure, Report, Spread, add_json_option
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.defaults import MEASURED_QUANTIZERS
from clip_vectorizer.query.evaluation.dataset import group_captions, load_labelled_folder
from clip_vectorizer.query.evaluation.index_data import compute_index_recalls, synthesise_vectors
from clip_vectorizer.query.evaluation.index_recall import (
    NEIGHBOURS_SEARCHED,
    IndexConfig,
    IndexMeasurement,
    measure_indexes,
)
from clip_vectorizer.query.evaluation.statistics import RESAMPLES, SEED, resample_means
from clip_vectorizer.vectors import Vectors
from ingest.embedded import LocalStack

CLAIM = f"Weaviate's index against exact search: {NEIGHBOURS_SEARCHED} nearest, one query at a time by gRPC, no encoder"
EXAMPLES = Path(__file__).parents[2] / "examples" / "images"
WANTED = {"rq-8": ">= 0.98"}
WEAVIATES_EF = 100  # its default
MOST_P50 = "<= 15"
RECALL = f"recall@{NEIGHBOURS_SEARCHED}"
HEAD = f"""| quantizer | {RECALL} by image | {RECALL} by text | p50 ms | p95 ms | s to fill |
| --- | --- | --- | --- | --- | --- |"""


@click.command()
@click.option("--vectors", "count", default=100_000, show_default=True, type=click.IntRange(100), help="Indexed.")
@click.option("--queries", default=1000, show_default=True, type=click.IntRange(10), help="Each to each index.")
@click.option(
    "--quantizer", "quantizers", multiple=True, type=click.Choice(MEASURED_QUANTIZERS), default=MEASURED_QUANTIZERS
)
@add_json_option
def main(count: int, queries: int, quantizers: tuple[str, ...], json_file: Path | None) -> None:
    """Fill an index of each quantisation, search them by images and by texts, compare with exact search.

    \b
    Example:
      python -m benchmarks.search --vectors 20000
      python -m benchmarks.search --quantizer rq-8
    """
    report = Report(CLAIM)
    report.begin()
    with TemporaryDirectory() as folder, LocalStack("emoji", Path(folder)) as stack:
        stored_nd, texts_qd = examples(stack)
        made_nd = synthesise_vectors(stored_nd, count + queries, SEED)
        vectors_nd, images_qd = made_nd[:count], made_nd[count:]
        weaviate, indexes = stack.weaviate, [*map(IndexConfig, quantizers), IndexConfig("rq-8", ef=WEAVIATES_EF)]
        with connect_weaviate(weaviate.url, weaviate.grpc_port, weaviate.api_key) as client:
            all_qd = np.concatenate([images_qd, texts_qd])
            found = measure_indexes(client, weaviate.url, indexes, vectors_nd, all_qd, print_progress)
        report.note(f"{count} vectors of {vectors_nd.shape[1]}; {len(images_qd)} made images, {len(texts_qd)} captions")
        report.note(HEAD)
        for searched in found:
            print_figures(report, searched, vectors_nd, images_qd, texts_qd)
    report.write(json_file)


def examples(stack: LocalStack) -> tuple[Vectors, Vectors]:
    """(N, D) of the images, and (T, D) of their captions in both languages."""
    with VectorizerClient(stack.sidecar.url) as sidecar:
        labelled = load_labelled_folder(EXAMPLES, sidecar, print_progress)
        texts = [text for captions in group_captions(labelled.items) for text in captions.texts]
        return labelled.vectors_nd, sidecar.embed_texts(texts)


def print_progress(sentence: str) -> None:
    click.echo(sentence, err=True)


def print_figures(
    report: Report, searched: IndexMeasurement, vectors_nd: Vectors, images_qd: Vectors, texts_qd: Vectors
) -> None:
    """A line of the table."""
    index, found = searched.index, searched.found
    name = index.quantizer + (", Weaviate's ef" if index.ef == WEAVIATES_EF else "")
    by_image = interval_of(compute_index_recalls(found[: len(images_qd)], images_qd, vectors_nd, NEIGHBOURS_SEARCHED))
    by_text = interval_of(compute_index_recalls(found[len(images_qd) :], texts_qd, vectors_nd, NEIGHBOURS_SEARCHED))
    p50, p95 = (float(value) for value in np.quantile(searched.milliseconds, (0.5, 0.95)))
    report.figures += [
        Figure(f"{name}, recall@{NEIGHBOURS_SEARCHED} by image", "", None, by_image, None, target=WANTED.get(name, "")),
        Figure(f"{name}, recall@{NEIGHBOURS_SEARCHED} by text", "", None, by_text, None, target=WANTED.get(name, "")),
        Figure(f"{name}, p50", "ms", None, Spread.of([p50]), None, target=MOST_P50),
        Figure(f"{name}, p95", "ms", None, Spread.of([p95]), None),
    ]
    report.note(
        f"| {name} | {shown(by_image)} | {shown(by_text)} | {p50:.1f} | {p95:.1f} | {searched.seconds_to_fill:.0f} |"
    )


def interval_of(recalls_q: npt.NDArray[np.float64]) -> Spread:
    """The mean and its 95 % interval, by bootstrap over the queries."""
    low, high = np.quantile(resample_means(recalls_q, RESAMPLES, SEED), (0.025, 0.975))
    return Spread(float(recalls_q.mean()), float(low), float(high), len(recalls_q))


def shown(spread: Spread) -> str:
    return f"{spread.median:.4f} ({spread.least:.4f}-{spread.most:.4f})"


if __name__ == "__main__":
    main()
