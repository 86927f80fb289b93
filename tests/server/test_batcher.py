import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.batcher import Answer, Batcher
from clip_vectorizer.vectors import Pixels, Vectors
from tests.fakes import HashEncoder, Scripted, free

HASH = HashEncoder()
POISON = "poison"
WORDS = st.lists(st.one_of(st.text(max_size=4), st.just(POISON)), max_size=9)


def texts(*words: str) -> list[PreparedText]:
    return [HASH.prepare_text(word) for word in words]


def images(count: int) -> list[Pixels]:
    return [np.full((4, 4, 3), shade, dtype=np.uint8) for shade in range(count)]


def expected(words: Sequence[str]) -> Vectors:
    return HASH.encode_texts(texts(*words))


def refuse_poison(items: Sequence[PreparedText], rows: Vectors) -> Vectors:
    if any(bytes(item.ids) == POISON.encode() for item in items):
        raise RuntimeError("poisoned")
    return rows


async def settled(ticks: int = 20) -> None:
    for _ in range(ticks):
        await asyncio.sleep(0.001)


@settings(max_examples=60, deadline=None)
@given(requests=st.lists(WORDS, max_size=8), max_batch=st.integers(1, 5))
def test_every_caller_gets_one_answer_an_item_in_its_order_and_only_poison_fails(
    requests: list[list[str]], max_batch: int
) -> None:
    encoder = free(refuse_poison)

    async def ask_all() -> list[list[Answer]]:
        batcher = Batcher(encoder, max_batch)
        return await asyncio.gather(*(batcher.texts(texts(*words)) for words in requests))

    for words, answers in zip(requests, asyncio.run(ask_all()), strict=True):
        assert len(answers) == len(words)
        for word, answer in zip(words, answers, strict=True):
            if word == POISON:
                assert isinstance(answer, EncoderFailed)
            else:
                np.testing.assert_array_equal(answer, expected([word])[0])
    assert all(size <= max_batch for _, size in encoder.batches)


@settings(max_examples=40, deadline=None)
@given(gone=st.sets(st.integers(0, 7)))
def test_callers_that_leave_are_dropped_and_all_others_are_served(gone: set[int]) -> None:
    encoder = Scripted()

    async def ask_and_leave() -> list[Answer]:
        batcher = Batcher(encoder, 32)
        busy = asyncio.create_task(batcher.texts(texts("first")))
        await settled(3)
        waiting = [asyncio.create_task(batcher.texts(texts(str(n)))) for n in range(8)]
        await settled(3)
        for n in gone:
            waiting[n].cancel()
        await settled(3)
        encoder.free.set()
        await busy
        return [(await task)[0] for n, task in enumerate(waiting) if n not in gone]

    answers = asyncio.run(ask_and_leave())
    stayed = [str(n) for n in range(8) if n not in gone]
    if stayed:
        np.testing.assert_array_equal(np.stack(answers), expected(stayed))
    assert encoder.batches == [("texts", 1)] + ([("texts", len(stayed))] if stayed else [])


def test_what_arrives_while_the_device_is_busy_goes_through_together() -> None:
    encoder = Scripted()

    async def ask() -> None:
        batcher = Batcher(encoder, 32)
        jobs = [asyncio.create_task(batcher.texts(texts("lone")))]
        await settled(3)
        jobs += [asyncio.create_task(batcher.texts(texts(str(n)))) for n in range(5)]
        await settled(3)
        encoder.free.set()
        await asyncio.gather(*jobs)

    asyncio.run(ask())
    assert encoder.batches == [("texts", 1), ("texts", 5)]


def test_a_text_waits_for_one_batch_of_images_and_not_for_all() -> None:
    encoder = Scripted()

    async def ask() -> None:
        batcher = Batcher(encoder, 4)
        pictures = asyncio.create_task(batcher.images(images(12)))
        await settled(3)
        words = asyncio.create_task(batcher.texts(texts("quick")))
        await settled(3)
        encoder.free.set()
        await asyncio.gather(pictures, words)

    asyncio.run(ask())
    assert encoder.batches == [("images", 4), ("texts", 1), ("images", 4), ("images", 4)]


def test_a_row_that_is_not_finite_is_the_error_of_its_item_alone() -> None:
    def second_is_nan(_items: Sequence[PreparedText], rows: Vectors) -> Vectors:
        rows[1] = np.nan
        return rows

    answers = asyncio.run(Batcher(free(second_is_nan), 8).texts(texts("a", "b", "c")))
    np.testing.assert_array_equal([answers[0], answers[2]], expected(["a", "c"]))
    assert isinstance(answers[1], EncoderFailed)
    assert "NaN" in str(answers[1])


@pytest.mark.parametrize("count", [1, 3])
def test_a_model_that_gives_too_few_rows_is_an_error_for_every_item(count: int) -> None:
    answers = asyncio.run(Batcher(free(lambda _items, rows: rows[:0]), 8).texts(texts(*"abc"[:count])))
    assert len(answers) == count
    assert all(isinstance(answer, EncoderFailed) for answer in answers)


def test_the_batcher_lives_on_after_a_failure() -> None:
    async def ask_twice() -> list[list[Answer]]:
        batcher = Batcher(free(refuse_poison), 8)
        return [await batcher.texts(texts(POISON)), await batcher.texts(texts("fine"))]

    failed, fine = asyncio.run(ask_twice())
    assert isinstance(failed[0], EncoderFailed)
    np.testing.assert_array_equal(fine, expected(["fine"]))
