"""Whether two processes make the same model input of a file: a digest of what becomes of two drawings.

Decoders of two builds may differ by a grey level. A sidecar publishes its digest in `/meta`; a client with the same one
may send the input of the model in place of a file.
"""

import hashlib
import io
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image

from clip_vectorizer.images.model_input import PixelRecipe, decode_input, finish_input, prepare_input
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.vectors import Box, Pixels

DIGEST_BYTES = 8
QUALITY = 87
# Multiples of the input's side: decoded at half of its size and shrunk to half of that; and with a part of a pixel
# at its edges.
SHAPES = ((16 / 3, 4.0), (3.0, 4.7))
MOST_SIDE = 512  # of an input; a larger one would take a second


def digest_pixels(side: int, settings: DecodeSettings, prepare: Callable[[Image.Image, Box], Pixels]) -> str:
    """16 hex digits of the model inputs of the drawings, "" for a model with an input so large that it takes long."""
    if side > MOST_SIDE:
        return ""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for across, down in SHAPES:
        file = draw_check(int(across * side), int(down * side))
        digest.update(finish_input(decode_input(file, side, settings), prepare).tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=4)
def digest_recipe(recipe: PixelRecipe, settings: DecodeSettings) -> str:
    """The digest of this process, which shrinks without torch."""
    return digest_pixels(recipe.size, settings, lambda image, box: prepare_input(image, recipe, box))


def draw_check(wide: int, high: int) -> bytes:
    """A JPEG file of rings that get finer, in colours."""
    rows, columns = np.ogrid[:high, :wide]
    squares = (rows * rows + 3 * columns * columns) // 97
    channels = [(squares * factor + rows * shift).astype(np.uint32) % 256 for factor, shift in ((1, 0), (2, 1), (3, 2))]
    file = io.BytesIO()
    Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8)).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
