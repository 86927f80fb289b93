import logging
from types import SimpleNamespace
from typing import Any

import pytest
from weaviate.exceptions import WeaviateInsertManyAllFailedError

from clip_vectorizer import schema
from clip_vectorizer.errors import SidecarUnreachable, WeaviateUnreachable
from ingest.items import Fingerprint, ImageObject
from ingest.store import Refusal
from ingest.weaviate_store import ALL_ERRORS, WeaviateStore, data_object, fingerprint, silence_object_dumps

GONE = 'send POST request: Post "http://127.0.0.1:9090/vectorize": dial tcp 127.0.0.1:9090: connect: connection refused'
SLOW = 'send POST request: Post "http://x/vectorize": context deadline exceeded (Client.Timeout exceeded)'


def item(key: str) -> ImageObject:
    return ImageObject(
        key, Fingerprint("sha", "cats", "a cat", "emoji"), b"data", b"small", "image/png", replaces=False
    )


class FakeCollection:
    """Refuses by `reasons` as Weaviate's client does: one by one, or all in one exception. Holds `known` by gRPC."""

    def __init__(self, reasons: dict[str, str], known: tuple[str, ...] = (), same_server: bool = True) -> None:
        self._reasons, self._known, self._same_server = reasons, known, same_server
        self.data = self.query = self

    def insert_many(self, objects: list[Any]) -> Any:
        reasons = [self._reasons.get(each.properties[schema.PATH]) for each in objects]
        if all(reasons):
            raise WeaviateInsertManyAllFailedError(ALL_ERRORS + "\n".join(sorted(set(map(str, reasons)))))
        return SimpleNamespace(errors={i: SimpleNamespace(message=r) for i, r in enumerate(reasons) if r})

    def fetch_objects(self, **_: object) -> Any:
        return SimpleNamespace(objects=[SimpleNamespace(uuid=key) for key in self._known])

    def exists(self, _: str) -> bool:
        return self._same_server


def store_over(collection: FakeCollection) -> WeaviateStore:
    client: Any = SimpleNamespace(collections=SimpleNamespace(use=lambda _: collection))
    return WeaviateStore(client, "http://weaviate:8080", "Image", "emoji")


def put(reasons: dict[str, str], keys: str) -> dict[str, Refusal]:
    return dict(store_over(FakeCollection(reasons)).put([item(key) for key in keys]))


def test_each_refused_object_gets_its_own_reason() -> None:
    assert put({"b": "status 422: broken"}, "abc") == {"b": Refusal("status 422: broken")}


def test_when_all_are_refused_for_several_reasons_each_still_gets_its_own() -> None:
    reasons = {"a": "status 422: broken", "b": "status 413: too large"}
    assert put(reasons, "ab") == {key: Refusal(reason) for key, reason in reasons.items()}


def test_when_all_are_refused_for_one_reason_all_get_it() -> None:
    assert put(dict.fromkeys("ab", "status 422: broken"), "ab") == dict.fromkeys("ab", Refusal("status 422: broken"))


@pytest.mark.parametrize("reason", ["fail with status 503: the queue is full", "fail with status 504: late", SLOW])
def test_what_may_pass_is_marked_so(reason: str) -> None:
    assert put({"a": reason}, "ab") == {"a": Refusal(reason, passing=True)}


def test_a_sidecar_that_weaviate_cannot_reach_is_no_fault_of_the_object() -> None:
    with pytest.raises(SidecarUnreachable, match=r"http://127\.0\.0\.1:9090/vectorize"):
        put({"a": GONE}, "ab")
    with pytest.raises(SidecarUnreachable):
        put(dict.fromkeys("ab", GONE), "ab")


def test_a_grpc_port_of_another_weaviate_is_found_out() -> None:
    store_over(FakeCollection({}, known=("x",))).check_ports()
    store_over(FakeCollection({})).check_ports()
    with pytest.raises(WeaviateUnreachable, match="belongs to another Weaviate"):
        store_over(FakeCollection({}, known=("x",), same_server=False)).check_ports()


def test_an_object_says_all_that_the_schema_names_and_comes_back_as_its_fingerprint() -> None:
    stored = data_object(item("animals/cat.png"))
    assert set(stored.properties) == {each.name for each in schema.image_properties()}
    assert stored.properties["image"] == "ZGF0YQ==" and stored.properties["filename"] == "cat.png"
    assert stored.uuid == schema.image_id("animals/cat.png")
    assert fingerprint(stored.properties) == item("animals/cat.png").fingerprint


def test_a_property_that_is_not_there_compares_as_empty() -> None:
    assert fingerprint(dict.fromkeys(("sha256", "label", "caption", "model"))) == Fingerprint("", "", "", "")


def test_the_client_cannot_log_whole_images(caplog: pytest.LogCaptureFixture) -> None:
    silence_object_dumps()
    silence_object_dumps()
    logger = logging.getLogger("weaviate-client")
    logger.error({"message": "Failed to send", "errors": "base64" * 1000})
    logger.error("words")
    assert caplog.messages == ["words"]
