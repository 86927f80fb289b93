"""Classifications written back to the images' objects: merged into their properties, which leaves the vectors alone."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from weaviate import WeaviateClient
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.failures import reason_of, weaviate_errors
from clip_vectorizer.label_schema import predicted_properties
from clip_vectorizer.making import ensure_predictions
from clip_vectorizer.query.database import at
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.zeroshot.results import Classification, Results
from clip_vectorizer.schema import (
    PREDICTED,
    PREDICTED_BY,
    PREDICTED_LABEL,
    PREDICTED_MARGIN,
    PREDICTED_RUNNER_UP,
    PREDICTED_SCORE,
)

WRITERS = 4  # at once: 500 a second with one, 790 with four, fewer with eight [1.39.0, two cores]
A_BATCH = 256
SAME = 1e-5  # two ways of comparing give scores that differ by less
PASSING = (401, 403)  # not about one object
GONE = 404


class Predictions(Protocol):
    def prepare(self) -> None:
        """Whatever must be there before the first `write`."""

    def write(self, results: Sequence[Classification], by: str) -> Mapping[str, str]:
        """Answers, by id, why some could not be written. Raises Unreachable."""


def written(results: Results, predictions: Predictions, by: str) -> Results:
    """The same results, once they are stored; one that could not be stored has an `error`."""
    with closing(results):
        predictions.prepare()
        while batch := list(islice(results, A_BATCH)):
            refused = predictions.write([each for each in batch if not each.error], by)
            for each in batch:
                yield replace(each, error=f"not written: {refused[each.id]}") if each.id in refused else each


class WeaviatePredictions:
    """Obeys Predictions. What an object says already is not written again."""

    def __init__(self, client: WeaviateClient, url: str, searched: Searched) -> None:
        self._client, self._url, self._searched = client, url, searched
        self._collection = at(client.collections.use(searched.collection), searched)

    def prepare(self) -> None:
        with weaviate_errors(self._url):
            ensure_predictions(self._client, self._searched.collection)
        if isinstance(self._searched.properties, dict):  # whoever goes on searching may ask for them
            self._searched.properties.update({each.name: each.dataType for each in predicted_properties()})

    def write(self, results: Sequence[Classification], by: str) -> Mapping[str, str]:
        if not results:
            return {}
        wanted = {each.id: properties_of(each, by) for each in results}
        held = self._held(list(wanted))
        refused = {id: "it left the collection meanwhile" for id in wanted if id not in held}
        changed = {id: wanted[id] for id, row in held.items() if not says(row.properties, wanted[id])}
        with ThreadPoolExecutor(WRITERS) as pool:
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
                return_properties=list(PREDICTED),
            )
        return {str(row.uuid): row for row in found.objects}

    def _patch(self, id: str, properties: Mapping[str, Any], vectors: Mapping[str, Any]) -> str:
        """Why it was refused, or nothing."""
        with weaviate_errors(self._url):
            try:
                self._collection.data.update(id, properties=properties, vector=dict(vectors) or None)
            except UnexpectedStatusCodeError as error:
                if error.status_code in PASSING:
                    raise
                return "it left the collection meanwhile" if error.status_code == GONE else reason_of(error)
        return ""


def properties_of(result: Classification, by: str) -> dict[str, str | float]:
    return {
        PREDICTED_LABEL: result.label,
        PREDICTED_SCORE: result.score,
        PREDICTED_MARGIN: result.margin,
        PREDICTED_RUNNER_UP: result.runner_up,
        PREDICTED_BY: by,
    }


def says(held: Mapping[str, Any], wanted: Mapping[str, str | float]) -> bool:
    return all(same(held.get(name), value) for name, value in wanted.items())


def same(held: Any, wanted: str | float) -> bool:
    if isinstance(wanted, float):
        return isinstance(held, int | float) and abs(held - wanted) <= SAME
    return bool(held == wanted)
