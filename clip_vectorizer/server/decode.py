"""Decodes a file into the model's pixels. Errors have no position: equal images of two requests are decoded once."""

import numpy as np
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image, read_size
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.models.encoder import Preparer
from clip_vectorizer.vectors import Pixels

# How many times the model's side an image keeps when it is decoded smaller (benchmarks/decode.py). With the bundled
# model, which is sensitive to it, the least cosine to the full decode's vector was about 0.999 at 2, 0.998 at 1.67 and
# 0.994 at 1.25; noise of one grey level costs as much as 2 does.
SIZE_MARGIN = 2


def decode_pixels(encoder: Preparer, data: bytes, settings: DecodeSettings) -> Pixels:
    """The first picture of a file, prepared by `encoder.prepare_image`: (S, S, 3) uint8. Thread-safe.

    Raises ImageRefused: 413 before decoding more than `settings.max_pixels`, 422 for an unreadable file.
    """
    try:
        image = decode_image(data, settings, SIZE_MARGIN * encoder.info.image_size, late_colour=True)
    except ImageRefused as error:
        raise add_hint(error) from error
    pixels = encoder.prepare_image(image.pixels, image.box)
    return np.array(image.to_srgb(Image.fromarray(pixels))) if image.to_srgb else pixels


def count_pixels(data: bytes, settings: DecodeSettings) -> int:
    """The number of pixels, from the header alone; 0 if only decoding can show it. Raises ImageRefused (413)."""
    try:
        width, height = read_size(data, settings)
    except ImageRefused as error:
        raise add_hint(error) from error
    return width * height


def add_hint(error: ImageRefused) -> ImageRefused:
    """The error with the setting that it depends on."""
    return ImageRefused(413, f"{error.reason} (CLIP_MAX_PIXELS): send a smaller one") if error.status == 413 else error
