from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from ingest.near_duplicates import MOST_DISTANCE, MOST_EQUAL, Pair, near_duplicates

HASHES = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 64).map(lambda ones: (1 << ones) - 1))


@given(st.lists(HASHES, max_size=30), st.integers(0, MOST_DISTANCE))
def test_it_finds_what_comparing_all_with_all_finds(hashes: list[int], distance: int) -> None:
    known = [(f"{number:02}", f"{bits:016x}") for number, bits in enumerate(hashes)]
    brute = [
        Pair(one[0], other[0], apart)
        for one, other in combinations(known, 2)
        if (apart := (int(one[1], 16) ^ int(other[1], 16)).bit_count()) <= distance
    ]
    assert near_duplicates(known, distance) == brute
    assert near_duplicates(reversed(known), distance) == brute


def test_images_without_a_hash_are_left_out() -> None:
    assert near_duplicates([("a", ""), ("b", ""), ("c", "0" * 16)], 4) == []


def test_no_pair_is_lost_among_many_images_however_loose_the_distance() -> None:
    scattered = [(f"{n:05}", f"{n * 0x9E3779B97F4A7C15 & (2**64 - 1):016x}") for n in range(1, 20_000)]
    near = ("~near", f"{int(scattered[77][1], 16) ^ 0x8001_0000_0200_0001:016x}")
    assert Pair("00078", "~near", 4) in near_duplicates([*scattered, near], 10)


def test_blank_pages_are_not_paired_with_each_other_and_hide_nothing() -> None:
    blank = [(f"blank{number}", "0" * 16) for number in range(MOST_EQUAL + 1)]
    known = [*blank, ("a", "f" * 16), ("b", "f" * 15 + "e")]
    assert near_duplicates(known, 4) == [Pair("a", "b", 1)]


def test_a_pair_is_told_by_its_paths() -> None:
    assert Pair("a", "b", 3).as_json() == {"paths": ["a", "b"], "distance": 3}
