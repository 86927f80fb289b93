"""An encoder that counts what it encodes."""

from collections.abc import Sequence

from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.vectors import Pixels, Vectors
from tests.fakes import HashEncoder


class Counting(HashEncoder):
    def __init__(self) -> None:
        self.texts, self.images = 0, 0

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        self.texts += len(texts)
        return super().encode_texts(texts)

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        self.images += len(images)
        return super().encode_images(images)
