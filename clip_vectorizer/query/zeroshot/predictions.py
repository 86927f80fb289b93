"""Classifications written back to the images' objects: merged into their properties, which leaves the vectors alone."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from weaviate import WeaviateClient
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.collections import ensure_prediction_properties
from clip_vectorizer.database.connection import extract_reason, weaviate_errors
from clip_vectorizer.database.schema import (
    PREDICTED_BY,
    PREDICTED_LABEL,
    PREDICTED_MARGIN,
    PREDICTED_RUNNER_UP,
    PREDICTED_SCORE,
    PREDICTION_PROPERTIES,
    prediction_properties,
)
from clip_vectorizer.query.connect import select_partition
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.zeroshot.results import Classification, Classifications

PARALLEL_WRITES = 4  # at once: 500 a second with one, 790 with four, fewer with eight [1.39.0, two cores]
WRITE_BATCH_SIZE = 256
SCORE_TOLERANCE = 1e-5  # two ways of comparing give scores that differ by less
ACCESS_DENIED_STATUSES = (401, 403)  # not about one object
NOT_FOUND = 404


class PredictionStore(Protocol):
    def prepare(self) -> None:
        """Whatever must be there before the first `write`."""

    def write(self, results: Sequence[Classification], by: str) -> Mapping[str, str]:
        """Answers, by id, why some could not be written. Raises Unreachable."""


def save_predictions(results: Classifications, predictions: PredictionStore, by: str) -> Classifications:
    """The same results, once they are stored; one that could not be stored has an `error`."""
    with closing(results):
        predictions.prepare()
        while batch := list(islice(results, WRITE_BATCH_SIZE)):
            refused = predictions.write([each for each in batch if not each.error], by)
            for each in batch:
                yield replace(each, error=f"not written: {refused[each.id]}") if each.id in refused else each


class WeaviatePredictions:
    """Obeys Predictions. What an object says already is not written again."""

    def __init__(self, client: WeaviateClient, url: str, searched: SearchTarget) -> None:
        self._client, self._url, self._searched = client, url, searched
        self._collection = select_partition(client.collections.use(searched.collection), searched)

    def prepare(self) -> None:
        with weaviate_errors(self._url):
            ensure_prediction_properties(self._client, self._searched.collection)
        if isinstance(self._searched.properties, dict):  # whoever goes on searching may ask for them
            self._searched.properties.update({each.name: each.dataType for each in prediction_properties()})

    def write(self, results: Sequence[Classification], by: str) -> Mapping[str, str]:
        if not results:
            return {}
        wanted = {each.id: build_properties(each, by) for each in results}
        held = self._held(list(wanted))
        refused = {id: "it left the collection meanwhile" for id in wanted if id not in held}
        changed = {id: wanted[id] for id, row in held.items() if not has_values(row.properties, wanted[id])}
        with ThreadPoolExecutor(PARALLEL_WRITES) as pool:
            answers = pool.map(lambda id: self._patch(id, changed[id], held[id].vector), changed)
            return refused | {id: reason for id, reason in zip(changed, answers, strict=True) if reason}

    def _held(self, ids: Sequence[str]) -> dict[str, Any]:
        """In a tenant with all vectors, which must go along: else Weaviate makes them anew, of a hash or of nothing,
        because it looks for the object outside of the tenant [tried with 1.39.0]."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects_by_ids(
                list(ids),
                limit=len(ids),
                include_vector=self._searched.tenant is not None,
                return_properties=list(PREDICTION_PROPERTIES),
            )
        return {str(row.uuid): row for row in found.objects}

    def _patch(self, id: str, properties: Mapping[str, Any], vectors: Mapping[str, Any]) -> str:
        """Why it was refused, or nothing."""
        with weaviate_errors(self._url):
            try:
                self._collection.data.update(id, properties=properties, vector=dict(vectors) or None)
            except UnexpectedStatusCodeError as error:
                if error.status_code in ACCESS_DENIED_STATUSES:
                    raise
                return "it left the collection meanwhile" if error.status_code == NOT_FOUND else extract_reason(error)
        return ""


def build_properties(result: Classification, by: str) -> dict[str, str | float]:
    return {
        PREDICTED_LABEL: result.label,
        PREDICTED_SCORE: result.score,
        PREDICTED_MARGIN: result.margin,
        PREDICTED_RUNNER_UP: result.runner_up,
        PREDICTED_BY: by,
    }


def has_values(held: Mapping[str, Any], wanted: Mapping[str, str | float]) -> bool:
    return all(is_same_value(held.get(name), value) for name, value in wanted.items())


def is_same_value(held: Any, wanted: str | float) -> bool:
    if isinstance(wanted, float):
        return isinstance(held, int | float) and abs(held - wanted) <= SCORE_TOLERANCE
    return bool(held == wanted)
