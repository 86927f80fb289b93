"""The colours of a file in a model's pixels."""

import io

import numpy as np
from PIL import Image

from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.images.settings import USUAL_DECODING, DecodeSettings
from clip_vectorizer.server.decode import decode_pixels
from tests.fakes import HashEncoder
from tests.images.profiles import P3_PROFILE


def photograph() -> bytes:
    """A JPEG in Display P3 of muted colours and soft outlines."""
    colours = np.random.default_rng(3).integers(60, 180, (2, 3, 3), dtype=np.uint8)
    file = io.BytesIO()
    image = Image.fromarray(colours).resize((640, 480), Image.Resampling.BICUBIC)
    image.save(file, "JPEG", icc_profile=P3_PROFILE, quality=95)
    return file.getvalue()


def test_colours_converted_after_resizing_are_about_those_converted_before() -> None:
    data, encoder = photograph(), HashEncoder()
    decoded = decode_image(data, least_side=2 * encoder.info.image_size)
    right = encoder.prepare_image(decoded.pixels, decoded.box).astype(float)
    assert np.abs(decode_pixels(encoder, data, USUAL_DECODING) - right).mean() < 1
    assert np.abs(decode_pixels(encoder, data, DecodeSettings(colour="raw")) - right).mean() > 3


def test_pixels_can_be_written_to_as_torch_wants() -> None:
    assert decode_pixels(HashEncoder(), photograph(), USUAL_DECODING).flags.writeable
