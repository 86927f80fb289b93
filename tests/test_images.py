import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.images import BAND_PIXELS, small_rgb, upright_rgb


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_a_float_picture_keeps_its_greys_in_each_usual_range(white: float) -> None:
    ramp = Image.fromarray(np.array([[0.0, white / 2, white]], dtype=np.float32))
    greys = np.asarray(upright_rgb(ramp))[0, :, 0]
    np.testing.assert_allclose(greys, [0, 128, 255], atol=1)


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    ramp = Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
    np.testing.assert_allclose(np.asarray(upright_rgb(ramp))[0, :, 0], [0, 128, 255], atol=1)


def test_a_float_picture_with_holes_keeps_its_greys() -> None:
    ramp = Image.fromarray(np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -np.inf]], dtype=np.float32))
    np.testing.assert_allclose(np.asarray(upright_rgb(ramp))[0, :, 0], [0, 128, 255, 0, 255, 0], atol=1)


def test_a_float_picture_without_any_value_is_black() -> None:
    assert (np.asarray(upright_rgb(Image.fromarray(np.full((4, 4), np.nan, np.float32)))) == 0).all()


def large(mode: str) -> Image.Image:
    """Of several bands, a ramp from black to white in each direction, a fifth transparent where `mode` can."""
    wide, high = 1501, 1203
    assert wide * high > BAND_PIXELS
    ramp = Image.fromarray(np.add.outer(np.arange(high) % 128, np.arange(wide) % 127).astype(np.uint8))
    if mode == "RGBA":
        return Image.merge(mode, [ramp, ramp, ramp, ramp.point(lambda level: 0 if level < 50 else 255)])
    if mode in ("F", "I;16"):
        kind, factor = (np.float32, 257.0) if mode == "F" else (np.uint16, 257)
        return Image.fromarray(np.asarray(ramp).astype(kind) * kind(factor))
    return ramp.convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "F", "I;16", "CMYK"])
def test_a_large_picture_in_bands_is_the_picture_at_once(mode: str) -> None:
    image = large(mode)
    corner = upright_rgb(image.crop((1200, 1000, 1501, 1203)))
    np.testing.assert_array_equal(np.asarray(upright_rgb(image))[1000:, 1200:], np.asarray(corner))
    small, box = small_rgb(image, 300)
    assert box == (0, 0, 1501 / 4, 1203 / 4)
    np.testing.assert_array_equal(np.asarray(small)[250:, 300:], np.asarray(corner.reduce(4)))


def test_a_picture_is_never_shrunk_below_the_side_asked_for() -> None:
    assert small_rgb(large("RGB"), 602)[0].size == (1501, 1203)
    assert small_rgb(large("RGB"), 601)[0].size == (751, 602)
