"""Everything of a GPU's passes but the recording itself."""

import logging

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clip_vectorizer.models.runners import BucketRunner, EagerRunner, InputRow
from clip_vectorizer.vectors import Vectors
from tests.models.recordings import Recordings

CPU = torch.device("cpu")


def squares(inputs: Tensor) -> Tensor:
    """A row's own numbers, and nothing of its neighbours."""
    return inputs.float() ** 2 + 1


def rows(*values: int) -> list[InputRow]:
    return [np.array([value, value + 1, 0], np.int64) for value in values]


def by_hand(values: list[int]) -> Vectors:
    return squares(torch.tensor([[value, value + 1, 0] for value in values])).numpy()


@settings(max_examples=80, deadline=None)
@given(batches=st.lists(st.lists(st.integers(0, 999), min_size=1, max_size=21), max_size=6), most=st.integers(1, 9))
def test_every_batch_gets_its_own_rows_after_any_earlier_ones(batches: list[list[int]], most: int) -> None:
    runner = BucketRunner(squares, Recordings())
    runner.warm_up(rows(0), most)
    for batch in batches:
        np.testing.assert_array_equal(runner(rows(*batch)), by_hand(batch))


def test_an_answer_stays_as_it_is_when_the_next_batch_runs() -> None:
    runner = BucketRunner(squares, Recordings())
    first = runner(rows(1, 2, 3))
    runner(rows(7, 8, 9))
    np.testing.assert_array_equal(first, by_hand([1, 2, 3]))


def test_rows_beyond_the_batch_are_neither_fetched_nor_copied_to_the_device() -> None:
    recordings, seen = Recordings(), []
    runner = BucketRunner(lambda inputs: seen.append(inputs.clone()) or squares(inputs), recordings)
    runner.warm_up(rows(0), 4)
    runner(rows(5, 6, 7, 8))
    runner(rows(1, 2, 3))
    assert recordings.fetched == [4, 3]
    assert seen[-1][:, 0].tolist() == [1, 2, 3, 8]  # the last one of the batch before


def test_nan_in_padding_does_not_change_other_rows() -> None:
    runner = BucketRunner(lambda inputs: inputs.double().float().sqrt(), Recordings())
    runner(rows(-9, -9, -9, -9))
    assert np.isfinite(runner(rows(4, 4, 4))).all()


def test_warm_up_records_every_shape_once_the_largest_first_and_serving_records_nothing() -> None:
    recordings = Recordings()
    runner = BucketRunner(squares, recordings)
    runner.warm_up([np.zeros(2, np.int64), np.zeros(3, np.int64)], 5)
    expected = [(size, length) for length in (2, 3) for size in (5, 4, 2, 1)]
    assert recordings.sizes == expected
    for count in range(1, 12):
        runner(rows(*range(count)))
    assert recordings.sizes == expected


def test_a_batch_runs_in_the_smallest_recording_that_holds_it_and_a_larger_one_in_parts() -> None:
    recordings = Recordings()
    runner = BucketRunner(squares, recordings)
    runner.warm_up(rows(0), 8)
    recordings.replayed.clear()
    for count in (1, 3, 8, 19):
        runner(rows(*range(count)))
    assert recordings.replayed == [1, 4, 8, 8, 8, 4]


def test_recordings_that_do_not_fit_are_given_up_and_their_batches_go_in_parts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    recordings = Recordings(room=4)
    runner = BucketRunner(squares, recordings)
    with caplog.at_level(logging.WARNING):
        runner.warm_up(rows(0), 16)
    assert "at most 4 per pass" in caplog.text
    np.testing.assert_array_equal(runner(rows(*range(11))), by_hand(list(range(11))))


def test_a_device_on_which_nothing_fits_is_refused_at_warm_up() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        BucketRunner(squares, Recordings(room=0)).warm_up(rows(0), 16)


def test_a_recording_that_fails_otherwise_fails_the_warm_up() -> None:
    def broken(_inputs: Tensor) -> Tensor:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        BucketRunner(broken, Recordings()).warm_up(rows(0), 2)


def test_a_cpu_computes_the_rows_it_is_given_and_no_more() -> None:
    sizes: list[int] = []
    runner = EagerRunner(lambda inputs: sizes.append(len(inputs)) or squares(inputs), CPU)
    runner.warm_up(rows(0), 256)
    np.testing.assert_array_equal(runner(rows(1, 2, 3)), by_hand([1, 2, 3]))
    assert sizes == [1, 3]


def test_a_cpu_runs_many_pictures_in_even_parts() -> None:
    sizes: list[int] = []

    def note(inputs: Tensor) -> Tensor:
        sizes.append(len(inputs))
        return inputs[:, 0, 0, :2].float()

    pictures = [np.full((224, 224, 3), number, np.uint8) for number in range(33)]
    found = EagerRunner(note, CPU)(pictures)
    assert sizes == [11, 11, 11]
    np.testing.assert_array_equal(found[:, 0], np.arange(33))


def test_a_picture_larger_than_a_part_is_a_part() -> None:
    sizes: list[int] = []
    runner = EagerRunner(lambda inputs: sizes.append(len(inputs)) or inputs[:, 0, 0].float(), CPU)
    runner([np.zeros((2000, 2000, 3), np.uint8)] * 2)
    assert sizes == [1, 1]
