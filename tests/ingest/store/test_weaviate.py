import logging
import types
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInsertManyAllFailedError

from clip_vectorizer.database import schema
from clip_vectorizer.database.collections import CollectionState
from clip_vectorizer.database.schema import CollectionDescription
from clip_vectorizer.errors import Mismatch, SidecarUnreachable, WeaviateUnreachable
from ingest.choices import Fit
from ingest.items import Amendment, Facts, ImageObject
from ingest.store.base import Refusal
from ingest.store.open import silence_object_dumps
from ingest.store.weaviate import ERROR_LIST_MARK, MAX_DUPLICATES, WeaviateStore
from tests.ingest.fakes import MODEL

GONE = 'send POST request: Post "http://127.0.0.1:9090/vectorize": dial tcp 127.0.0.1:9090: connect: connection refused'
KEPT = CollectionDescription(MODEL, "thumbnail")
Row = dict[str, Any]


def item(key: str) -> ImageObject:
    facts = Facts("cats", "a cat")
    return ImageObject(key, "/photos", "12ab", "sha", Fit.CROP, facts, "image/png", 4, b"data", b"small")


class FakeCollection:
    """Refuses by `reasons` as Weaviate's client does: one by one, or all in one exception. Holds `known` by gRPC."""

    def __init__(
        self,
        reasons: dict[str, str] | None = None,
        known: tuple[str, ...] = (),
        same_server: bool = True,
        rows: tuple[Row, ...] = (),
        there: CollectionDescription = KEPT,
        vectors: Any = types.MappingProxyType({"clip": [1, 0, 0]}),
    ) -> None:
        self._reasons, self._known, self._same_server, self._rows = reasons or {}, known, same_server, rows
        self.there, self._vectors = there, vectors
        self.data = self.query = self.config = self
        self.patched: dict[str, Any] = {}

    def get(self) -> Any:
        """The configuration."""
        vectorizer = SimpleNamespace(vectorizer="multi2vec-clip", model={})
        return SimpleNamespace(
            description=self.there.to_json(),
            properties=[],
            vector_config={self.there.vector: SimpleNamespace(vectorizer=vectorizer, vector_index_config=None)},
            multi_tenancy_config=SimpleNamespace(enabled=False),
        )

    def insert_many(self, objects: list[Any]) -> Any:
        reasons = [self._reasons.get(each.properties[schema.PATH]) for each in objects]
        if all(reasons):
            raise WeaviateInsertManyAllFailedError(ERROR_LIST_MARK + "\n".join(sorted(set(map(str, reasons)))))
        return SimpleNamespace(errors={i: SimpleNamespace(message=r) for i, r in enumerate(reasons) if r})

    def update(self, uuid: str, properties: Any, vector: Any) -> None:
        if reason := self._reasons.get(uuid):
            body = {"error": [{"message": reason}]} if reason != "404" else None
            raise UnexpectedStatusCodeError("Object was not updated.", httpx.Response(500 if body else 404, json=body))
        self.patched[uuid] = (properties, vector)

    def fetch_objects(self, filters: Any = None, limit: int = 0, **_: object) -> Any:
        if filters is None:
            return SimpleNamespace(objects=[SimpleNamespace(uuid=key) for key in self._known])
        found = [row for row in self._rows if row["sha256"] in filters.value][:limit]
        return SimpleNamespace(objects=[SimpleNamespace(properties=row, vector=self._vectors) for row in found])

    def exists(self, _: str) -> bool:
        return self._same_server


def store_over(collection: FakeCollection) -> WeaviateStore:
    collections = SimpleNamespace(use=lambda _: collection, exists=lambda _: True)
    client: Any = SimpleNamespace(collections=collections)
    return WeaviateStore(
        client, "http://weaviate:8080", "Image", CollectionState(KEPT, {}, tenants=False, by_module=True)
    )


def put(reasons: dict[str, str], keys: str) -> dict[str, Refusal]:
    return dict(store_over(FakeCollection(reasons)).put([item(key) for key in keys]))


def test_each_refused_object_gets_its_own_reason() -> None:
    assert put({"b": "status 422: broken"}, "abc") == {"b": Refusal("status 422: broken")}


def test_when_all_are_refused_for_several_reasons_each_still_gets_its_own() -> None:
    reasons = {"a": "status 422: broken", "b": "status 413: too large"}
    assert put(reasons, "ab") == {key: Refusal(reason) for key, reason in reasons.items()}


def test_when_all_are_refused_for_one_reason_all_get_it() -> None:
    assert put(dict.fromkeys("ab", "status 422: broken"), "ab") == dict.fromkeys("ab", Refusal("status 422: broken"))


def test_a_transient_refusal_is_marked() -> None:
    busy = "status 503: the queue is full"
    assert put({"a": busy}, "ab") == {"a": Refusal(busy, transient=True)}


def test_a_sidecar_that_weaviate_cannot_reach_is_no_fault_of_the_object() -> None:
    with pytest.raises(SidecarUnreachable, match=r"http://127\.0\.0\.1:9090/vectorize"):
        put({"a": GONE}, "ab")
    with pytest.raises(SidecarUnreachable):
        put(dict.fromkeys("ab", GONE), "ab")


def test_a_weaviate_that_is_read_only_has_stored_none_of_a_batch() -> None:
    """It names the first object only."""
    with pytest.raises(WeaviateUnreachable, match=r"stores nothing at present \(store is read-only.*free some of it"):
        put({"a": "store is read-only due to: resource pressure"}, "abc")


def test_a_sidecar_that_loads_its_model_is_waited_for() -> None:
    loading = "send POST request: fail with status 503: loading emoji; try again in a moment"
    with pytest.raises(SidecarUnreachable, match="is not ready: loading emoji"):
        put({"b": loading}, "abc")


def test_nothing_is_written_once_the_collection_moves_to_another_model() -> None:
    collection = FakeCollection(there=CollectionDescription(MODEL, "thumbnail", moving_to=MODEL))
    with pytest.raises(Mismatch, match=r"being moved to the model .*--reindex"):
        store_over(collection).put([item("a")])
    collection.there = CollectionDescription(MODEL, "thumbnail", vector="clip_2")
    with pytest.raises(Mismatch):
        store_over(collection).put([item("a")])


def test_an_amendment_of_an_object_that_vanished_is_refused_and_others_are_made() -> None:
    collection = FakeCollection({schema.image_id("b"): "404", schema.image_id("c"): GONE.replace("dial tcp", "")[:9]})
    refused = store_over(collection).amend([Amendment(key, "/photos", "new", None) for key in "abc"])
    assert {key: refusal.reason.partition(";")[0] for key, refusal in refused.items()} == {
        "b": "it vanished from the database meanwhile",
        "c": "send POST",
    }
    assert collection.patched == {schema.image_id("a"): ({"source": "/photos", "stamp": "new"}, None)}


def row(key: str, sha256: str, fit: str = "crop", duplicate_of: str = "") -> Row:
    return {"path": key, "sha256": sha256, "fit": fit, "duplicate_of": duplicate_of or None}


def test_the_twin_of_a_content_is_the_original_before_its_duplicates_then_the_first() -> None:
    rows = (row("a", "x", duplicate_of="c"), row("d", "x"), row("c", "x"), row("b", "x", fit="pad"), row("z", "y"))
    found = store_over(FakeCollection(rows=rows)).find_duplicates(
        [("x", "crop"), ("x", "pad"), ("y", "pad"), ("q", "crop")]
    )
    assert {content: twin.key for content, twin in found.items()} == {("x", "crop"): "c", ("x", "pad"): "b"}
    np.testing.assert_array_equal(found["x", "crop"].vector_d, [1, 0, 0])


def test_one_content_that_is_there_thousands_of_times_does_not_hide_the_others() -> None:
    rows = (*(row(f"blank{number}", "x") for number in range(MAX_DUPLICATES + 5)), row("z", "y"))
    found = store_over(FakeCollection(rows=rows)).find_duplicates([("x", "crop"), ("y", "crop")])
    assert found["y", "crop"].key == "z"


def test_thousands_without_a_vector_are_no_duplicates() -> None:
    rows = tuple(row(f"blank{number}", "x") for number in range(MAX_DUPLICATES + 5))
    assert store_over(FakeCollection(rows=rows, vectors={})).find_duplicates([("x", "crop")]) == {}


def test_a_grpc_port_of_another_weaviate_is_found_out() -> None:
    store_over(FakeCollection(known=("x",))).check_ports()
    store_over(FakeCollection()).check_ports()
    with pytest.raises(WeaviateUnreachable, match="belongs to another Weaviate"):
        store_over(FakeCollection(known=("x",), same_server=False)).check_ports()


def test_the_client_cannot_log_whole_images(caplog: pytest.LogCaptureFixture) -> None:
    silence_object_dumps()
    silence_object_dumps()
    logger = logging.getLogger("weaviate-client")
    logger.error({"message": "Failed to send", "errors": "base64" * 1000})
    logger.error("words")
    assert caplog.messages == ["words"]
