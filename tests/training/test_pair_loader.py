import random

from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.models.preprocess import sides
from clip_vectorizer.training.pair_loader import BatchOrder, DrawnCrop


@given(images=st.integers(2, 200), batch=st.integers(2, 50), seed=st.integers(0, 1000))
def test_an_epoch_has_no_image_twice_and_leaves_less_than_a_batch(images: int, batch: int, seed: int) -> None:
    order = BatchOrder(images, min(batch, images), seed)
    epoch = [index for step in range(order.steps) for index in order.choose(step)]
    assert len(set(epoch)) == len(epoch) > images - batch
    assert set(epoch) <= set(range(images))


def test_each_epoch_has_another_order_which_follows_from_the_seed() -> None:
    order = BatchOrder(100, 10, seed=3)
    assert order.choose(0) != order.choose(10)
    assert order.choose(17) == BatchOrder(100, 10, seed=3).choose(17)
    assert order.choose(17) != BatchOrder(100, 10, seed=4).choose(17)


@given(wide=st.integers(1, 5000), high=st.integers(1, 5000), least=st.floats(0.01, 1), seed=st.integers(0, 1000))
def test_a_crop_lies_in_the_image_and_keeps_its_shape(wide: int, high: int, least: float, seed: int) -> None:
    left, top, right, bottom = DrawnCrop(least, random.Random(seed)).draw((0.0, 0.0, float(wide), float(high)))
    assert 0 <= left < right <= wide and 0 <= top < bottom <= high
    across, down = sides((left, top, right, bottom))
    assert least * 0.999 <= across * down / (wide * high) <= 1.001
    assert abs(across * high - down * wide) <= 1e-6 * wide * high
