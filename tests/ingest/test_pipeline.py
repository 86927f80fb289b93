import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from clip_vectorizer.errors import Mismatch, SidecarRefused, Unreachable, WeaviateUnreachable
from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit, Keep
from ingest.embed import StoreChange
from ingest.items import Amendment, Facts, ImageObject, ItemOutcome, Status, digest_facts
from ingest.pipeline import LOOKUP_KEYS, IngestSettings, ingest, split_batches
from ingest.prepare import PrepareSettings
from ingest.report import IngestReport
from ingest.sources.base import SkippedFile
from ingest.stages import SizeLimit
from ingest.store.base import Refusal
from tests.ingest.fakes import (
    BLUE,
    BROKEN,
    GREEN,
    RED,
    UNREADABLE,
    FakeEmbedder,
    FakeStore,
    File,
    ListSource,
    pictures,
    png,
)

IMPATIENT = IngestSettings(workers=2, patience_seconds=0)
SMALL = replace(IMPATIENT, embed_batch=SizeLimit(3), module_batch=SizeLimit(3), upload_batch=SizeLimit(3))
TAKE_OVER = replace(IMPATIENT, prepare=PrepareSettings(take_over=True))
ALIKE = replace(IMPATIENT, prepare=PrepareSettings(near_duplicates=True))


def run(source: ListSource, store: FakeStore, settings: IngestSettings = IMPATIENT) -> IngestReport:
    return ingest([source], store, settings=settings)


def numbers(report: IngestReport) -> tuple[int, int, int, int, int]:
    """seen, added, updated, unchanged, failed; they add up."""
    assert report.seen == report.added + report.updated + report.unchanged + report.failed and report.complete
    return report.seen, report.added, report.updated, report.unchanged, report.failed


def test_a_first_run_adds_all_and_a_second_reads_nothing_and_sends_nothing() -> None:
    source, store = ListSource(pictures(10)), FakeStore()
    assert numbers(run(source, store)) == (10, 10, 0, 0, 0)
    source.reads.clear()
    store.calls.clear()
    assert numbers(run(source, store)) == (10, 0, 0, 10, 0)
    assert not source.reads and {name for name, _ in store.calls} == {"states"}


def test_all_facts_of_an_image_are_stored() -> None:
    facts = Facts("cats", "a cat 猫", {"price": 3})
    store = FakeStore()
    run(ListSource({"x.png": File(png(GREEN), facts, "stamp")}), store)
    stored = store.objects["x.png"]
    assert (stored.facts, stored.stamp, stored.source, stored.mime) == (facts, "stamp", "/photos", "image/png")
    assert stored.size == len(png(GREEN)) and stored.thumbnail and stored.vector_d is not None
    assert stored.vector_d.tolist() == [0, 1, 0]


def test_changed_images_are_replaced_and_no_other_is_read() -> None:
    source, store = ListSource(pictures(3)), FakeStore()
    run(source, store)
    source.reads.clear()
    source.files["0000.png"] = File(png(BLUE))
    assert numbers(run(source, store)) == (3, 0, 1, 2, 0) and source.reads == ["0000.png"]
    vector_d = store.objects["0000.png"].vector_d
    assert vector_d is not None and vector_d.tolist() == [0, 0, 1]


def test_a_touched_file_is_read_once_more_and_gets_its_new_stamp() -> None:
    source, store = ListSource({"x.png": File(png(), stamp="old")}), FakeStore()
    run(source, store)
    source.files["x.png"].stamp = "new"
    assert numbers(run(source, store)) == (1, 0, 0, 1, 0) and store.objects["x.png"].stamp == "new"
    source.reads.clear()
    assert numbers(run(source, store)) == (1, 0, 0, 1, 0) and not source.reads


def test_other_facts_are_an_update_that_keeps_the_vector() -> None:
    source, store = ListSource({"x.png": png()}), FakeStore()
    run(source, store)
    before = store.objects["x.png"].vector_d
    source.files["x.png"].facts = Facts("cats", "new")
    assert numbers(run(source, store)) == (1, 0, 1, 0, 0)
    assert store.objects["x.png"].facts.caption == "new" and store.objects["x.png"].vector_d is before
    assert len(store.calls_of("put")) == 1


def test_an_item_without_a_stamp_is_read_every_time_and_unchanged_by_its_bytes() -> None:
    source, store = ListSource({"x.png": File(png(), stamp="")}), FakeStore()
    run(source, store)
    store.calls.clear()
    assert numbers(run(source, store)) == (1, 0, 0, 1, 0) and source.reads == ["x.png"] * 2
    assert {name for name, _ in store.calls} == {"states"}


def test_with_checksum_a_change_that_the_stamp_hides_is_found() -> None:
    source, store = ListSource({"x.png": File(png(RED), stamp="s"), "y.png": File(png(BLUE), stamp="s")}), FakeStore()
    run(source, store)
    source.files["x.png"].data = png(GREEN)
    assert numbers(run(source, store)) == (2, 0, 0, 2, 0)
    assert numbers(run(source, store, replace(IMPATIENT, checksum=True))) == (2, 0, 1, 1, 0)


def test_another_fit_is_another_image() -> None:
    source, store = ListSource({"x.png": png()}), FakeStore()
    run(source, store)
    source.files["x.png"].fit = Fit.PAD
    assert numbers(run(source, store)) == (1, 0, 1, 0, 0) and store.objects["x.png"].fit is Fit.PAD


def test_another_source_overwrites_an_image_only_with_take_over() -> None:
    store = FakeStore()
    run(ListSource({"x.png": png(RED)}, "/one"), store)
    two = ListSource({"x.png": png(BLUE)}, "/two")
    report = run(two, store)
    assert numbers(report) == (1, 0, 0, 0, 1) and store.objects["x.png"].source == "/one"
    assert "/one" in report.failures[0].reason and "--prefix" in report.failures[0].reason
    assert numbers(run(two, store, TAKE_OVER)) == (1, 0, 1, 0, 0) and store.objects["x.png"].source == "/two"


def test_the_same_image_from_another_source_moves_over_without_a_new_vector() -> None:
    store = FakeStore()
    run(ListSource({"x.png": png()}, "/one"), store)
    assert numbers(run(ListSource({"x.png": png()}, "/two"), store)) == (1, 0, 0, 1, 0)
    assert store.objects["x.png"].source == "/two" and len(store.calls_of("put")) == 1


def test_an_unusable_file_is_named_once_and_stops_nothing() -> None:
    source = ListSource({"bad.png": BROKEN, "locked.png": UNREADABLE, "good.png": png()})
    source.files["odd.png"] = File(ZeroDivisionError("in a decoder"))
    source.others = [ItemOutcome("gone", Status.FAILED, "folder cannot be read", "/photos"), SkippedFile("notes.md")]
    report = run(source, FakeStore())
    assert numbers(report) == (5, 1, 0, 0, 4) and report.skipped == 1 and report.exit_code == 3
    reasons = {failure.key: failure.reason for failure in report.failures}
    assert "not an image" in reasons["bad.png"] and "Permission denied" in reasons["locked.png"]
    assert reasons["odd.png"] == "ZeroDivisionError: in a decoder" and reasons["gone"] == "folder cannot be read"


def test_a_listener_is_called_for_every_image_and_the_counts_grow() -> None:
    counts: list[int] = []
    source = ListSource(pictures(5))
    ingest([source], FakeStore(), None, lambda report, event: counts.append(report.done), IMPATIENT)
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 5


def test_stored_states_are_requested_in_bulk() -> None:
    store = FakeStore()
    run(ListSource(dict.fromkeys(pictures(LOOKUP_KEYS + 1), BROKEN)), store)
    assert sorted(map(len, store.calls_of("states"))) == [1, LOOKUP_KEYS]


def test_items_held_in_memory_are_looked_up_in_smaller_parts() -> None:
    store = FakeStore()
    run(ListSource({key: File(BROKEN, held_bytes=20_000_000) for key in pictures(10)}), store)
    assert max(map(len, store.calls_of("states"))) <= 2


# --- equal images


@pytest.mark.parametrize("embedder", [None, FakeEmbedder()])
def test_a_renamed_file_gets_the_vector_that_is_there(embedder: FakeEmbedder | None) -> None:
    source, store = ListSource({"old.png": png()}), FakeStore()
    ingest([source], store, embedder, settings=IMPATIENT)
    store.objects["old.png"] = replace(store.objects["old.png"], vector_d=np.array([9, 9, 9], dtype=np.float32))
    source.files = {"new.png": source.files["old.png"]}
    report = ingest([source], store, embedder, settings=IMPATIENT)
    assert numbers(report) == (1, 1, 0, 0, 0) and report.duplicates == 1
    new = store.objects["new.png"]
    assert new.duplicate_of == "old.png" and new.vector_d is not None and new.vector_d.tolist() == [9, 9, 9]
    assert not embedder or embedder.batches == [1]


def test_equal_images_of_one_run_are_all_linked_to_one_of_them() -> None:
    store = FakeStore()
    report = run(ListSource(dict.fromkeys("abcde", png())), store, SMALL)
    links = [item.duplicate_of for item in store.objects.values()]
    [original] = [key for key, item in store.objects.items() if not item.duplicate_of]
    assert sorted(links) == ["", *[original] * 4] and report.duplicates == 4


def test_two_equal_images_are_never_linked_to_each_other_when_the_first_comes_after_the_second() -> None:
    """As when a run was broken off between the two, or the store has lost one of them."""
    store = FakeStore()
    run(ListSource(dict.fromkeys("ab", png())), store, replace(SMALL, requests=1, workers=1))
    assert store.objects["b"].duplicate_of == "a"
    del store.objects["a"]
    run(ListSource(dict.fromkeys("abc", png())), store)
    assert {key: item.duplicate_of for key, item in store.objects.items()} == {"a": "", "b": "a", "c": "a"}


def test_images_that_trade_places_are_linked_to_nothing() -> None:
    source, store = ListSource({"a": png(RED), "b": png(BLUE)}), FakeStore()
    run(source, store)
    source.files = {"a": File(png(BLUE)), "b": File(png(RED))}
    assert numbers(run(source, store)) == (2, 0, 2, 0, 0)
    assert {item.duplicate_of for item in store.objects.values()} == {""}


def test_an_image_is_linked_no_longer_when_the_one_it_was_equal_to_changes() -> None:
    source, store = ListSource({"a": png(RED), "b": png(RED)}), FakeStore()
    run(source, store)
    first, second = sorted(store.objects, key=lambda key: store.objects[key].duplicate_of)
    assert store.objects[second].duplicate_of == first
    source.files[first] = File(png(BLUE))
    run(source, store)
    assert store.objects[second].duplicate_of == ""


def test_an_equal_file_that_is_shown_in_another_way_is_no_twin() -> None:
    store = FakeStore()
    run(ListSource({"a": File(png(), fit=Fit.CROP), "b": File(png(), fit=Fit.PAD)}), store)
    assert {item.duplicate_of for item in store.objects.values()} == {""}


def test_without_stored_hashes_only_equal_stamps_are_unchanged() -> None:
    source, store = ListSource(pictures(3)), FakeStore(keep=Keep.NONE)
    ingest([source], store, FakeEmbedder(), settings=IMPATIENT)
    assert numbers(ingest([source], store, FakeEmbedder(), settings=IMPATIENT)) == (3, 0, 0, 3, 0)
    assert not store.calls_of("find_duplicates") and len(source.reads) == 3


def test_a_perceptual_hash_that_is_missing_is_made_up_for_once() -> None:
    source, store = ListSource(pictures(3)), FakeStore(keep=Keep.HASH)
    run(source, store)
    assert not list(store.phashes())
    assert numbers(run(source, store, ALIKE)) == (3, 0, 0, 3, 0) and len(list(store.phashes())) == 3
    source.reads.clear()
    assert numbers(run(source, store, ALIKE)) == (3, 0, 0, 3, 0) and not source.reads
    assert len(store.calls_of("put")) == 1


# --- vectors made here


def test_both_ways_to_vectors_store_the_same() -> None:
    source, by_module, by_embedder = ListSource(pictures(20)), FakeStore(), FakeStore()
    embedder = FakeEmbedder()
    run(source, by_module)
    ingest([source], by_embedder, embedder, settings=IMPATIENT)
    assert {key: vector(by_module, key) for key in by_module.objects} == {
        key: vector(by_embedder, key) for key in by_embedder.objects
    }
    assert sum(embedder.batches) == 20


def vector(store: FakeStore, key: str) -> list[float]:
    vector_d = store.objects[key].vector_d
    assert vector_d is not None
    return list(vector_d.tolist())


class RefusingEmbedder(FakeEmbedder):
    """Refuses one file, as a sidecar with other limits would."""

    def _one(self, image: bytes) -> Vectors | SidecarRefused:
        return SidecarRefused(413, "too many pixels") if image == png(GREEN) else super()._one(image)


def test_an_image_that_the_sidecar_refuses_is_named_and_the_others_keep_their_own_vectors() -> None:
    source, store = ListSource({"a": png(RED), "b": png(GREEN), "c": png(BLUE)}), FakeStore(keep=Keep.HASH)
    report = ingest([source], store, RefusingEmbedder(), settings=IMPATIENT)
    assert numbers(report) == (3, 2, 0, 0, 1)
    assert [(each.key, each.reason) for each in report.failures] == [("b", "too many pixels")]
    assert vector(store, "a") == [1, 0, 0] and vector(store, "c") == [0, 0, 1]


def test_another_model_ends_the_run_and_nothing_of_it_is_stored() -> None:
    def restarted(_: Sequence[bytes]) -> None:
        raise Mismatch("another model")

    store = FakeStore()
    with pytest.raises(Mismatch):
        ingest([ListSource(pictures(5))], store, FakeEmbedder(restarted), settings=IMPATIENT)
    assert not store.objects


@pytest.mark.parametrize(
    ("keep", "image", "thumbnail"),
    [(Keep.FULL, True, True), (Keep.THUMBNAIL, False, True), (Keep.HASH, False, False), (Keep.NONE, False, False)],
)
def test_an_image_is_let_go_of_as_soon_as_it_has_its_vector(keep: Keep, image: bool, thumbnail: bool) -> None:
    sent: list[StoreChange] = []
    store = FakeStore(keep=keep, refuse=lambda change: sent.append(change))
    ingest([ListSource({"x.png": png()})], store, FakeEmbedder(), settings=IMPATIENT)
    [made] = sent
    assert isinstance(made, ImageObject)
    assert made.image == (png() if image else b"") and bool(made.thumbnail) == thumbnail


def test_weaviates_module_gets_the_image_to_make_its_vector_of() -> None:
    sent: list[StoreChange] = []
    store = FakeStore(keep=Keep.HASH, refuse=lambda change: sent.append(change))
    run(ListSource({"x.png": png()}), store)
    assert isinstance(sent[0], ImageObject) and sent[0].image == png() and sent[0].vector_d is None


# --- faults


def test_a_refused_object_fails_alone_with_the_reason() -> None:
    store = FakeStore(refuse=lambda change: Refusal("status 422: no") if change.key == "0001.png" else None)
    report = run(ListSource(pictures(3)), store)
    assert numbers(report) == (3, 2, 0, 0, 1)
    assert report.failures == [ItemOutcome("0001.png", Status.FAILED, "status 422: no", "/photos")]


def test_a_store_that_is_away_ends_the_run_and_the_next_run_completes_it() -> None:
    def away(name: str, keys: Sequence[str]) -> None:
        if len(store.calls_of("put")) == 3:
            raise WeaviateUnreachable("connection refused")

    source, store = ListSource(pictures(20)), FakeStore(before=away)
    report = IngestReport()
    with pytest.raises(Unreachable):
        ingest([source], store, None, settings=SMALL, report=report)
    stored = len(store.objects)
    assert 0 < stored < 20 and report.added <= stored
    store.before = lambda name, keys: None
    assert numbers(run(source, store)) == (20, 20 - stored, 0, stored, 0)


def test_the_report_has_the_work_done_before_an_error() -> None:
    def away(name: str, keys: Sequence[str]) -> None:
        if "0090.png" in keys and name == "put":
            raise WeaviateUnreachable("connection refused")

    store, report = FakeStore(before=away), IngestReport()
    alone = replace(SMALL, requests=1)
    with pytest.raises(Unreachable):
        ingest([ListSource(pictures(100))], store, None, settings=alone, report=report)
    assert report.added == len(store.objects) > 0


def test_a_listener_that_fails_leaves_no_thread_running() -> None:
    def listener(report: IngestReport, event: object) -> None:
        if report.done == 3:
            raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt) as caught:
        ingest([ListSource(pictures(500))], FakeStore(), None, listener, SMALL)
    assert caught.value and set(threading.enumerate()) <= before


class Forgetful(FakeStore):
    """Reports success and loses `lost`, the first `times` that it is sent."""

    lost = "0002.png"
    times = 1

    def put(self, objects: Sequence[ImageObject]) -> dict[str, Refusal]:
        answer = dict(super().put(objects))
        if self.times and self.lost in self.objects:
            self.times -= 1
            del self.objects[self.lost]
        return answer


def test_an_object_that_the_store_loses_is_removed_and_sent_once_more() -> None:
    store = Forgetful()
    assert numbers(run(ListSource(pictures(4)), store)) == (4, 4, 0, 0, 0) and len(store.objects) == 4
    assert store.calls_of("delete") == [("0002.png",)]


def test_an_object_that_the_store_loses_again_counts_as_failed() -> None:
    store = Forgetful()
    store.times = 9
    report = run(ListSource(pictures(4)), store)
    assert numbers(report) == (4, 3, 0, 0, 1)
    assert report.failures[0].key == "0002.png" and "does not hold it" in report.failures[0].reason


def test_a_store_that_keeps_an_old_version_is_found_out() -> None:
    source, store = ListSource(pictures(2)), FakeStore()
    run(source, store)
    source.files["0000.png"] = File(png(BLUE))
    old = store.objects["0000.png"]

    def stuck(name: str, keys: Sequence[str]) -> None:
        if name == "put":
            store.objects["0000.png"] = old

    store.after = stuck
    report = run(source, store)
    assert numbers(report) == (2, 0, 0, 1, 1) and report.failures[0].key == "0000.png"


# --- bounds


def test_the_number_of_items_read_and_not_stored_yet_is_bounded() -> None:
    """Though the store takes nothing for a while."""
    source = ListSource(pictures(5000))
    lanes, batches_on_their_way, workers = 256 + 512, 4 * 64 + 3 * 128, 2

    def slow(name: str, keys: Sequence[str]) -> None:
        if name == "put":
            store.before = lambda name, keys: None
            wait_until_still(source.reads)
            most.append(len(source.reads))

    most: list[int] = []
    store = FakeStore(keep=Keep.HASH, before=slow)
    report = ingest([source], store, FakeEmbedder(), settings=replace(IMPATIENT, requests=1))
    assert most[0] <= lanes + batches_on_their_way + workers
    assert numbers(report) == (5000, 5000, 0, 0, 0)


def test_the_bytes_of_waiting_items_are_bounded() -> None:
    size = 1_000_000
    large = {key: data + bytes(size) for key, data in pictures(400).items()}
    source, most = ListSource(large), list[int]()

    def slow(name: str, keys: Sequence[str]) -> None:
        if name == "put":
            store.before = lambda name, keys: None
            wait_until_still(source.reads)
            most.append(len(source.reads))
            raise WeaviateUnreachable("enough")

    store = FakeStore(keep=Keep.FULL, before=slow)
    with pytest.raises(Unreachable):
        ingest([source], store, settings=replace(IMPATIENT, requests=1))
    assert most[0] * size <= 200_000_000


def wait_until_still(growing: Sequence[object]) -> None:
    before = -1
    while len(growing) > before:
        before = len(growing)
        time.sleep(0.15)


def test_batches_are_bounded_by_count_and_bytes_and_a_large_item_goes_alone() -> None:
    one = Amendment("a", "", "", None)
    assert [len(batch) for batch in split_batches([one] * 7, SizeLimit(3))] == [3, 3, 1]
    assert [len(batch) for batch in split_batches([one] * 4, SizeLimit(9, bytes=2 * one.held_bytes))] == [2, 2]
    assert [len(batch) for batch in split_batches([one] * 3, SizeLimit(9, bytes=1))] == [1, 1, 1]
    assert not list(split_batches([], SizeLimit(3)))


def test_equal_facts_have_equal_digests_and_other_facts_have_others() -> None:
    assert digest_facts(Facts("a", "b", {"x": 1, "y": 2})) == digest_facts(Facts("a", "b", {"y": 2, "x": 1}))
    assert digest_facts(Facts("a", "b")) != digest_facts(Facts("b", "a")) != digest_facts(Facts("ab", ""))
