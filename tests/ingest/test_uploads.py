from collections.abc import Iterator

import pytest

from clip_vectorizer.errors import SidecarUnreachable
from ingest.items import Fate, Fingerprint, ImageObject, Outcome
from ingest.store import Refusal
from ingest.uploads import UploadLimits, Uploads, put_patiently
from tests.ingest.fakes import FakeStore

WAITS = (1.0, 2.0)


def item(key: str, size: int = 10) -> ImageObject:
    return ImageObject(key, Fingerprint("sha", "", "", "fake"), b"x" * size, b"", "image/png", replaces=False)


def upload(store: FakeStore, items: list[ImageObject], limits: UploadLimits) -> list[Outcome]:
    uploads = Uploads(store, limits, sleep=lambda _: None)

    def outcomes() -> Iterator[Outcome]:
        for each in items:
            yield from uploads.add(each)
        yield from uploads.finish()

    try:
        return list(outcomes())
    finally:
        uploads.close()


def test_batches_are_bounded_by_count_and_every_item_comes_out_once() -> None:
    store, items = FakeStore(), [item(str(i)) for i in range(10)]
    outcomes = upload(store, items, UploadLimits(batch_objects=4))
    assert [outcome.key for outcome in outcomes] == [each.key for each in items]
    assert sorted(map(len, store.batches)) == [2, 4, 4]


def test_batches_are_bounded_by_bytes_and_a_large_item_travels_alone() -> None:
    store = FakeStore()
    upload(store, [item("a"), item("large", 9000), item("b"), item("c")], UploadLimits(batch_bytes=5000))
    assert sorted(store.batches) == [["a"], ["b", "c"], ["large"]]


def test_a_refused_object_fails_alone_with_the_reason() -> None:
    store = FakeStore(lambda each: Refusal("status 422: broken") if each.key == "1" else None)
    outcomes = upload(store, [item(str(i)) for i in range(3)], UploadLimits())
    assert [(outcome.fate, outcome.reason) for outcome in outcomes if outcome.fate is not Fate.ADDED] == [
        (Fate.FAILED, "status 422: broken")
    ]


def test_only_what_may_pass_is_sent_again_after_longer_and_longer_waits() -> None:
    busy = iter([True, True])
    store = FakeStore(lambda each: Refusal("503", passing=True) if each.key == "b" and next(busy, False) else None)
    waits: list[float] = []
    assert put_patiently(store, [item("a"), item("b")], WAITS, waits.append) == {}
    assert store.batches == [["a", "b"], ["b"], ["b"]] and waits == [1.0, 2.0]


def test_what_never_passes_is_refused_in_the_end() -> None:
    store = FakeStore(lambda _: Refusal("503", passing=True))
    assert put_patiently(store, [item("a")], WAITS, lambda _: None) == {"a": Refusal("503", passing=True)}
    assert len(store.batches) == 3


def test_a_store_that_comes_back_gets_everything() -> None:
    store = FakeStore(away=2)
    assert put_patiently(store, [item("a")], WAITS, lambda _: None) == {}
    assert list(store.objects) == ["a"]


def test_a_store_that_stays_away_ends_the_run() -> None:
    with pytest.raises(SidecarUnreachable):
        upload(FakeStore(away=99), [item("a")], UploadLimits())


def test_a_permanent_refusal_is_kept_when_the_rest_is_tried_again() -> None:
    busy = iter([True])

    def refuse(each: ImageObject) -> Refusal | None:
        if each.key == "bad":
            return Refusal("422")
        return Refusal("503", passing=True) if next(busy, False) else None

    assert put_patiently(FakeStore(refuse), [item("bad"), item("b")], WAITS, lambda _: None) == {"bad": Refusal("422")}
