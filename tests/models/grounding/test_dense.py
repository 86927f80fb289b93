"""Patches of a ViT as NACLIP reads them, and boxes from maps."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch import Tensor
from transformers import CLIPModel

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.catalog import load_grounder
from clip_vectorizer.models.grounding.components import bound, find_parts, label_components, split_components
from clip_vectorizer.models.grounding.dense import build_regions
from clip_vectorizer.models.grounding.dense_towers import DenseTower, gaussian_windows, read_open_clip
from clip_vectorizer.models.openclip_encoder import detect_plain_heads
from clip_vectorizer.models.packed import PackedClip, PackedImages
from tests.fakes import HashEncoder
from tests.models.hugging import HuggingClip
from tests.models.small import random_clip

CLOSE = 1e-5
STD = 5.0


@cache
def picture(down: int, along: int, patch: int) -> Tensor:
    return torch.randn(1, 3, down * patch, along * patch, generator=torch.Generator().manual_seed(3))


def reference_patches(model: CLIPModel, pixels: Tensor) -> Tensor:
    """(T, D) by transformers' modules, with the attention written out as the article has it."""
    vision = model.vision_model
    with torch.inference_mode():
        hidden = vision.pre_layrnorm(vision.embeddings(pixels, interpolate_pos_encoding=True))
        *layers, last = vision.encoder.layers
        for layer in layers:
            hidden = layer(hidden, attention_mask=None)
        normed = last.layer_norm1(hidden)[0]
        keys, values = last.self_attn.k_proj(normed), last.self_attn.v_proj(normed)
        side = model.config.vision_config.patch_size
        window = reference_window(pixels.shape[2] // side, pixels.shape[3] // side)
        heads, width = last.self_attn.num_heads, last.self_attn.head_dim
        mixed = []
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            scores = keys[:, part] @ keys[:, part].T / width**0.5 + window
            mixed.append(scores.softmax(dim=1) @ values[:, part])
        rows = last.self_attn.out_proj(torch.cat(mixed, dim=1))
        return model.visual_projection(vision.post_layernorm(rows))


def reference_window(down: int, along: int) -> Tensor:
    """(T, T): a Gaussian of height 1 around each patch; nothing for the class token."""
    places = [(row, column) for row in range(down) for column in range(along)]
    window = torch.zeros(len(places) + 1, len(places) + 1)
    for first, (row, column) in enumerate(places):
        for second, (other_row, other_column) in enumerate(places):
            square = (row - other_row) ** 2 + (column - other_column) ** 2
            window[first + 1, second + 1] = np.exp(-square / (2 * STD**2))
    return window


@pytest.mark.parametrize(("down", "along"), [(2, 2), (3, 5)])
def test_patches_are_those_of_an_implementation_of_others(down: int, along: int) -> None:
    model = random_clip()
    patch = model.visual.patch_size[0]
    pixels = picture(down, along, patch)
    expected = reference_patches(HuggingClip(model, "gelu")._model, pixels)
    with torch.inference_mode():
        ours = read_open_clip(model.visual, pixels, down, along)
    cosines = torch.cosine_similarity(ours, expected, dim=-1)
    assert len(ours) == 1 + down * along and float((1 - cosines).max()) < CLOSE


@pytest.mark.parametrize(("down", "along"), [(2, 2), (3, 5)])
def test_the_fast_towers_read_the_same_patches(down: int, along: int) -> None:
    model = random_clip()
    heads = detect_plain_heads(model)
    assert heads is not None
    packed = PackedClip.of(model.state_dict(), heads, Placement()).encode_image
    assert isinstance(packed, PackedImages)
    pixels = picture(down, along, packed.patch_side)
    slow, fast = DenseTower.__new__(DenseTower), DenseTower.__new__(DenseTower)
    slow._tower, fast._tower = model.visual, packed
    with torch.inference_mode():
        np.testing.assert_allclose(fast.read(pixels), slow.read(pixels), atol=CLOSE)
    assert slow.patch_side == fast.patch_side


def test_the_window_falls_as_a_gaussian_of_five_patches() -> None:
    window = gaussian_windows(1, 11, torch.device("cpu"))
    assert window[0, 0] == 1
    assert float(window[0, 5]) == pytest.approx(np.exp(-0.5))
    assert torch.equal(window, window.T)


@cache
def random_encoder() -> Encoder:
    return load_encoder(ModelName("ViT-S-32-alt::random"), Placement())


@pytest.mark.parametrize("size", [(320, 240), (1, 1), (5, 900)])
def test_any_picture_has_regions_and_answers(size: tuple[int, int]) -> None:
    grounder = load_grounder("dense", random_encoder())
    assert grounder is not None and not grounder.info.fused
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8))
    proposed, found = grounder.propose(image, 4), grounder.ground(image, [["a cat"], ["a dog", "a hound"]])
    assert 1 <= len(proposed.objectness_n) <= 4
    assert found.similarities_pn.shape == found.probabilities_pn.shape == (2, len(found.regions.boxes_n4))
    assert np.all((found.regions.boxes_n4 >= 0) & (found.regions.boxes_n4 <= 1))
    order = np.argsort(found.similarities_pn, axis=None)
    assert np.all(np.diff(found.probabilities_pn.ravel()[order]) >= 0)


@pytest.mark.parametrize("load", [HashEncoder, lambda: load_encoder(ModelName("emoji"), Placement())])
def test_a_tower_that_is_no_transformer_is_refused(load: Callable[[], Encoder]) -> None:
    encoder = load()
    with pytest.raises(ModelUnavailable, match=r"a convolutional tower has no such block.*use --grounder tiles"):
        load_grounder("dense", encoder)


def test_a_region_is_where_the_patches_differ() -> None:
    features_hwd = np.zeros((6, 8, 3), np.float32)
    features_hwd[..., 0] = 1
    features_hwd[2:4, 4:7] = (0, 1, 0)
    phrase = features_hwd[..., 1].repeat(2, axis=0).repeat(2, axis=1)
    regions = build_regions(features_hwd, [phrase])
    np.testing.assert_allclose(regions.boxes_n4, [[4 / 8, 2 / 6, 7 / 8, 4 / 6]])
    np.testing.assert_allclose(regions.vectors_nd, [[0, 1, 0]])


def test_a_flat_map_is_one_region() -> None:
    regions = build_regions(np.ones((2, 3, 4), np.float32), [np.ones((4, 6), np.float32)])
    np.testing.assert_array_equal(regions.boxes_n4, [[0, 0, 1, 1]])


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_parts_cover_a_mask_without_overlap_and_do_not_touch(mask: np.ndarray) -> None:
    parts = list(split_components(mask))
    total = np.sum(parts, axis=0) if parts else np.zeros(mask.shape)
    np.testing.assert_array_equal(total, mask.astype(int))
    labels = label_components(mask)
    for one, other in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        assert np.all((one == other) | (one < 0) | (other < 0))
    for part in parts:
        left, top, right, bottom = bound(part)
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


def test_parts_of_several_levels_are_listed_once() -> None:
    values = np.zeros((4, 4), np.float32)
    values[1:3, 1:3] = 1
    assert [int(part.sum()) for part in find_parts(values)] == [4]
