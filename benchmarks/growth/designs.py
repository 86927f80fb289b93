"""Designs of a search in the largest collection: candidates and vectors compared again, changed without a new fill.

ef: candidates that the graph keeps while it is searched. Rescore limit: how many of them are compared again with
unquantised vectors, which Weaviate reads from disk with their objects.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from weaviate import WeaviateClient

from benchmarks.growth.images import (
    NEIGHBOURS,
    PAGE,
    WARM_UP,
    ImageQueries,
    embed_examples,
    list_counts,
    make_image_vectors,
    measure_recall,
    search_each,
)
from benchmarks.growth.index_design import IndexDesign, apply_design
from benchmarks.growth.processes import find_listener
from benchmarks.growth.stored_images import ImagePlan, ensure_filled
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.vectors import Vectors
from ingest.embedded import LocalSidecar, LocalWeaviate

DESIGN_COLUMNS = (
    *("design", "recall@10 by image", "recall@10 by text", "p50 ms", "p95 ms", "of Weaviate's cores ms"),
    *(f"{PAGE} results, recall@{PAGE} by text", f"{PAGE} results, p50 ms", "of Weaviate's cores ms"),
)
DESIGNS = (
    IndexDesign(),
    IndexDesign(candidates=100),  # Weaviate's default
    IndexDesign(candidates=200),
    IndexDesign(candidates=400),
    IndexDesign(candidates=1600),
    IndexDesign(candidates=3200),
    IndexDesign(rescored=0),
    IndexDesign(rescored=20),  # Weaviate's default
)


def measure_designs(
    most: int, quantizer: str, queries: int, data: Path, progress: Callable[[str], None]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Yield for each of DESIGNS its name and the values of DESIGN_COLUMNS. Fills the collection if it is not there."""
    count = list_counts(most)[-1]
    plan = ImagePlan(count, quantizer)
    with LocalSidecar("emoji", data / "sidecar.log") as sidecar:
        items, stored_sd, texts_qd = embed_examples(sidecar.url, progress)
        vectors_nd, found = make_image_vectors(stored_sd, texts_qd, count, queries)
        ensure_filled(plan, data, sidecar.url, items, vectors_nd, progress)
        with LocalWeaviate(plan.choose_folder(data), sidecar.url) as weaviate:
            pid = find_listener(urlsplit(weaviate.url).port or 0)
            with connect_weaviate(weaviate.url, weaviate.grpc_port, weaviate.api_key) as client:
                search_each(client, pid, found.texts_qd, PAGE)  # reads vectors from disk: no design pays for the first
                for design in (*DESIGNS, DESIGNS[0]):  # the collection is left as it was made
                    apply_design(client, design, quantizer)
                    yield str(design), measure_design(client, pid, vectors_nd, found)


def measure_design(client: WeaviateClient, pid: int, vectors_nd: Vectors, queries: ImageQueries) -> tuple[float, ...]:
    search_each(client, pid, queries.texts_qd[:WARM_UP], PAGE)
    by_image = search_each(client, pid, queries.images_qd, NEIGHBOURS)
    by_text = search_each(client, pid, queries.texts_qd, NEIGHBOURS)
    of_page = search_each(client, pid, queries.texts_qd, PAGE)
    return (
        measure_recall(by_image, queries.images_qd, vectors_nd),
        measure_recall(by_text, queries.texts_qd, vectors_nd),
        by_text.quantile(0.5),
        by_text.quantile(0.95),
        by_text.cores_ms,
        measure_recall(of_page, queries.texts_qd, vectors_nd, PAGE),
        of_page.quantile(0.5),
        of_page.cores_ms,
    )
