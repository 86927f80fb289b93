"""Models whose score of a label is a sigmoid: open_clip's and transformers' own probabilities are the reference."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Siglip2Config, Siglip2Model, SiglipConfig, SiglipModel

from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.encoder import Encoder, ModelInfo
from clip_vectorizer.models.openclip_encoder import read_logit_bias
from clip_vectorizer.query.zeroshot.scores import CosineScorer, DecisionRule, ImageBatch
from clip_vectorizer.vectors import Vectors
from tests.models.small import CPU, random_clip, save_folder
from tests.models.small_siglip import SIDE, WORDS, random_siglip, reference_probabilities, save_siglip

TOLERANCE = 1e-5
LABELS = list(WORDS[:5])
TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
FAMILIES: dict[str, tuple[Any, Any]] = {
    "siglip": (SiglipModel, SiglipConfig),
    "siglip2": (Siglip2Model, Siglip2Config),
}


def noise(seed: int = 0) -> list[Image.Image]:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, SIDE, SIDE, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in pixels] + [
        Image.new("RGB", (SIDE, SIDE), each) for each in ("red", "blue")
    ]


def load(folder: Path) -> Encoder:
    return load_encoder(ModelName(f"local-dir:{folder}"), CPU)


def assert_best_two(
    probabilities_nl: Vectors, images_nd: Vectors, texts_ld: Vectors, bias: float, scale: float
) -> None:
    """Compare label, score, runner-up and margin with the reference's probabilities."""
    names = [str(number) for number in range(len(texts_ld))]
    rule = DecisionRule(names, texts_ld, scale, logit_bias=bias)
    batch = ImageBatch([""] * len(images_nd), names_of(images_nd), images_nd)
    logits_nl = CosineScorer(texts_ld, scale).logits(images_nd, batch.ids)
    results = rule.classify(batch, logits_nl, lambda rows: images_nd[list(rows)])
    order = np.argsort(-probabilities_nl, axis=1)
    assert [int(each.label) for each in results] == order[:, 0].tolist()
    assert [int(each.runner_up) for each in results] == order[:, 1].tolist()
    sorted_nl = -np.sort(-probabilities_nl, axis=1)
    np.testing.assert_allclose([each.score for each in results], sorted_nl[:, 0], atol=TOLERANCE)
    np.testing.assert_allclose([each.margin for each in results], sorted_nl[:, 0] - sorted_nl[:, 1], atol=TOLERANCE)
    assert sorted_nl.sum(axis=1).max() > 1.01 and sorted_nl.sum(axis=1).min() < 0.99  # not shares


def names_of(images_nd: Vectors) -> Sequence[str]:
    return [str(number) for number in range(len(images_nd))]


def test_a_folder_of_open_clips_siglip_gives_its_probabilities(tmp_path: Path) -> None:
    encoder = load(save_siglip(random_siglip(), tmp_path))
    assert encoder.info.logit_bias == pytest.approx(-2) and encoder.info.logit_scale == pytest.approx(40)
    images_nd = encoder.encode_images([encoder.prepare_image(each) for each in noise()])
    texts_ld = encoder.encode_texts([encoder.prepare_text(each) for each in LABELS])
    expected_nl = reference_probabilities(tmp_path, noise(), LABELS)
    assert_best_two(expected_nl, images_nd, texts_ld, bias_of(encoder.info), encoder.info.logit_scale)


def bias_of(info: ModelInfo) -> float:
    assert info.logit_bias is not None
    return info.logit_bias


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_siglips_give_their_probabilities(family: str) -> None:
    torch.manual_seed(2)
    model = small_transformers_model(family)
    pixels, ids = torch.randn(8, 3, 32, 32), torch.randint(0, 40, (5, 16))
    with torch.inference_mode():
        answer = model(input_ids=ids, **image_inputs(family, pixels))
    scale, bias = float(model.logit_scale.exp()), read_logit_bias(model)
    assert bias is not None
    expected_nl = torch.sigmoid(answer.logits_per_image).numpy()
    assert_best_two(expected_nl, answer.image_embeds.numpy(), answer.text_embeds.numpy(), bias, scale)


def small_transformers_model(family: str) -> Any:
    text = {**TOWER, "vocab_size": 40, "max_position_embeddings": 16, "projection_size": 32}
    sides: dict[str, Any] = {"siglip": {"image_size": 32}, "siglip2": {"num_patches": 4}}
    vision = {**TOWER, **sides[family], "patch_size": 16}
    build, configure = FAMILIES[family]
    model = build(configure(text_config=text, vision_config=vision))
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    model.logit_scale.data.fill_(8.0).log_()
    model.logit_bias.data.fill_(-1.0)
    return model.eval().requires_grad_(False)


def image_inputs(family: str, pixels_n3ss: torch.Tensor) -> dict[str, torch.Tensor]:
    """SigLIP 2 takes patches, so that images may have any ratio of sides."""
    if family == "siglip":
        return {"pixel_values": pixels_n3ss}
    patches = pixels_n3ss.unfold(2, 16, 16).unfold(3, 16, 16).permute(0, 2, 3, 4, 5, 1).reshape(len(pixels_n3ss), 4, -1)
    shapes = torch.tensor([[2, 2]] * len(pixels_n3ss))
    return {"pixel_values": patches, "pixel_attention_mask": torch.ones(patches.shape[:2]), "spatial_shapes": shapes}


def test_a_model_without_a_bias_is_a_softmax_model(tmp_path: Path) -> None:
    assert load(save_folder(random_clip(), tmp_path)).info.logit_bias is None
    assert load_encoder(ModelName("emoji"), CPU).info.logit_bias is None


def test_a_bias_that_open_clip_filled_in_is_none() -> None:
    assert read_logit_bias(random_siglip(bias=0.0)) is None


def test_models_that_differ_in_their_bias_alone_have_different_revisions(tmp_path: Path) -> None:
    infos = []
    for bias in (-2.0, -3.0):
        folder = tmp_path / str(bias)
        folder.mkdir()
        infos.append(load(save_siglip(random_siglip(bias=bias), folder)).info)
    assert infos[0].revision != infos[1].revision
