"""Named label sets in a real Weaviate: an object for each part of one, in one collection for all models."""

import json
from collections.abc import Mapping
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.util import generate_uuid5

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.label_schema import (
    LABEL_IDS,
    NAME,
    PROMPT_SET,
    PROMPT_VERSION,
    REVISION,
    SAID,
    TEMPLATES,
)
from clip_vectorizer.making import ensure_label_set_collection
from clip_vectorizer.query.labels.label_sets import LabelSet, merged
from clip_vectorizer.query.prompt_sets import PromptSet
from clip_vectorizer.schema import LABEL_SET_COLLECTION, MODEL

MOST_PARTS = 10_000  # Weaviate's limit for one answer, and as many as a set can have labels
WHEN = MetadataQuery(creation_time=True)


class WeaviateLabelSets:
    """A LabelSetStore. The collection is made with the first set."""

    def __init__(self, client: WeaviateClient, url: str) -> None:
        self._client, self._url = client, url
        self._collection = client.collections.use(LABEL_SET_COLLECTION)

    def get(self, name: str) -> LabelSet | None:
        with weaviate_errors(self._url):
            if not self._client.collections.exists(LABEL_SET_COLLECTION):
                return None
            named = Filter.by_property(NAME).equal(name)
            found = self._collection.query.fetch_objects(filters=named, limit=MOST_PARTS, return_metadata=WHEN)
        earliest = sorted(found.objects, key=lambda row: (row.metadata.creation_time, row.uuid))
        return merged([set_of(row.properties) for row in earliest])

    def names(self) -> list[str]:
        with weaviate_errors(self._url):
            if not self._client.collections.exists(LABEL_SET_COLLECTION):
                return []
            found = self._collection.query.fetch_objects(limit=MOST_PARTS, return_properties=[NAME])
        return list(dict.fromkeys(str(row.properties[NAME]) for row in found.objects))

    def put(self, part: LabelSet) -> None:
        row: DataObject[dict[str, Any], None] = DataObject(uuid=id_of(part), properties=row_of(part))
        with weaviate_errors(self._url):
            ensure_label_set_collection(self._client)
            answer = self._collection.data.insert_many([row])  # the same part again is the same object
        if answer.errors:
            reason = next(iter(answer.errors.values())).message
            raise VectorizerError(f"Weaviate did not store the label set {part.name}: {reason}")


def id_of(part: LabelSet) -> str:
    return str(generate_uuid5(json.dumps(row_of(part), sort_keys=True), LABEL_SET_COLLECTION))


def row_of(label_set: LabelSet) -> dict[str, Any]:
    return {
        NAME: label_set.name,
        MODEL: label_set.model,
        REVISION: label_set.revision,
        PROMPT_SET: label_set.prompts.name,
        PROMPT_VERSION: label_set.prompts.version,
        TEMPLATES: list(label_set.prompts.templates),
        SAID: list(label_set.said),
        LABEL_IDS: list(label_set.label_ids),
    }


def set_of(row: Mapping[str, Any]) -> LabelSet:
    prompts = PromptSet(row[PROMPT_SET], tuple(row[TEMPLATES] or ()))
    return LabelSet(row[NAME], row[MODEL], row[REVISION], prompts, tuple(row[SAID] or ()), tuple(row[LABEL_IDS] or ()))
