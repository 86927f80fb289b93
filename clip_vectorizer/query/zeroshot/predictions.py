"""Classifications stored with the images' objects: merged into their properties, without changing the vectors."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from weaviate import WeaviateClient
from weaviate.classes.config import DataType

from clip_vectorizer.database.collections import ensure_prediction_properties
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import (
    PREDICTED_BY,
    PREDICTED_LABEL,
    PREDICTED_MARGIN,
    PREDICTED_RUNNER_UP,
    PREDICTED_SCORE,
    PREDICTION_PROPERTIES,
    prediction_properties,
)
from clip_vectorizer.query.object_updates import ObjectUpdates
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.zeroshot.scores import Classification, Classifications

WRITE_BATCH_SIZE = 256
SCORE_TOLERANCE = 1e-5  # two strategies give scores that differ by less


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
        self._updates = ObjectUpdates(client, url, target)

    def prepare(self) -> None:
        with weaviate_errors(self._url):
            ensure_prediction_properties(self._client, self._target.collection)
        self._on_new_properties({each.name: each.dataType for each in prediction_properties()})

    def write(self, results: Sequence[Classification], predicted_by: str) -> Mapping[str, str]:
        wanted = {each.id: build_properties(each, predicted_by) for each in results}
        return self._updates.write(wanted, PREDICTION_PROPERTIES, has_values)


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
