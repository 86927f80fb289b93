"""Classifications stored with the images' objects: merged into their properties, without changing the vectors."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from weaviate import WeaviateClient
from weaviate.classes.config import DataType
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.collections import ensure_prediction_properties
from clip_vectorizer.database.connection import extract_reason, read_message, weaviate_errors
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
from clip_vectorizer.query.zeroshot.scores import Classification, Classifications

PARALLEL_WRITES = 4  # 500 a second with one, 790 with four, fewer with eight [1.39.0, two cores]
WRITE_BATCH_SIZE = 256
SCORE_TOLERANCE = 1e-5  # two strategies give scores that differ by less
ACCESS_DENIED_STATUSES = (401, 403)  # a failure of the whole run, not of one object
NOT_FOUND = 404
REMOVED_MEANWHILE = "removed from the collection in the meantime"


class PredictionStore(Protocol):
    def prepare(self) -> None:
        """Add what the collection lacks for predictions. Called once, before the first `write`."""

    def write(self, results: Sequence[Classification], predicted_by: str) -> Mapping[str, str]:
        """Return the reason of each failure, by id. Raises Unreachable."""


def save_predictions(results: Classifications, store: PredictionStore, predicted_by: str) -> Classifications:
    """Yield the same results after they are stored; one that could not be stored has an `error`."""
    with closing(results):
        store.prepare()
        while batch := list(islice(results, WRITE_BATCH_SIZE)):
            failures = store.write([each for each in batch if not each.error], predicted_by)
            for each in batch:
                yield replace(each, error=f"not written: {failures[each.id]}") if each.id in failures else each


class WeaviatePredictions:
    """A PredictionStore in Weaviate. Skips objects that already have the same values."""

    def __init__(
        self,
        client: WeaviateClient,
        url: str,
        target: SearchTarget,
        on_new_properties: Callable[[Mapping[str, DataType]], None],
    ) -> None:
        """`on_new_properties`: called by `prepare`, with the properties that the collection has from then on."""
        self._client, self._url, self._target = client, url, target
        self._on_new_properties = on_new_properties
        self._collection = select_partition(client.collections.use(target.collection), target)

    def prepare(self) -> None:
        with weaviate_errors(self._url):
            ensure_prediction_properties(self._client, self._target.collection)
        self._on_new_properties({each.name: each.dataType for each in prediction_properties()})

    def write(self, results: Sequence[Classification], predicted_by: str) -> Mapping[str, str]:
        if not results:
            return {}
        wanted = {each.id: build_properties(each, predicted_by) for each in results}
        stored = self._fetch(list(wanted))
        removed = {id: REMOVED_MEANWHILE for id in wanted if id not in stored}
        changed = {id: wanted[id] for id, row in stored.items() if not has_values(row.properties, wanted[id])}
        with ThreadPoolExecutor(PARALLEL_WRITES) as pool:
            reasons = pool.map(lambda id: self._patch(id, changed[id], stored[id].vector), changed)
            return removed | {id: reason for id, reason in zip(changed, reasons, strict=True) if reason}

    def _fetch(self, ids: Sequence[str]) -> dict[str, Any]:
        """Objects by id. In a tenant with all vectors, which `_patch` must send back: without them Weaviate computes
        new ones, of a hash or of nothing, because it looks for the object outside the tenant [tried with 1.39.0]."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects_by_ids(
                list(ids),
                limit=len(ids),
                include_vector=self._target.tenant is not None,
                return_properties=list(PREDICTION_PROPERTIES),
            )
        return {str(row.uuid): row for row in found.objects}

    def _patch(self, id: str, properties: Mapping[str, Any], vectors: Mapping[str, Any]) -> str:
        """Update one object. Returns the reason of a failure, "" on success."""
        with weaviate_errors(self._url):
            try:
                self._collection.data.update(id, properties=properties, vector=dict(vectors) or None)
            except UnexpectedStatusCodeError as error:
                if error.status_code in ACCESS_DENIED_STATUSES:
                    raise
                return REMOVED_MEANWHILE if error.status_code == NOT_FOUND else extract_reason(read_message(error))
        return ""


def build_properties(result: Classification, predicted_by: str) -> dict[str, str | float]:
    return {
        PREDICTED_LABEL: result.label,
        PREDICTED_SCORE: result.score,
        PREDICTED_MARGIN: result.margin,
        PREDICTED_RUNNER_UP: result.runner_up,
        PREDICTED_BY: predicted_by,
    }


def has_values(stored: Mapping[str, Any], wanted: Mapping[str, str | float]) -> bool:
    return all(is_same_value(stored.get(name), value) for name, value in wanted.items())


def is_same_value(stored: Any, wanted: str | float) -> bool:
    """Numbers are compared within SCORE_TOLERANCE."""
    if isinstance(wanted, float):
        return isinstance(stored, int | float) and abs(stored - wanted) <= SCORE_TOLERANCE
    return bool(stored == wanted)
