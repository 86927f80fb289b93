"""Broken files are refused or decoded: no other error, no hang, no growth.

`python -m benchmarks.fuzz_images` runs 20,000 of them; this test a part of as many as fit into half a minute.
"""

import os
import random

import pytest

from tests.images import mutations
from tests.images.corpus import all_cases
from tests.images.fuzz import FuzzTally, note_failure, preview_as_ingest, run_files, run_one
from tests.images.mutations import mutated_files, repair_checksums

FILES = int(os.environ.get("CLIP_FUZZ_FILES", "1500"))
SEED = int(os.environ.get("CLIP_FUZZ_SEED", "12"))
MOST_GROWTH = 48 << 20  # bytes; caches of colour profiles fill up to their limits


@pytest.fixture(scope="module")
def tally() -> FuzzTally:
    return run_files(mutated_files(FILES, SEED), FILES)


def test_broken_files_raise_nothing_but_refusals_and_end_soon(tally: FuzzTally) -> None:
    assert tally.failures == []


def test_broken_files_leave_no_memory_behind(tally: FuzzTally) -> None:
    assert tally.grown_bytes < MOST_GROWTH


def test_the_files_reach_all_outcomes(tally: FuzzTally) -> None:
    """If all were refused at their first byte the test would show nothing."""
    for outcome in ("refused", "opened", "damaged"):
        assert tally.outcomes[f"decode_as_sidecar: {outcome}"] > FILES / 100
    assert tally.outcomes["preview_as_ingest: previewed"] > FILES / 20


def test_equal_seeds_make_equal_files() -> None:
    first, again, other = (list(mutated_files(60, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("mutation", mutations.MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_mutation_changes_files_and_takes_empty_ones(mutation: mutations.Mutation) -> None:
    data = next(case.data for case in all_cases() if case.name == "jpeg-plain.jpg")
    changed = {mutation(bytearray(data), data, random.Random(seed)) for seed in range(20)}
    assert len(changed - {data}) > 10
    mutation(bytearray(), b"", random.Random(1))


def test_checksums_are_repaired() -> None:
    files = {case.name: case.data for case in all_cases()}
    assert repair_checksums(files["crc-IDAT.png"]) == repair_checksums(repair_checksums(files["crc-IDAT.png"]))
    assert repair_checksums(files["crc-IDAT.png"]) != files["crc-IDAT.png"]


def test_another_error_and_a_slow_file_are_failures() -> None:
    def break_down(data: bytes) -> str:
        raise KeyError(data)

    tally = FuzzTally()
    run_one(break_down, "a.jpg", b"x", tally)
    assert tally.failures == ["a.jpg: break_down raised KeyError: b'x'"]
    for number in range(100):
        note_failure(tally, str(number))
    assert (tally.outcomes["failed"], len(tally.failures)) == (101, 20)


@pytest.mark.parametrize("lost", [slice(12, 16), slice(16, 23), slice(30, 40)])
def test_a_png_that_lost_a_part_of_its_head_is_refused_by_the_preview(lost: slice) -> None:
    data = bytearray(next(case.data for case in all_cases() if case.name == "crc-tEXt.png"))
    del data[lost]
    assert preview_as_ingest(bytes(data)) == "refused"
