from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.models.runners import batch_buckets, length_buckets, smallest_holding


def test_batches_are_powers_of_two_and_the_largest_itself() -> None:
    assert batch_buckets(256) == (1, 2, 4, 8, 16, 32, 64, 128, 256)
    assert batch_buckets(100) == (1, 2, 4, 8, 16, 32, 64, 100)
    assert batch_buckets(1) == (1,)


def test_clip_texts_come_in_three_lengths() -> None:
    assert length_buckets(77) == (16, 32, 77)
    assert length_buckets(77, least=77) == (77,)
    assert length_buckets(16) == (16,)


@given(max_batch=st.integers(1, 2000), count=st.integers(1, 2000))
def test_a_batch_is_filled_up_by_less_than_its_size(max_batch: int, count: int) -> None:
    buckets = batch_buckets(max_batch)
    assert list(buckets) == sorted(set(buckets))
    size = smallest_holding(count, buckets)
    assert size == max_batch if count >= max_batch else count <= size < 2 * count


@given(context=st.integers(1, 300), share=st.floats(0, 1))
def test_every_text_has_a_length_that_holds_it(context: int, share: float) -> None:
    least = int(share * context)
    lengths = length_buckets(context, least)
    assert list(lengths) == sorted(set(lengths))
    assert lengths[-1] == context
    assert lengths[0] >= least
