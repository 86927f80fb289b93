"""A collection's images as they are stored: vector, label, caption. Nothing is embedded again."""

from collections.abc import Iterator

import numpy as np
from weaviate import WeaviateClient

from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.query.evaluation.data import Item, Labelled, Progress, checked
from clip_vectorizer.schema import CAPTION, LABEL, PATH
from clip_vectorizer.vectors import Vectors

ROWS_A_PAGE = 500
ROWS_A_LINE = 10_000  # of progress

Row = tuple[Item, Vectors | None]


def labelled_collection(
    client: WeaviateClient, url: str, collection: str, vector: str, tenant: str | None, progress: Progress
) -> Labelled:
    """Every image with a label and a vector; the others are in `left_out`. Raises InputError as `checked` does."""
    good: list[tuple[Item, Vectors]] = []
    bad: list[tuple[str, str]] = []
    for item, vector_d in stored_rows(client, url, collection, vector, tenant):
        if vector_d is None or not item.label:
            bad.append((item.path, "stored without a vector" if vector_d is None else "stored without a label"))
            continue
        good.append((item, vector_d))
        if len(good) % ROWS_A_LINE == 0:
            progress(f"{len(good)} stored images read")
    vectors_nd = np.stack([vector_d for _, vector_d in good]) if good else np.empty((0, 0), dtype=np.float32)
    return checked(Labelled(f"collection {collection}", tuple(item for item, _ in good), vectors_nd, tuple(bad)))


def stored_rows(
    client: WeaviateClient, url: str, collection: str, vector: str, tenant: str | None = None
) -> Iterator[Row]:
    """In the order of their ids."""
    whole = client.collections.use(collection)
    images = whole.with_tenant(tenant) if tenant else whole
    with weaviate_errors(url):
        for row in images.iterator(
            include_vector=True, return_properties=[PATH, LABEL, CAPTION], cache_size=ROWS_A_PAGE
        ):
            path, label, caption = (str(row.properties.get(name) or "") for name in (PATH, LABEL, CAPTION))
            values = row.vector.get(vector)
            yield Item(path or str(row.uuid), label, caption), np.asarray(values, dtype=np.float32) if values else None
