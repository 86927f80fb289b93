"""What the GPU benchmark can be held to without a GPU."""

import base64
import io
import json
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.gpu_alone import SHORT_TEXT, count_operations
from benchmarks.many_clients import split_load, stamp_picture


@given(in_flight=st.integers(1, 2000), most=st.integers(1, 64))
def test_clients_share_the_load_evenly(in_flight: int, most: int) -> None:
    parts = split_load(in_flight, most)
    assert sum(parts) == in_flight
    assert max(parts) <= most
    assert max(parts) - min(parts) <= 1


@pytest.mark.parametrize(("architecture", "image", "text"), [("ViT-B-32", 8.8, 6.0), ("ViT-L-14", 162.0, 13.3)])
def test_operations_are_those_of_open_clips_profile(architecture: str, image: float, text: float) -> None:
    counted = count_operations(architecture)
    assert counted["image"] / 1e9 == pytest.approx(image, rel=0.01)
    assert counted["text"] / 1e9 == pytest.approx(text * SHORT_TEXT / 77, rel=0.01)


def test_stamped_pictures_have_other_bytes_and_the_same_pixels() -> None:
    file = io.BytesIO()
    Image.effect_noise((40, 30), 50).save(file, "JPEG")
    bodies = list(islice(stamp_picture([file.getvalue()], "1-8-"), 5))
    files = [base64.b64decode(json.loads(body)["images"][0]) for body in bodies]
    assert len(set(files)) == 5
    for each in files:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(each))), np.asarray(Image.open(file)))
