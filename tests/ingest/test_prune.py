import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, Status
from ingest.listing import Selection, Shard
from ingest.pipeline import IngestSettings, ingest
from ingest.prune import PruneLimit, PruneRefused, RecordingSource, check_prune, prune
from ingest.retry import Patience
from ingest.store.base import ImageStore
from tests.ingest.fakes import FakeStore, File, ListSource, pictures, png

ANY = PruneLimit(percent=100)


def brought_in(source: ListSource, store: FakeStore, selection: Selection | None = None) -> RecordingSource:
    recorded = RecordingSource(source)
    ingest([recorded], store, settings=IngestSettings(selection=selection or Selection(), patience_seconds=0))
    return recorded


def pruned(recorded: RecordingSource, store: ImageStore, limit: PruneLimit = ANY, really: bool = True) -> int:
    return prune([recorded], store, Selection(), limit, Patience(0), really)


def without(source: ListSource, *keys: str) -> ListSource:
    for key in keys:
        del source.files[key]
    return source


def test_vanished_images_alone_are_removed() -> None:
    source, store = ListSource(pictures(20)), FakeStore()
    brought_in(source, store)
    recorded = brought_in(without(source, "0003.png"), store)
    assert pruned(recorded, store, PruneLimit()) == 1
    assert set(store.objects) == set(source.files)
    assert pruned(recorded, store) == 0


def test_many_go_in_several_requests() -> None:
    source, store = ListSource(pictures(600)), FakeStore()
    brought_in(source, store)
    assert pruned(brought_in(without(source, *list(pictures(599))), store), store) == 599
    assert set(store.objects) == {"0599.png"} and sorted(map(len, store.calls_of("delete"))) == [87, 256, 256]


def test_images_of_other_sources_stay() -> None:
    store = FakeStore()
    brought_in(ListSource({"other.png": png()}, "/other"), store)
    source = ListSource(pictures(2))
    brought_in(source, store)
    assert pruned(brought_in(without(source, "0000.png"), store), store) == 1
    assert set(store.objects) == {"other.png", "0001.png"}


def test_more_than_a_person_may_have_meant_is_refused_with_the_way_to_mean_it() -> None:
    source, store = ListSource(pictures(20)), FakeStore()
    brought_in(source, store)
    recorded = brought_in(without(source, *list(pictures(3))), store)
    with pytest.raises(PruneRefused, match=r"3 of 20 images .* \d{4}\.png; nothing was removed.*--prune-limit 3 "):
        pruned(recorded, store, PruneLimit())
    assert len(store.objects) == 20
    assert pruned(recorded, store, PruneLimit.parse("3")) == 3


def test_an_emptied_source_removes_nothing_unless_all_may_go() -> None:
    source, store = ListSource(pictures(5)), FakeStore()
    brought_in(source, store)
    recorded = brought_in(without(source, *list(pictures(5))), store)
    with pytest.raises(PruneRefused):
        pruned(recorded, store, PruneLimit())
    assert pruned(recorded, store, ANY) == 5


@pytest.mark.parametrize(
    ("whole", "gone"),
    [
        ("sub", "sub/x.png"),
        ("a.tar::", "a.tar::x.png"),
        ("a.pdf", "a.pdf#page=2"),
        (".", "x.png"),
        ("t#row=3", "x.png"),
    ],
)
def test_nothing_is_removed_that_may_be_in_an_unlisted_folder(whole: str, gone: str) -> None:
    source, store = ListSource(pictures(20) | {gone: File(png())}), FakeStore()
    brought_in(source, store)
    source.others = [ItemOutcome(whole, Status.FAILED, "cannot be read")]
    recorded = brought_in(without(source, gone), store)
    with pytest.raises(PruneRefused, match=r"cannot be read.*--ignore"):
        pruned(recorded, store)
    assert len(store.objects) == 21


def test_an_unlisted_folder_keeps_its_own_images_only() -> None:
    source, store = ListSource(pictures(20)), FakeStore()
    brought_in(source, store)
    source.others = [
        ItemOutcome("0001.png", Status.FAILED, "a link to nothing"),
        ItemOutcome("sub", Status.FAILED, "no folder"),
    ]
    assert pruned(brought_in(without(source, "0000.png", "0001.png"), store), store) == 1
    assert "0001.png" in store.objects and "0000.png" not in store.objects


def test_a_file_that_is_there_and_broken_has_not_vanished() -> None:
    source, store = ListSource(pictures(2)), FakeStore()
    brought_in(source, store)
    source.files["0000.png"].data = b"no image"
    assert pruned(brought_in(source, store), store) == 0 and len(store.objects) == 2


def test_a_dry_run_counts_the_images_to_remove() -> None:
    source, store = ListSource(pictures(2)), FakeStore()
    brought_in(source, store)
    assert pruned(brought_in(without(source, "0000.png"), store), store, really=False) == 1
    assert len(store.objects) == 2 and not store.calls_of("unlink")


def test_a_renamed_image_is_no_duplicate_of_the_one_that_goes() -> None:
    source, store = ListSource({"old.png": png()}), FakeStore()
    brought_in(source, store)
    source.files = {"new.png": source.files["old.png"]}
    recorded = brought_in(source, store)
    assert store.objects["new.png"].duplicate_of == "old.png"
    pruned(recorded, store)
    assert set(store.objects) == {"new.png"} and store.objects["new.png"].duplicate_of == ""


def test_a_prefix_and_a_shard_have_only_their_own_pruned() -> None:
    store, source = FakeStore(), ListSource(pictures(40))
    for prefix in ("a", "b", ""):
        brought_in(source, store, Selection(prefix))
    selection = Selection("a", Shard(1, 2))
    source.files.clear()
    recorded = brought_in(source, store, selection)
    mine = {key for key in store.objects if key.startswith("a/") and Shard(1, 2).has(key)}
    assert prune([recorded], store, selection, ANY, Patience(0)) == len(mine) > 0
    assert len(store.objects) == 120 - len(mine) and not mine & set(store.objects)


@given(st.integers(0, 100), st.integers(0, 10_000))
def test_a_percentage_limits_the_share(percent: int, of: int) -> None:
    limit = PruneLimit.parse(f"{percent}%")
    assert limit.allows(percent * of // 100, of) and not limit.allows(percent * of // 100 + 1, of)


@pytest.mark.parametrize("text", ["", "%", "-1", "101%", "10%%", "1.5", "ten"])
def test_the_error_for_an_invalid_limit_has_an_example(text: str) -> None:
    with pytest.raises(InputError, match="500 or 20%"):
        PruneLimit.parse(text)


@pytest.mark.parametrize(("selection", "retry"), [(Selection(limit=5), False), (Selection(), True)])
def test_a_part_of_a_source_cannot_be_pruned(selection: Selection, retry: bool) -> None:
    with pytest.raises(InputError, match="whole source"):
        check_prune(selection, retry)
