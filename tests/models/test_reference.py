"""Vectors of the real loading code against two references with the same random weights: open_clip and transformers."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.model import CLIP
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image, ImageDraw

from clip_vectorizer.models import openclip
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import hash_weights
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.vectors import Pixels
from tests.models.hugging import HuggingClip
from tests.models.small import CONFIG, CPU, TEXTS, apart, random_clip, save_folder

TOLERANCE = 1e-6
# QuickGELU and GELU are at most 0.02 apart: with random weights the wrong one moves a vector by 1 - cos of some 1e-5
# to 1e-4, in a small model as in ViT-B-32. (A trained one loses 4 points of zero-shot accuracy by it.)
WRONG = 10 * TOLERANCE
ARCHITECTURE = "reference-test"
Model = tuple[CLIP, HuggingClip, Encoder]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Model:
    model = random_clip()
    folder = save_folder(model, tmp_path_factory.mktemp("small"))
    return model, HuggingClip(model, "gelu"), load_encoder(ModelName(f"local-dir:{folder}"), CPU)


@pytest.fixture(scope="module")
def large() -> Model:
    encoder = load_encoder(ModelName("ViT-B-32::random"), CPU)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(openclip.RANDOM_WEIGHTS_SEED)
        model = open_clip.create_model("ViT-B-32").eval().requires_grad_(False)
    assert encoder.info.revision == hash_weights(model)  # the same weights
    return model, HuggingClip(model, "gelu"), encoder


@pytest.mark.parametrize("size", ["small", "large"])
def test_texts_are_open_clips_and_transformers(size: str, request: pytest.FixtureRequest) -> None:
    model, hugging, encoder = request.getfixturevalue(size)
    ours = encoder.encode_texts([encoder.prepare_text(text) for text in TEXTS])
    ids = open_clip.SimpleTokenizer()(TEXTS)
    assert apart(ours, model.encode_text(ids, normalize=True).numpy()) <= TOLERANCE
    assert apart(ours, hugging.texts(ids)) <= TOLERANCE


@pytest.mark.parametrize("size", ["small", "large"])
def test_images_are_open_clips_and_transformers(size: str, request: pytest.FixtureRequest) -> None:
    model, hugging, encoder = request.getfixturevalue(size)
    images = noise(5, encoder.info.image_size)
    ours, pixels = encoder.encode_images(images), normalised(images)
    assert apart(ours, model.encode_image(pixels, normalize=True).numpy()) <= TOLERANCE
    assert apart(ours, hugging.images(pixels)) <= TOLERANCE


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_any_batch_of_texts_is_open_clips(small: Model, texts: list[str]) -> None:
    model, _, encoder = small
    ours = encoder.encode_texts([encoder.prepare_text(text) for text in texts])
    ids = open_clip.SimpleTokenizer()(texts)
    assert apart(ours, model.encode_text(ids, normalize=True).numpy()) <= TOLERANCE


def test_the_openai_tag_computes_quick_gelu_as_transformers_does_and_gelu_would_be_caught(tmp_path: Path) -> None:
    """By the way of the tag `openai`: the same entry of the table, with weights of our own."""
    model, weights = random_clip(quick_gelu=True), tmp_path / "weights.pt"
    torch.save(model.state_dict(), weights)
    (tmp_path / f"{ARCHITECTURE}.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(tmp_path / f"{ARCHITECTURE}.json")
    entry = open_clip.get_pretrained_cfg("ViT-B-32", "openai")
    encoder = openclip.load_entry("small", ARCHITECTURE, entry, str(weights), CPU)
    assert_only(encoder, HuggingClip(model, "quick_gelu"), HuggingClip(model, "gelu"))


def test_vit_b_32_quickgelu_is_transformers_quick_gelu_and_gelu_would_be_caught(large: Model) -> None:
    model, _, _ = large
    encoder = load_encoder(ModelName("ViT-B-32-quickgelu::random"), CPU)
    assert encoder.info.revision == hash_weights(model)  # the same weights, so no second model of 600 MB
    assert_only(encoder, HuggingClip(model, "quick_gelu"), HuggingClip(model, "gelu"))


def test_the_whole_way_from_a_picture_is_open_clips_within_its_grey_levels(large: Model) -> None:
    """Resizing differs by a grey level here and there, which costs far less than any other picture would."""
    model, _, encoder = large
    picture = photograph()
    transform = image_transform_v2(PreprocessCfg(size=224, interpolation="bicubic"), is_train=False)
    theirs = model.encode_image(transform(picture)[None], normalize=True).numpy()
    assert apart(encoder.encode_images([encoder.prepare_image(picture)]), theirs) <= 1e-4


def assert_only(encoder: Encoder, right: HuggingClip, wrong: HuggingClip) -> None:
    """The encoder computes what `right` does, and the test distinguishes that from `wrong`."""
    images, ids = noise(3, encoder.info.image_size), open_clip.SimpleTokenizer()(TEXTS)
    texts = encoder.encode_texts([encoder.prepare_text(text) for text in TEXTS])
    rows, pixels = encoder.encode_images(images), normalised(images)
    assert max(apart(texts, right.texts(ids)), apart(rows, right.images(pixels))) <= TOLERANCE
    assert min(apart(texts, wrong.texts(ids)), apart(rows, wrong.images(pixels))) > WRONG


def noise(count: int, size: int) -> list[Pixels]:
    return list(np.random.default_rng(3).integers(0, 256, (count, size, size, 3), np.uint8))


def normalised(images: Sequence[Pixels]) -> torch.Tensor:
    """(N, 3, S, S) as open_clip's ToTensor and Normalize make them."""
    mean, std = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    return ((torch.from_numpy(np.stack(images)) / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def photograph() -> Image.Image:
    """Shades, edges and noise, of a photograph's size."""
    image = Image.radial_gradient("L").resize((640, 480)).convert("RGB")
    ImageDraw.Draw(image).polygon([(80, 400), (300, 60), (520, 420)], fill="orange", outline="black")
    return Image.blend(image, Image.effect_noise((640, 480), 80).convert("RGB"), 0.2)
