from collections.abc import Sequence
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, SourceItem, Status
from ingest.listing import ListingProgress, Selection, Shard, list_items
from ingest.pipeline import LOOKUP_KEYS
from ingest.sources.base import SkippedFile
from tests.ingest.fakes import ListSource, pictures, png

ALL = Selection()


def collect(sources: Sequence[ListSource], selection: Selection = ALL) -> tuple[list[SourceItem], list[object]]:
    events: list[object] = []
    return list(list_items(sources, selection, events.append)), events


def keys(sources: Sequence[ListSource], selection: Selection = ALL) -> list[str]:
    return [item.key for item in collect(sources, selection)[0]]


def failures(events: list[object]) -> list[ItemOutcome]:
    return [event for event in events if isinstance(event, ItemOutcome)]


def test_everything_found_is_an_item_a_failure_or_skipped_and_nothing_is_read() -> None:
    gone = ItemOutcome("gone", Status.FAILED, "cannot be read")
    source = ListSource(pictures(2), others=[gone, SkippedFile("notes.md")])
    items, events = collect([source])
    assert [item.key for item in items] == list(pictures(2)) and not source.reads
    assert events == [
        ListingProgress(3),
        gone,
        SkippedFile("notes.md"),
        ListingProgress(0, complete=True),
    ]


def test_items_are_counted_before_a_look_up_can_have_them() -> None:
    events: list[object] = []
    counted: list[int] = []
    for number, _ in enumerate(list_items([ListSource(pictures(600))], ALL, events.append), 1):
        if number % LOOKUP_KEYS == 0:
            counted.append(sum(event.count for event in events if isinstance(event, ListingProgress)))
    assert counted == [256, 512]
    assert sum(event.count for event in events if isinstance(event, ListingProgress)) == 600


def test_items_come_as_they_are_found() -> None:
    def endless() -> object:
        yield from iter(ListSource(pictures(3)))
        raise AssertionError("listed more than requested")

    assert len(list(islice(list_items([endless()], ALL, lambda _: None), 3))) == 3  # type: ignore[list-item]


def test_two_images_with_one_key_never_overwrite_each_other() -> None:
    one, two = ListSource({"x.png": png()}, "/one"), ListSource({"x.png": png(), "y.png": png()}, "/two")
    items, events = collect([one, two])
    assert [(item.key, item.source) for item in items] == [("x.png", "/one"), ("y.png", "/two")]
    [failure] = failures(events)
    assert failure.key == "x.png" and "/two would overwrite what /one has" in failure.reason
    assert "--prefix" in failure.reason


def test_one_source_named_twice_counts_once() -> None:
    source = ListSource(pictures(3))
    items, events = collect([source, source])
    assert len(items) == 3 and not failures(events)


def test_the_second_image_with_a_key_fails_also_if_only_it_is_selected() -> None:
    one, two = ListSource({"x.png": png()}, "/one"), ListSource({"x.png": png()}, "/two")
    assert (
        keys([one, two], Selection(only=lambda found: found.source == "/two" and isinstance(found, SourceItem))) == []
    )


def test_a_failure_of_the_listing_is_selected_like_an_item() -> None:
    source = ListSource(pictures(1), others=[ItemOutcome("gone", Status.FAILED, "cannot be read")])
    _, events = collect([source], Selection(only=lambda found: found.key != "gone"))
    assert not failures(events)


@pytest.mark.parametrize("prefix", ["shop", "/shop/", "shop/"])
def test_a_prefix_goes_before_every_key(prefix: str) -> None:
    source = ListSource({"x.png": png()}, others=[ItemOutcome("gone", Status.FAILED, "cannot be read")])
    items, events = collect([source], Selection(prefix))
    assert [item.key for item in items] == ["shop/x.png"] and failures(events)[0].key == "shop/gone"


@pytest.mark.parametrize("prefix", ["", "/"])
def test_an_empty_prefix_changes_nothing(prefix: str) -> None:
    assert keys([ListSource({"x.png": png()})], Selection(prefix)) == ["x.png"]


def test_a_limit_takes_the_first_and_looks_no_further() -> None:
    source = ListSource(pictures(5))
    items, events = collect([source], Selection(limit=2))
    assert [item.key for item in items] == list(pictures(2)) and events == [ListingProgress(2, complete=True)]


@given(st.sets(st.text(min_size=1), max_size=40), st.integers(1, 7))
def test_shards_are_disjoint_and_together_everything(names: set[str], count: int) -> None:
    sound = sorted(name for name in names if name.isprintable())
    source = ListSource(dict.fromkeys(sound, b""))
    parts = [keys([source], Selection(shard=Shard(index, count))) for index in range(1, count + 1)]
    assert sorted(key for part in parts for key in part) == sound


def test_shards_are_of_about_equal_size() -> None:
    source = ListSource(dict.fromkeys(map(str, range(4000)), b""))
    assert all(900 < len(keys([source], Selection(shard=Shard(index, 4)))) < 1100 for index in range(1, 5))


def test_a_key_is_in_the_same_shard_for_every_source() -> None:
    one, two = ListSource(pictures(50), "/one"), ListSource(pictures(50), "/two")
    part = Selection(shard=Shard(2, 3))
    assert keys([one], part) == keys([two], part)


@pytest.mark.parametrize("text", ["", "2", "0/8", "9/8", "1/0", "-1/2", "a/b", "1/2/3", " 1/2", "1.5/2"])
def test_the_error_for_an_invalid_shard_has_an_example(text: str) -> None:
    with pytest.raises(InputError, match="from 1/8 to 8/8"):
        Shard.parse(text)


def test_a_shard_is_read_as_it_is_written() -> None:
    assert Shard.parse("2/8") == Shard(2, 8)
