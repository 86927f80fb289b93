"""Frames and what is in them arrive as they were sent."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.queues import EmbeddingResult
from clip_vectorizer.server.workers.ipc import (
    HEADER,
    SMALL_BYTES,
    FrameStream,
    ItemMessage,
    pack_item,
    pack_row,
    unpack_item,
    unpack_row,
)
from clip_vectorizer.vectors import Pixels

SIZES = st.one_of(st.integers(0, 40), st.integers(SMALL_BYTES - 8, SMALL_BYTES + 8), st.just(150_528))
FRAMES = st.lists(
    st.tuples(st.integers(0, 255), SIZES.map(lambda size: bytes(range(251)) * (size // 251) + b"e" * (size % 251))),
    max_size=6,
)
KEYS = st.binary(min_size=16, max_size=16)
BIG = st.integers(0, 2**64 - 1)


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 700_000), max_size=10))
def test_frames_arrive_whole_and_in_order_however_the_bytes_come(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    received: list[tuple[int, bytes]] = []
    line = FrameStream(lambda word, body: received.append((word, bytes(body))), lambda: None)
    stream = b"".join(HEADER.pack(len(body), word) + body for word, body in frames)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(places):
        feed(line, stream[start:end])
    assert received == frames


def feed(line: FrameStream, data: bytes) -> None:
    """As a transport does: into the buffer that it is given."""
    while data:
        buffer = line.get_buffer(-1)
        count = min(len(data), len(buffer))
        buffer[:count] = data[:count]
        line.buffer_updated(count)
        data = data[count:]


@given(number=BIG, owner=BIG, key=KEYS, ids=st.lists(st.integers(0, 2**31 - 1), max_size=80))
def test_a_text_travels_with_its_key(number: int, owner: int, key: bytes, ids: list[int]) -> None:
    item = ItemMessage(number, "text", owner, key, PreparedText(tuple(ids), len(ids)))
    assert unpack_item(bytearray(b"".join(pack_item(item)))) == item


@given(number=BIG, owner=BIG, key=KEYS, side=st.integers(1, 20), turned=st.booleans())
def test_pixels_travel_as_they_are_and_can_be_written_to(
    number: int, owner: int, key: bytes, side: int, turned: bool
) -> None:
    pixels: Pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    pixels = pixels.transpose(1, 0, 2) if turned else pixels  # not in one piece of memory
    there = unpack_item(bytearray(b"".join(pack_item(ItemMessage(number, "image", owner, key, pixels)))))
    assert (there.number, there.owner, there.key, there.kind) == (number, owner, key, "image")
    np.testing.assert_array_equal(there.content, pixels)
    assert isinstance(there.content, np.ndarray) and there.content.flags.writeable


@given(number=BIG, values=st.lists(st.floats(width=32, allow_nan=False), max_size=20), cached=st.booleans())
def test_a_row_travels_to_the_last_bit(number: int, values: list[float], cached: bool) -> None:
    row = EmbeddingResult(np.array(values, np.float32), 0.25, 1.5, cached)
    same, there = unpack_row(bytearray(b"".join(pack_row(number, row))))
    assert same == number
    assert there.vector.tobytes() == row.vector.tobytes()
    assert (there.queue_seconds, there.encode_seconds, there.cached) == (0.25, 1.5, cached)
