import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.pictures import upright_rgb


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
