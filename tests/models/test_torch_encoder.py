"""The encoder with recorded shapes, as on a GPU, against the eager one; pixels against open_clip; a dead device."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor

from clip_vectorizer.errors import DeviceLost
from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.models.openclip_encoder import ShortTexts
from clip_vectorizer.models.preprocess import OPENAI_MEAN, OPENAI_STD, PixelRecipe
from clip_vectorizer.models.tokens import ClipTokenizer
from clip_vectorizer.models.torch_encoder import TorchEncoder
from tests.models.recordings import Recordings
from tests.models.small import apart, random_clip

RECIPE = PixelRecipe(32)
INFO = ModelInfo("small", "0" * 16, 16, 32, 77, RECIPE.version, 100.0, "cpu", "fp32")
RNG = np.random.default_rng(0)
IMAGES = list(RNG.integers(0, 256, (7, 32, 32, 3), np.uint8))
END = 49407


class Words:
    """A tokenizer: a token a letter."""

    sot_token_id, eot_token_id = 49406, END

    def encode(self, text: str) -> list[int]:
        return [ord(letter) % 1000 for letter in text]


READER = ClipTokenizer(Words(), 77)
EAGER = TorchEncoder(ShortTexts(random_clip()), READER, RECIPE, INFO)


def recorded(max_batch: int, least_tokens: int = 0) -> tuple[TorchEncoder, Recordings]:
    recordings = Recordings()
    encoder = TorchEncoder(ShortTexts(random_clip()), READER, RECIPE, INFO, least_tokens, recordings)
    encoder.warm_up(max_batch)
    return encoder, recordings


SHARED = recorded(4)


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 90), min_size=1, max_size=9))
def test_texts_of_any_lengths_get_the_vectors_that_they_get_on_a_cpu(lengths: list[int]) -> None:
    texts = [READER("x" * length) for length in lengths]
    assert apart(SHARED[0].encode_texts(texts), EAGER.encode_texts(texts)) <= 1e-6


@settings(max_examples=20, deadline=None)
@given(chosen=st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_images_get_the_vectors_that_they_get_on_a_cpu(chosen: list[int]) -> None:
    images = [IMAGES[each] for each in chosen]
    assert apart(SHARED[0].encode_images(images), EAGER.encode_images(images)) <= 1e-6


def test_an_item_has_bit_equal_vectors_in_all_batches_of_one_recording() -> None:
    encoder, _ = recorded(4)
    one, two, three = IMAGES[:3]
    first = encoder.encode_images([one, two, three])[0]
    np.testing.assert_array_equal(encoder.encode_images([one, one, two, three])[0], first)
    np.testing.assert_array_equal(encoder.encode_images([one, three, three])[0], first)


def test_warm_up_records_one_image_shape_and_three_text_lengths_for_each_batch_size() -> None:
    _, recordings = recorded(4)
    texts = [(size, length) for length in (16, 32, 77) for size in (4, 2, 1)]
    assert recordings.sizes == texts + [(size, 32, 32, 3) for size in (4, 2, 1)]


def test_nothing_is_recorded_while_serving() -> None:
    encoder, recordings = recorded(4)
    before = len(recordings.sizes)
    encoder.encode_texts([READER("word " * count) for count in range(11)])
    encoder.encode_images(IMAGES)
    assert len(recordings.sizes) == before


def test_towers_that_see_the_padding_have_one_length() -> None:
    _, recordings = recorded(2, least_tokens=77)
    assert {shape for shape in recordings.sizes if len(shape) == 2} == {(2, 77), (1, 77)}


def test_on_a_cpu_a_batch_is_as_long_as_its_longest_text_and_has_no_more_rows() -> None:
    shapes: list[tuple[int, ...]] = []
    encoder = TorchEncoder(Watched(lambda inputs: shapes.append(tuple(inputs.shape))), READER, RECIPE, INFO)
    encoder.encode_texts([READER("a"), READER("four"), READER("")])
    encoder.encode_images(IMAGES[:3])
    assert shapes == [(3, 6), (3, 3, 32, 32)]


def test_empty_batches_return_empty_arrays() -> None:
    for encoder in (EAGER, SHARED[0]):
        assert encoder.encode_texts([]).shape == encoder.encode_images([]).shape == (0, 16)


def test_bf16_towers_get_bf16_pixels_that_were_normalised_in_fp32() -> None:
    seen: list[Tensor] = []
    info = ModelInfo("small", "0" * 16, 16, 32, 77, RECIPE.version, 100.0, "cpu", "bf16")
    TorchEncoder(Watched(seen.append), READER, RECIPE, info).encode_images(IMAGES[:2])
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (RECIPE.mean, RECIPE.std))
    exact = (torch.from_numpy(np.stack(IMAGES[:2])).permute(0, 3, 1, 2) / 255 - mean) / std
    assert seen[0].dtype == torch.bfloat16
    torch.testing.assert_close(seen[0], exact.bfloat16(), atol=0, rtol=0)


def test_pixels_are_normalised_as_open_clip_does() -> None:
    seen: list[Tensor] = []
    TorchEncoder(Watched(seen.append), READER, RECIPE, INFO).encode_images(IMAGES)
    transform = image_transform_v2(PreprocessCfg(size=32, mean=OPENAI_MEAN, std=OPENAI_STD), is_train=False)
    theirs = torch.stack([transform(Image.fromarray(pixels)) for pixels in IMAGES])
    torch.testing.assert_close(seen[0], theirs, atol=2e-6, rtol=0)


@pytest.mark.parametrize("call", ["encode_texts", "encode_images", "warm_up"])
def test_a_dead_gpu_raises_device_lost(call: str) -> None:
    def kill(_inputs: Tensor) -> None:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    encoder = TorchEncoder(Watched(kill), READER, RECIPE, INFO, recorder=Recordings())
    vars(encoder)["_device"] = torch.device("cuda:0")  # as far as its errors go
    argument = {"encode_texts": [PreparedText((1, 2), 2)], "encode_images": IMAGES[:1], "warm_up": 1}[call]
    with pytest.raises(DeviceLost, match="cuda:0 is lost"):
        getattr(encoder, call)(argument)


class Watched:
    """Towers whose inputs `look` sees."""

    def __init__(self, look: Callable[[Tensor], object]) -> None:
        self._look = look

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor:
        return self._seen(pixels_n3ss)

    def encode_text(self, ids_nt: Tensor) -> Tensor:
        return self._seen(ids_nt)

    def _seen(self, inputs: Tensor) -> Tensor:
        self._look(inputs)
        return torch.ones(len(inputs), 16)
