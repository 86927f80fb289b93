from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.server.cache import ENTRY_BYTES, VectorCache, content_key
from clip_vectorizer.vectors import Vectors

DIMENSION = 8
COST = DIMENSION * 4 + ENTRY_BYTES


def row(value: float) -> Vectors:
    return np.full(DIMENSION, value, dtype=np.float32)


@given(
    room=st.integers(0, 5),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=40),
)
def test_it_holds_the_rows_used_last_within_its_bytes(room: int, steps: list[tuple[bool, int]]) -> None:
    cache, model = VectorCache(room * COST), OrderedDict[int, float]()
    for turn, (puts, key) in enumerate(steps):
        if puts:
            cache.put(b"%d" % key, row(turn))
            model[key] = turn
            model.move_to_end(key)
            while len(model) > room:
                model.popitem(last=False)
        else:
            found = cache.get(b"%d" % key)
            assert (None if found is None else found[0]) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert len(cache) == len(model)
        assert cache.size_bytes == len(model) * COST <= room * COST


def test_a_row_keeps_neither_its_batch_alive_nor_lets_itself_be_changed() -> None:
    batch, cache = np.ones((100, DIMENSION), dtype=np.float32), VectorCache(10 * COST)
    cache.put(b"k", batch[3])
    batch[3] = 7
    kept = cache.get(b"k")
    assert kept is not None and kept.base is None and (kept == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 2


def test_a_text_and_an_image_of_equal_bytes_have_different_keys() -> None:
    assert content_key(b"text", b"same") != content_key(b"image", b"same")
    assert content_key(b"text", b"same") == content_key(b"text", b"same")
