from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ingest.choices import MAX_HASH_DISTANCE
from ingest.near_duplicates import NearDuplicateGroup, find_near_duplicates

HASHES = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 64).map(lambda ones: (1 << ones) - 1))


@given(st.lists(HASHES, max_size=30), st.integers(0, MAX_HASH_DISTANCE))
def test_it_finds_the_same_as_comparing_all_pairs(hashes: list[int], distance: int) -> None:
    known = {f"{number:02}": bits for number, bits in enumerate(hashes)}
    groups = {key: {key} for key in known}
    for one, other in combinations(known, 2):
        if (known[one] ^ known[other]).bit_count() <= distance:
            joined = groups[one] | groups[other]
            groups |= dict.fromkeys(joined, joined)
    brute = sorted({NearDuplicateGroup(tuple(sorted(group))) for group in groups.values() if len(group) > 1})
    pairs = [(key, f"{bits:016x}") for key, bits in known.items()]
    assert find_near_duplicates(pairs, distance) == brute
    assert find_near_duplicates(reversed(pairs), distance) == brute


def test_images_without_a_hash_are_left_out() -> None:
    assert find_near_duplicates([("a", ""), ("b", ""), ("c", "0" * 16)], 4) == []


def test_none_is_lost_among_many_images_however_loose_the_distance() -> None:
    scattered = [(f"{n:05}", f"{n * 0x9E3779B97F4A7C15 & (2**64 - 1):016x}") for n in range(1, 20_000)]
    near = ("~near", f"{int(scattered[77][1], 16) ^ 0x8001_0000_0200_0001:016x}")
    assert any({"00078", "~near"} <= set(group.keys) for group in find_near_duplicates([*scattered, near], 10))


def test_a_thousand_blank_pages_are_one_group() -> None:
    blank = [(f"blank{number:04}", "0" * 16) for number in range(1000)]
    known = [*blank, ("a", "f" * 16), ("b", "f" * 15 + "e")]
    assert find_near_duplicates(known, 4) == [
        NearDuplicateGroup(("a", "b")),
        NearDuplicateGroup(tuple(key for key, _ in blank)),
    ]


def test_a_group_is_reported_by_its_paths() -> None:
    assert NearDuplicateGroup(("a", "b")).as_json() == {"paths": ["a", "b"]}
