"""Labels in a real Weaviate, one object each. L labels · D dimensions"""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import Mismatch, VectorizerError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.label_schema import LABEL_SET, PROMPT_SET, PROMPT_VERSION, PROMPTS
from clip_vectorizer.making import ensure_label_collection
from clip_vectorizer.query.labels.label import Label
from clip_vectorizer.query.labels.label_store import Neighbour
from clip_vectorizer.schema import (
    LABEL,
    LABEL_COLLECTION,
    MODEL,
    VECTOR,
)
from clip_vectorizer.vectors import Vectors

A_PAGE = 2000  # vectors fetched at once: 4 MB of 512 dimensions
DISTANCE = MetadataQuery(distance=True)


class WeaviateLabels:
    """A LabelStore in the collection of labels; a second one beside it when another model made the first."""

    def __init__(self, client: WeaviateClient, url: str, info: ModelInfo) -> None:
        self._client, self._url, self._info = client, url, info

    @cached_property
    def _collection(self) -> Any:
        """Made when the first labels are looked for, which have been checked by then."""
        with weaviate_errors(self._url):
            return self._client.collections.use(label_collection(self._client, self._info))

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
            MODEL: self._info.model,
            PROMPT_SET: label.prompt_set,
            PROMPT_VERSION: label.version,
        }
        return DataObject(properties=properties, uuid=label.id, vector={VECTOR: vector_d.tolist()})

    def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        found: dict[str, Vectors] = {}
        for start in range(0, len(ids), A_PAGE):
            page = ids[start : start + A_PAGE]
            with weaviate_errors(self._url):
                rows = self._collection.query.fetch_objects_by_ids(
                    page, limit=len(page), include_vector=[VECTOR], return_properties=False
                ).objects
            found |= {str(row.uuid): np.asarray(row.vector[VECTOR], np.float32) for row in rows if row.vector}
        return found

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        """Exact, not approximate: below 40,000 filtered objects Weaviate compares with every one of them."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_vector(
                vector_d.tolist(),
                limit=len(ids),
                filters=Filter.by_id().contains_any(list(ids)),
                target_vector=VECTOR,
                return_metadata=DISTANCE,
                return_properties=False,
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


def distance_of(row: Any) -> float:
    """Of one of Weaviate's rows. Raises VectorizerError where it tells none."""
    distance: float | None = row.metadata.distance
    if distance is None:
        raise VectorizerError(f"Weaviate gave no distance for {row.uuid}; is its version at least 1.39?")
    return distance
