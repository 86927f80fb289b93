"""The CPU's towers against open_clip's, in every precision, and against themselves in other company."""

from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.openclip_encoder import build_encoder, detect_plain_heads
from clip_vectorizer.models.packed import PART_ROWS, Numerics, PackedClip
from clip_vectorizer.models.products import AttentionHeads, StockProduct
from tests.models.small import CPU, apart, random_clip

PRECISIONS = {
    "fp32": 1e-6,
    "bf16": 2e-2,
    "int8": 1e-2,
}  # the largest 1 - cosine; these weights are far wilder than real
START, END = 49406, 49407


def rows(values: Tensor) -> np.ndarray:
    return F.normalize(values.float(), dim=-1).numpy()


def texts(*lengths: int) -> Tensor:
    """(N, 77) ids of that many words each, with start and end."""
    ids = torch.zeros(len(lengths), 77, dtype=torch.long)
    for row, length in zip(ids, lengths, strict=True):
        row[: length + 2] = torch.tensor([START, *range(500, 500 + length), END])
    return ids


def pictures(count: int) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def packed(model: nn.Module, precision: str = "fp32") -> PackedClip:
    heads = detect_plain_heads(model)
    assert heads
    return PackedClip.of(model.state_dict(), heads, Placement(precision=precision))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_computes_what_open_clip_computes(precision: str, quick: bool) -> None:
    model, ids = random_clip(quick_gelu=quick), texts(1, 5, 20)
    towers = packed(model, precision)
    pixels = pictures(5)
    images = towers.encode_image(pixels.bfloat16() if precision == "bf16" else pixels)
    assert apart(rows(images), rows(model.encode_image(pixels))) <= PRECISIONS[precision]
    assert apart(rows(towers.encode_text(ids)), rows(model.encode_text(ids))) <= PRECISIONS[precision]


def test_the_bias_of_a_sigmoid_model_is_no_part_of_its_towers() -> None:
    model, pixels, ids = random_clip(init_logit_bias=-10), pictures(5), texts(1, 5, 20)
    towers = packed(model)
    assert apart(rows(towers.encode_image(pixels)), rows(model.encode_image(pixels))) <= PRECISIONS["fp32"]
    assert apart(rows(towers.encode_text(ids)), rows(model.encode_text(ids))) <= PRECISIONS["fp32"]
    model.visual.preprocess_cfg = {"size": 32}  # type: ignore[union-attr, assignment]
    info = build_encoder("sigmoid", model, open_clip.SimpleTokenizer(), Placement(precision="int8")).info
    assert (info.logit_bias, info.precision) == (-10, "int8")


def test_the_wrong_activation_shows() -> None:
    model, pixels = random_clip(quick_gelu=True), pictures(3)
    wrong = PackedClip.of(model.state_dict(), AttentionHeads(2, 2, "gelu"), CPU)
    assert apart(rows(wrong.encode_image(pixels)), rows(model.encode_image(pixels))) > 1e-5


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_vector_does_not_depend_on_its_company(precision: str) -> None:
    towers = packed(random_clip(), precision)
    pixels, ids = pictures(7) * torch.tensor([1, 50, 0.1, 1, 9, 1, 3]).view(7, 1, 1, 1), texts(3, 60, 1)
    alone = torch.cat([towers.encode_image(each[None]) for each in pixels])
    assert apart(rows(towers.encode_image(pixels)), rows(alone)) <= 1e-6
    cut = torch.cat([towers.encode_text(ids[row : row + 1, :length]) for row, length in enumerate((5, 62, 3))])
    assert apart(rows(towers.encode_text(ids)), rows(cut)) <= 1e-6


def test_without_onednn_the_vectors_are_the_same() -> None:
    model, pixels = random_clip(quick_gelu=True), pictures(3)
    stock = PackedClip.build(
        model.state_dict(), AttentionHeads(2, 2, "quick_gelu"), Numerics(torch.float32, StockProduct)
    )
    assert apart(rows(stock.encode_image(pixels)), rows(model.encode_image(pixels))) <= 1e-6


def other_pooling() -> nn.Module:
    model = random_clip()
    model.text_pool_type = "first"  # type: ignore[assignment]
    return model


def average_pooling() -> nn.Module:
    model = random_clip()
    model.visual.pool_type = "avg"  # type: ignore[union-attr, assignment]
    return model


def another_activation() -> nn.Module:
    model = random_clip()
    for block in model.transformer.resblocks:
        block.mlp.gelu = nn.GELU(approximate="tanh")  # type: ignore[union-attr]
    return model


def additional_weights() -> nn.Module:
    model = random_clip()
    visual: Any = model.visual
    visual.conv1.bias = nn.Parameter(torch.zeros(64))
    return model


@pytest.mark.parametrize("make", [other_pooling, average_pooling, another_activation, additional_weights])
def test_a_model_that_differs_in_anything_stays_open_clips(make: type) -> None:
    assert detect_plain_heads(make()) is None


def test_int8_is_refused_for_a_model_that_is_no_plain_clip() -> None:
    model = average_pooling()
    model.visual.preprocess_cfg = {"size": 32}  # type: ignore[union-attr, assignment]
    with pytest.raises(SettingsError, match=r"CLIP_PRECISION='int8'.*not for odd"):
        build_encoder("odd", model, open_clip.SimpleTokenizer(), Placement(precision="int8"))


def test_int8_is_refused_on_a_gpu() -> None:
    with pytest.raises(SettingsError, match="CLIP_PRECISION='int8'"):
        Placement(device="cuda", precision="int8").check()


def test_texts_that_begin_alike_have_the_vectors_that_each_has_alone() -> None:
    towers = packed(random_clip())
    ids = torch.tensor(
        [
            [START, 5, 6, 7, END],
            [START, 5, 6, 8, END],
            [START, 5, 6, END, 0],
            [START, 5, 6, 7, END],
            [START, 6, 6, 7, END],
        ]
    )
    alone = torch.cat([towers.encode_text(each[None, : int(each.argmax()) + 1]) for each in ids])
    assert apart(rows(towers.encode_text(ids)), rows(alone)) <= 1e-6


def test_more_images_than_are_computed_at_once_have_the_vectors_that_each_has_alone() -> None:
    towers, pixels = packed(random_clip()), pictures(401)  # of 5 tokens
    assert len(pixels) * 5 > 2 * PART_ROWS
    together = rows(towers.encode_image(pixels))
    some = torch.cat([towers.encode_image(each[None]) for each in pixels[::50]])
    assert apart(together[::50], rows(some)) <= 1e-6
