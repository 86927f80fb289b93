"""The store of images in a real Weaviate: one collection, vectors made by Weaviate's own module."""

import base64
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.collections.classes.types import WeaviateField
from weaviate.exceptions import WeaviateInsertManyAllFailedError

from clip_vectorizer import schema
from clip_vectorizer.connection import connect_weaviate
from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.failures import sidecar_is_silent, sidecar_unreachable, weaviate_errors
from ingest.items import Fingerprint, ImageObject
from ingest.model_check import agreed_model
from ingest.store import Refusal

ALL_ERRORS = "Here is the set of all errors: "  # weaviate-client, collections/batch/grpc_batch.py
COMPARED = [schema.PATH, schema.SHA256, schema.LABEL, schema.CAPTION, schema.MODEL]
PASSING = re.compile(r"status (429|502|503|504)|Client\.Timeout|deadline exceeded|timed? ?out", re.IGNORECASE)


@contextmanager
def open_store(
    weaviate_url: str,
    grpc_port: int | None = None,
    api_key: str | None = None,
    vectorizer_url: str | None = None,
    collection: str = schema.IMAGE_COLLECTION,
    vectorizer_api_key: str | None = None,
) -> Iterator["WeaviateStore"]:
    """The store of `collection`, made if it is not there, for the model that Weaviate's sidecar runs.

    With `vectorizer_url` that sidecar is asked too and must run the same model. Raises WeaviateUnreachable,
    SidecarUnreachable, Mismatch (another model made the collection), InputError, SettingsError.
    """
    silence_object_dumps()
    with connect_weaviate(weaviate_url, grpc_port, api_key) as client:
        with weaviate_errors(weaviate_url):
            info = agreed_model(client, weaviate_url, vectorizer_url, vectorizer_api_key)
            model = schema.ensure_image_collection(client, info, collection)
        store = WeaviateStore(client, weaviate_url, collection, model.model)
        store.check_ports()
        yield store


class WeaviateStore:
    """Obeys ImageStore."""

    def __init__(self, client: WeaviateClient, url: str, collection: str, model: str) -> None:
        self.url, self.name, self._model = url, collection, model
        self._collection = client.collections.use(collection)

    @property
    def model(self) -> str:
        return self._model

    def held(self, keys: Sequence[str]) -> Mapping[str, Fingerprint]:
        ids = [schema.image_id(key) for key in keys]
        with weaviate_errors(self.url):
            found = self._collection.query.fetch_objects_by_ids(ids, limit=len(ids), return_properties=COMPARED)
        return {str(each.properties[schema.PATH]): fingerprint(each.properties) for each in found.objects}

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        reasons = self._insert(objects)
        for reason in reasons.values():
            if sidecar_is_silent(reason):
                raise sidecar_unreachable(self.url, reason)
        return {key: Refusal(reason, bool(PASSING.search(reason))) for key, reason in reasons.items()}

    def forget(self, keys: Sequence[str]) -> None:
        """By id, past the index: a Weaviate that was killed may hold an object that its index has lost, and an equal
        object sent again does not mend the index [tried with 1.39.0]."""
        with weaviate_errors(self.url):
            for key in keys:
                self._collection.data.delete_by_id(schema.image_id(key))

    def check_ports(self) -> None:
        """Raises WeaviateUnreachable when the gRPC port belongs to another Weaviate than the HTTP port."""
        with weaviate_errors(self.url):
            by_grpc = self._collection.query.fetch_objects(limit=1, return_properties=False).objects
            if by_grpc and not self._collection.data.exists(by_grpc[0].uuid):
                raise WeaviateUnreachable(
                    f"the gRPC port belongs to another Weaviate than {self.url}; "
                    "set WEAVIATE_GRPC_PORT (or --weaviate-grpc-port) to the GRPC_PORT of this one"
                )

    def _insert(self, objects: Sequence[ImageObject]) -> dict[str, str]:
        """The reasons of those that Weaviate did not take, by key."""
        with weaviate_errors(self.url):
            try:
                answer = self._collection.data.insert_many([data_object(item) for item in objects])
            except WeaviateInsertManyAllFailedError as failed:
                return self._reasons(objects, str(failed.message).partition(ALL_ERRORS)[2])
        return {objects[index].key: error.message for index, error in answer.errors.items()}

    def _reasons(self, objects: Sequence[ImageObject], reasons: str) -> dict[str, str]:
        """When all failed, the client tells the set of reasons, not whose they are: with several, ask again singly."""
        if len(objects) == 1 or "\n" not in reasons or sidecar_is_silent(reasons):
            return dict.fromkeys((item.key for item in objects), reasons)
        return {key: reason for item in objects for key, reason in self._insert([item]).items()}


def data_object(item: ImageObject) -> DataObject[dict[str, WeaviateField], None]:
    properties: dict[str, WeaviateField] = {
        schema.IMAGE: base64.b64encode(item.data).decode("ascii"),
        schema.THUMBNAIL: base64.b64encode(item.thumbnail).decode("ascii"),
        schema.PATH: item.key,
        schema.FILENAME: item.key.rpartition("/")[2],
        schema.LABEL: item.fingerprint.label,
        schema.CAPTION: item.fingerprint.caption,
        schema.SHA256: item.fingerprint.sha256,
        schema.SIZE: len(item.data),
        schema.MIME: item.mime,
        schema.MODEL: item.fingerprint.model,
    }
    return DataObject(uuid=schema.image_id(item.key), properties=properties)


def fingerprint(properties: Mapping[str, WeaviateField]) -> Fingerprint:
    sha256, label, caption, model = (str(properties[name] or "") for name in COMPARED[1:])
    return Fingerprint(sha256, label, caption, model)


def silence_object_dumps() -> None:
    """The Weaviate client logs refused objects whole, base64 and all; the report names them instead."""
    logger = logging.getLogger("weaviate-client")
    if tells_words not in logger.filters:
        logger.addFilter(tells_words)


def tells_words(record: logging.LogRecord) -> bool:
    return not isinstance(record.msg, dict)
