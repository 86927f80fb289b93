"""The two collections in Weaviate as search and classification see them. D dimensions · L labels"""

from collections.abc import Collection as Several
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.collections.classes.internal import Object, QueryReturn

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import Mismatch, VectorizerError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.making import ensure_label_collection
from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.labels import Label, Neighbour
from clip_vectorizer.query.zeroshot import IMAGES_A_BATCH, Embedded
from clip_vectorizer.schema import (
    CAPTION,
    LABEL,
    LABEL_COLLECTION,
    LABEL_SET,
    MODEL,
    PATH,
    PROMPTS,
    VECTOR,
)
from clip_vectorizer.vectors import Vectors

DISTANCE = MetadataQuery(distance=True)
SHOWN = [PATH, LABEL, CAPTION]

Row = Object[Mapping[str, Any], Any]


class WeaviateImages:
    """Searches one collection of images. Every method raises Unreachable, or VectorizerError with Weaviate's words."""

    def __init__(
        self, client: WeaviateClient, url: str, collection: str, vector: str = VECTOR, tenant: str | None = None
    ) -> None:
        """`vector`: the name of the one that is searched."""
        whole = client.collections.use(collection)
        self._collection = whole.with_tenant(tenant) if tenant else whole
        self._url, self._vector = url, vector

    def near_text(self, text: str, limit: int) -> list[Hit]:
        """Nearest first. Weaviate has its own sidecar make the vector."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_text(
                text, limit=limit, target_vector=self._vector, return_metadata=DISTANCE, return_properties=SHOWN
            )
        return hits(found)

    def near_vector(self, vector_d: Vectors, limit: int) -> list[Hit]:
        """Nearest first."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_vector(
                vector_d.tolist(),
                limit=limit,
                target_vector=self._vector,
                return_metadata=DISTANCE,
                return_properties=SHOWN,
            )
        return hits(found)

    def embedded(self) -> Iterator[list[Embedded]]:
        """All images in batches, in the order of their ids, with the vectors stored."""
        rows = self._collection.iterator(include_vector=True, return_properties=[PATH], cache_size=IMAGES_A_BATCH)
        batch: list[Embedded] = []
        with weaviate_errors(self._url):
            for row in rows:
                batch.append(stored(row, self._vector))
                if len(batch) == IMAGES_A_BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch


class WeaviateLabels:
    """A LabelStore in the collection of labels; a second one beside it when another model made the first."""

    def __init__(self, client: WeaviateClient, url: str, info: ModelInfo) -> None:
        self._url = url
        self._model = info.model
        with weaviate_errors(url):
            self._collection = client.collections.use(label_collection(client, info))

    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        rows = [self._row(label, vector_d) for label, vector_d in zip(labels, vectors_ld, strict=True)]
        with weaviate_errors(self._url):
            answer = self._collection.data.insert_many(rows)
        if answer.errors:
            first = next(iter(answer.errors.values())).message
            raise VectorizerError(f"Weaviate did not store {len(answer.errors)} of {len(rows)} labels: {first}")

    def _row(self, label: Label, vector_d: Vectors) -> DataObject[dict[str, Any], None]:
        properties = {
            LABEL: label.text,
            LABEL_SET: label.family,
            PROMPTS: list(label.prompts),
            MODEL: self._model,
        }
        return DataObject(properties=properties, uuid=label.id, vector={VECTOR: vector_d.tolist()})

    def nearest(self, vector_d: Vectors, ids: Several[str]) -> list[Neighbour]:
        """Exact, not approximate: below 40,000 filtered objects Weaviate compares with every one of them."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_vector(
                vector_d.tolist(),
                limit=len(ids),
                filters=Filter.by_id().contains_any(list(ids)),
                target_vector=VECTOR,
                return_metadata=DISTANCE,
                return_properties=[],
            )
        return [Neighbour(str(row.uuid), distance_of(row)) for row in found.objects]


def label_collection(client: WeaviateClient, info: ModelInfo) -> str:
    """Its name. Labels can always be made again, so another model gets a collection of its own, not a refusal."""
    try:
        ensure_label_collection(client, info)
    except Mismatch:
        own = f"{LABEL_COLLECTION}_{''.join(filter(str.isalnum, info.revision))[:12]}"
        ensure_label_collection(client, info, own)
        return own
    return LABEL_COLLECTION


def hits(found: QueryReturn[Mapping[str, Any], Any]) -> list[Hit]:
    return [hit(row) for row in found.objects]


def hit(row: Row) -> Hit:
    distance = distance_of(row)
    path, label, caption = (str(row.properties.get(name) or "") for name in SHOWN)
    return Hit(path, 1 - distance, distance, str(row.uuid), label, caption)


def distance_of(row: Row) -> float:
    if row.metadata.distance is None:
        raise VectorizerError(f"Weaviate gave no distance for {row.uuid}; is its version at least 1.39?")
    return row.metadata.distance


def stored(row: Row, name: str = VECTOR) -> Embedded:
    path = str(row.properties.get(PATH) or row.uuid)
    vector = row.vector.get(name)
    if not vector:
        return Embedded(path, None, f"stored without a vector; run clip-ingest on it again (id {row.uuid})")
    return Embedded(path, np.asarray(vector, dtype=np.float32))
