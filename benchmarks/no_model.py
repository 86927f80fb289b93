"""A sidecar without a model: requests are read, decoded, tokenised, batched and answered with constant rows.

Run by fronts.py, in a process of its own: `python -c 'from benchmarks.no_model import main; main(PORT, 0.0)'`.
"""

import logging
import os
import sys
import time
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from PIL import Image

from benchmarks.servers import HERE
from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.models.preprocess import PixelRecipe, TorchPreparer
from clip_vectorizer.models.tokens import TrainedTokenizer
from clip_vectorizer.server.serve import serve
from clip_vectorizer.server.settings import parse_settings
from clip_vectorizer.vectors import Box, Pixels, Vectors, unit

SIDE, DIMENSION, CONTEXT = 224, 512, 77  # as ViT-B-32
TOKENIZER = HERE.parent / "clip_vectorizer" / "models" / "emoji" / "tokenizer.json"
RECIPE = PixelRecipe(SIDE)
INFO = ModelInfo("none", "0" * 16, DIMENSION, SIDE, CONTEXT, RECIPE.version, 100.0, "cpu", "fp32")


class NoModel:
    """Rows come from the first numbers of an item, so that they differ and cost nothing."""

    info = INFO

    def __init__(self, pass_seconds: float) -> None:
        """`pass_seconds`: duration of a pass of any size, without using the CPU, like a GPU."""
        self._pass_seconds = pass_seconds

    @cached_property
    def preparer(self) -> TorchPreparer:
        return TorchPreparer(TrainedTokenizer(TOKENIZER, CONTEXT), RECIPE, INFO)

    def prepare_text(self, text: str) -> PreparedText:
        return self.preparer.prepare_text(text)

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        return self.preparer.prepare_image(image, box)

    def warm_up(self, max_batch: int) -> None:
        pass

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        return self._after_the_pass([text.ids for text in texts])

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        return self._after_the_pass([image.reshape(-1)[:DIMENSION] for image in images])

    def _after_the_pass(self, beginnings: Sequence[Sequence[int] | Pixels]) -> Vectors:
        time.sleep(self._pass_seconds)
        return make_rows(beginnings)


def make_rows(beginnings: Sequence[Sequence[int] | Pixels]) -> Vectors:
    rows = np.ones((len(beginnings), DIMENSION), np.float32)
    for row, numbers in zip(rows, beginnings, strict=True):
        row[: len(numbers)] += numbers
    return unit(rows)


def main(port: int, pass_seconds: float) -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    serve(parse_settings({**os.environ, "CLIP_PORT": str(port)}), lambda: [NoModel(pass_seconds)])
