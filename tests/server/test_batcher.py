import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.errors import DeviceLost, EncoderFailed
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.models.pauses import run_pause_work
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.queues import BatchStats, EmbeddingResult, ItemKind
from clip_vectorizer.vectors import Pixels, Vectors
from tests.fakes import HashEncoder, Scripted, free

HASH = HashEncoder()
Answer = EmbeddingResult | BaseException
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


async def encode(batcher: Batcher, *words: str) -> list[Answer]:
    return await together(batcher, "text", texts(*words))


async def together(batcher: Batcher, kind: ItemKind, items: Sequence[PreparedText] | Sequence[Pixels]) -> list[Answer]:
    """The items of one request."""
    owner = object()
    return await asyncio.gather(*(batcher.encode(kind, owner, item) for item in items), return_exceptions=True)


async def encode_with(encoder: HashEncoder, *words: str) -> list[Answer]:
    return await encode(Batcher([encoder], 8), *words)


def vectors(answers: Sequence[Answer]) -> Vectors:
    assert all(isinstance(answer, EmbeddingResult) for answer in answers), answers
    return np.stack([answer.vector for answer in answers if isinstance(answer, EmbeddingResult)])


async def settled(ticks: int = 20) -> None:
    for _ in range(ticks):
        await asyncio.sleep(0.001)


@settings(max_examples=60, deadline=None)
@given(requests=st.lists(WORDS, max_size=8), max_batch=st.integers(1, 5))
def test_every_caller_gets_one_answer_an_item_in_its_order_and_only_poison_fails(
    requests: list[list[str]], max_batch: int
) -> None:
    encoder = free(refuse_poison)

    async def encode_all() -> list[list[Answer]]:
        batcher = Batcher([encoder], max_batch)
        return await asyncio.gather(*(encode(batcher, *words) for words in requests))

    for words, answers in zip(requests, asyncio.run(encode_all()), strict=True):
        assert len(answers) == len(words)
        for word, answer in zip(words, answers, strict=True):
            if word == POISON:
                assert isinstance(answer, EncoderFailed)
            else:
                np.testing.assert_array_equal(vectors([answer]), expected([word]))
    assert all(size <= max_batch for _, size in encoder.batches)


@settings(max_examples=40, deadline=None)
@given(gone=st.sets(st.integers(0, 7)))
def test_callers_that_leave_are_dropped_and_all_others_are_served(gone: set[int]) -> None:
    encoder = Scripted()

    async def encode_and_cancel() -> list[Answer]:
        batcher = Batcher([encoder], 32)
        busy = asyncio.create_task(encode(batcher, "first"))
        await settled(3)
        waiting = [asyncio.create_task(encode(batcher, str(n))) for n in range(8)]
        await settled(3)
        for n in gone:
            waiting[n].cancel()
        await settled(3)
        encoder.free.set()
        await busy
        return [(await task)[0] for n, task in enumerate(waiting) if n not in gone]

    answers = asyncio.run(encode_and_cancel())
    stayed = [str(n) for n in range(8) if n not in gone]
    if stayed:
        np.testing.assert_array_equal(vectors(answers), expected(stayed))
    assert encoder.batches == [("texts", 1)] + ([("texts", len(stayed))] if stayed else [])


def test_items_that_arrive_while_the_device_is_busy_form_one_batch() -> None:
    encoder = Scripted()

    async def both() -> None:
        batcher = Batcher([encoder], 32)
        jobs = [asyncio.create_task(encode(batcher, "lone"))]
        await settled(3)
        jobs += [asyncio.create_task(encode(batcher, str(n))) for n in range(5)]
        await settled(3)
        encoder.free.set()
        await asyncio.gather(*jobs)

    asyncio.run(both())
    assert encoder.batches == [("texts", 1), ("texts", 5)]


def test_on_an_accelerator_a_text_waits_for_one_batch_of_images_and_not_for_all() -> None:
    encoder = Scripted()
    encoder.info = replace(encoder.info, device="cuda:0")

    async def both() -> None:
        batcher = Batcher([encoder], 4)
        pictures = asyncio.create_task(together(batcher, "image", images(12)))
        await settled(3)
        words = asyncio.create_task(encode(batcher, "quick"))
        await settled(3)
        encoder.free.set()
        await asyncio.gather(pictures, words)

    asyncio.run(both())
    assert encoder.batches == [("images", 4), ("texts", 1), ("images", 4), ("images", 4)]


def test_on_a_cpu_a_text_is_let_in_between_the_layers_of_a_pass_over_images() -> None:
    class Layered(HashEncoder):
        over = False

        def encode_images(self, items: Sequence[Pixels]) -> Vectors:
            while not self.over:
                run_pause_work()
            return super().encode_images(items)

    async def both() -> tuple[list[Answer], list[Answer]]:
        encoder = Layered()
        batcher = Batcher([encoder], 4)
        pictures = asyncio.create_task(together(batcher, "image", images(2)))
        await settled(3)
        words = [await asyncio.wait_for(encode(batcher, word), 5) for word in "ab"]
        assert not pictures.done()
        encoder.over = True
        return [answer for answers in words for answer in answers], await pictures

    words, pictures = asyncio.run(both())
    np.testing.assert_array_equal(vectors(words), expected(["a", "b"]))
    np.testing.assert_array_equal(vectors(pictures), HASH.encode_images(images(2)))


def test_a_text_that_is_let_in_and_fails_leaves_the_pass_over_images_alone() -> None:
    class Layered(HashEncoder):
        def encode_images(self, items: Sequence[Pixels]) -> Vectors:
            for _ in range(200):
                run_pause_work()
                time.sleep(0.001)
            return super().encode_images(items)

        def encode_texts(self, _texts: Sequence[PreparedText]) -> Vectors:
            raise RuntimeError("broken")

    async def both() -> tuple[list[Answer], list[Answer]]:
        batcher = Batcher([Layered()], 4)
        pictures = asyncio.create_task(together(batcher, "image", images(2)))
        await settled(3)
        return await encode(batcher, "a"), await pictures

    (word,), pictures = asyncio.run(both())
    assert isinstance(word, EncoderFailed)
    np.testing.assert_array_equal(vectors(pictures), HASH.encode_images(images(2)))


def test_a_row_that_is_not_finite_is_the_error_of_its_item_alone() -> None:
    def second_is_nan(_items: Sequence[PreparedText], rows: Vectors) -> Vectors:
        rows[1] = np.nan
        return rows

    answers = asyncio.run(encode_with(free(second_is_nan), "a", "b", "c"))
    np.testing.assert_array_equal(vectors([answers[0], answers[2]]), expected(["a", "c"]))
    assert isinstance(answers[1], EncoderFailed)
    assert "NaN" in str(answers[1])


@pytest.mark.parametrize("count", [1, 3])
def test_a_model_that_gives_too_few_rows_is_an_error_for_every_item(count: int) -> None:
    answers = asyncio.run(encode_with(free(lambda _items, rows: rows[:0]), *"abc"[:count]))
    assert len(answers) == count
    assert all(isinstance(answer, EncoderFailed) for answer in answers)


def test_the_batcher_lives_on_after_a_failure() -> None:
    async def encode_twice() -> list[list[Answer]]:
        batcher = Batcher([free(refuse_poison)], 8)
        return [await encode(batcher, POISON), await encode(batcher, "fine")]

    failed, fine = asyncio.run(encode_twice())
    assert isinstance(failed[0], EncoderFailed)
    np.testing.assert_array_equal(vectors(fine), expected(["fine"]))


def test_a_lone_request_shares_each_batch_with_one_of_many_items() -> None:
    encoder = Scripted()
    order: list[bytes] = []
    encoder.spoil = lambda items, rows: (order.extend(bytes(item.ids) for item in items), rows)[1]

    async def both() -> None:
        batcher = Batcher([encoder], 2)
        many = asyncio.create_task(encode(batcher, *"abcdefgh"))
        await settled(3)
        lone = asyncio.create_task(encode(batcher, "lone"))
        await settled(3)
        encoder.free.set()
        await asyncio.gather(many, lone)

    asyncio.run(both())
    assert order.index(b"lone") < 4, order


def test_items_that_are_being_prepared_are_waited_for_and_a_lone_one_is_not_held() -> None:
    encoder = free()

    async def both() -> None:
        batcher = Batcher([encoder], 32)
        with batcher.announced("text"):
            first = asyncio.create_task(encode(batcher, "first"))
            await settled(5)
            assert encoder.batches == []
            second = asyncio.create_task(batcher.encode("text", object(), texts("second")[0]))
        await asyncio.gather(first, second)
        await encode(batcher, "third")

    asyncio.run(both())
    assert encoder.batches == [("texts", 2), ("texts", 1)]


def test_an_announced_item_that_fails_delays_no_other() -> None:
    async def both() -> list[Answer]:
        batcher = Batcher([free()], 32)
        with batcher.announced("text"):
            first = asyncio.create_task(encode(batcher, "first"))
            await settled(3)
        return await asyncio.wait_for(first, 5)

    np.testing.assert_array_equal(vectors(asyncio.run(both())), expected(["first"]))


def test_a_full_batch_does_not_wait() -> None:
    encoder = free()

    async def both() -> None:
        batcher = Batcher([encoder], 2)
        with batcher.announced("text"):
            await asyncio.wait_for(encode(batcher, "a", "b"), 5)

    asyncio.run(both())
    assert encoder.batches == [("texts", 2)]


def test_two_devices_work_at_once_on_the_same_queue() -> None:
    encoders = [Scripted(), Scripted()]

    async def both() -> None:
        batcher = Batcher(encoders, 1)
        jobs = [asyncio.create_task(encode(batcher, str(n))) for n in range(4)]
        await settled(5)
        assert [len(encoder.batches) for encoder in encoders] == [1, 1]
        for encoder in encoders:
            encoder.free.set()
        await asyncio.gather(*jobs)

    asyncio.run(both())
    assert sum(len(encoder.batches) for encoder in encoders) == 4


@pytest.mark.parametrize("end", [SystemExit("gone"), MemoryError("gone"), DeviceLost("gone")])
def test_a_dead_worker_fails_all_waiting_and_later_items(end: BaseException) -> None:
    deaths: list[BaseException] = []

    def die(items: Sequence[PreparedText], rows: Vectors) -> Vectors:
        raise end

    async def both() -> list[list[Answer]]:
        batcher = Batcher([free(die)], 1, on_death=deaths.append)
        before = await asyncio.wait_for(asyncio.gather(*(encode(batcher, word) for word in "abc")), 5)
        return [*before, await encode(batcher, "late")]

    answers = asyncio.run(both())
    assert all(isinstance(answer, EncoderFailed) and "gone" in str(answer) for (answer,) in answers)
    assert bool(deaths) == (not isinstance(end, Exception) or isinstance(end, DeviceLost))


def test_a_pass_that_never_ends_is_a_dead_worker() -> None:
    encoder, deaths = Scripted(free=threading.Event()), []

    async def hang() -> list[Answer]:
        batcher = Batcher([encoder], 1, on_death=deaths.append, hang_seconds=0.05)
        answers = await asyncio.wait_for(encode(batcher, "a"), 5)
        encoder.free.set()
        await settled()
        return answers

    (answer,) = asyncio.run(hang())
    assert "took over" in str(answer)
    assert len(deaths) == 1


def test_the_observer_gets_the_statistics_of_every_pass() -> None:
    passes: list[BatchStats] = []

    async def count() -> None:
        await encode(Batcher([free()], 2, observe=passes.append), "a", "b", "c")

    asyncio.run(count())
    assert [(each.kind, each.size, len(each.waits_seconds)) for each in passes] == [("text", 2, 2), ("text", 1, 1)]


def test_the_busy_seconds_of_a_device_grow_during_a_pass_and_at_no_other_time() -> None:
    async def measure() -> list[float]:
        encoder = Scripted()
        batcher = Batcher([encoder], 4)
        seconds = [batcher.busy_seconds()["cpu"]]
        job = asyncio.create_task(encode(batcher, "a"))
        await settled(3)
        for _ in range(2):
            await asyncio.sleep(0.02)
            seconds.append(batcher.busy_seconds()["cpu"])
        encoder.free.set()
        await job
        for _ in range(2):
            await asyncio.sleep(0.05)  # the thread ends its work a moment after it returns the rows
            seconds.append(batcher.busy_seconds()["cpu"])
        return seconds

    before, early, late, after, later = asyncio.run(measure())
    assert before == 0 < early and late - early >= 0.02
    assert after == later >= late


def test_the_busy_seconds_of_devices_of_one_name_are_added_up_and_each_thread_counts_once() -> None:
    """A CPU has a device for texts and one for images, on one thread."""

    async def measure() -> float:
        encoders = [Scripted(), Scripted()]
        batcher = Batcher(encoders, 1)
        jobs = [asyncio.create_task(encode(batcher, str(n))) for n in range(2)]
        await settled(5)
        start = time.perf_counter()
        before = batcher.busy_seconds()["cpu"]
        await asyncio.sleep(0.05)
        spent = batcher.busy_seconds()["cpu"] - before
        share = spent / (time.perf_counter() - start)
        for encoder in encoders:
            encoder.free.set()
        await asyncio.gather(*jobs)
        return share

    assert 1.5 < asyncio.run(measure()) < 2.1
