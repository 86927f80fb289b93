"""Named label sets in a real Weaviate: one object each, in one collection for all models."""

from collections.abc import Mapping
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
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
from clip_vectorizer.query.label_sets import LabelSet
from clip_vectorizer.query.prompt_sets import PromptSet
from clip_vectorizer.schema import LABEL_SET_COLLECTION, MODEL

MOST_NAMES = 1000  # that a message can be about


class WeaviateLabelSets:
    """A LabelSetStore. The collection is made with the first set."""

    def __init__(self, client: WeaviateClient, url: str) -> None:
        self._client, self._url = client, url
        self._collection = client.collections.use(LABEL_SET_COLLECTION)

    def get(self, name: str) -> LabelSet | None:
        with weaviate_errors(self._url):
            if not self._client.collections.exists(LABEL_SET_COLLECTION):
                return None
            found = self._collection.query.fetch_object_by_id(id_of(name))
        return set_of(found.properties) if found else None

    def names(self) -> list[str]:
        with weaviate_errors(self._url):
            if not self._client.collections.exists(LABEL_SET_COLLECTION):
                return []
            found = self._collection.query.fetch_objects(limit=MOST_NAMES, return_properties=[NAME])
        return [str(row.properties[NAME]) for row in found.objects]

    def put(self, label_set: LabelSet) -> None:
        row: DataObject[dict[str, Any], None] = DataObject(uuid=id_of(label_set.name), properties=row_of(label_set))
        with weaviate_errors(self._url):
            ensure_label_set_collection(self._client)
            answer = self._collection.data.insert_many([row])  # which replaces, too
        if answer.errors:
            reason = next(iter(answer.errors.values())).message
            raise VectorizerError(f"Weaviate did not store the label set {label_set.name}: {reason}")


def id_of(name: str) -> str:
    return str(generate_uuid5(name, LABEL_SET_COLLECTION))


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
