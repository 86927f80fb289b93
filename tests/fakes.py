"""An encoder without weights: same input, same unit vector. Obeys the `Encoder` protocol, and fails on demand."""

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.vectors import Box, Pixels, Vectors, unit

DIMENSION, SIDE, CONTEXT = 8, 4, 16
INFO = ModelInfo("hash", "0" * 16, DIMENSION, SIDE, CONTEXT, "squash-4-v1", 100.0, "cpu", "fp32")


class HashPreparer:
    """A text is its UTF-8 bytes, an image its 4 x 4 pixels."""

    info = INFO

    def prepare_text(self, text: str) -> PreparedText:
        ids = text.encode()
        return PreparedText(tuple(ids[:CONTEXT]), len(ids))

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        return np.array(image.resize((SIDE, SIDE), box=box))


class HashEncoder(HashPreparer):
    """The vector is drawn from the hash of what was prepared."""

    @property
    def preparer(self) -> HashPreparer:
        return HashPreparer()

    def warm_up(self, max_batch: int) -> None:
        pass

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        return vectors_of([bytes(text.ids) for text in texts])

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        return vectors_of([image.tobytes() for image in images])


def vectors_of(keys: Sequence[bytes]) -> Vectors:
    """(N, D) unit rows, each a function of its key alone."""
    return unit(np.stack([vector_of(key) for key in keys]))


def vector_of(key: bytes) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "little")
    return np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32)


@dataclass
class Scripted(HashEncoder):
    """Notes each batch, waits for `free` before it answers, and lets `spoil` change or refuse the answer."""

    spoil: Callable[[Sequence[Any], Vectors], Vectors] = lambda _items, rows: rows
    free: threading.Event = field(default_factory=threading.Event)
    batches: list[tuple[str, int]] = field(default_factory=list)

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        return self._noted("texts", texts, super().encode_texts(texts))

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        return self._noted("images", images, super().encode_images(images))

    def _noted(self, lane: str, items: Sequence[Any], rows: Vectors) -> Vectors:
        self.batches.append((lane, len(items)))
        assert self.free.wait(10), "the test never freed the device"
        return self.spoil(items, rows)


def free(spoil: Callable[[Sequence[Any], Vectors], Vectors] = lambda _items, rows: rows) -> Scripted:
    """A scripted encoder that never waits."""
    encoder = Scripted(spoil)
    encoder.free.set()
    return encoder
