"""Decodes a file into the model's pixels. Errors have no position: equal images of two requests are decoded once."""

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.model_input import decode_input, finish_input
from clip_vectorizer.images.opener import read_size
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.models.encoder import Preparer
from clip_vectorizer.vectors import Pixels


def decode_pixels(encoder: Preparer, data: bytes, settings: DecodeSettings) -> Pixels:
    """The first picture of a file, prepared by `encoder.prepare_image`: (S, S, 3) uint8. Thread-safe.

    Raises ImageRefused: 413 before decoding more than `settings.max_pixels`, 422 for an unreadable file.
    """
    try:
        image = decode_input(data, encoder.info.image_size, settings)
    except ImageRefused as error:
        raise add_hint(error) from error
    return finish_input(image, encoder.prepare_image)


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
