"""Vectors against open_clip's own, with small random models."""

import json
import logging
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from clip_vectorizer.errors import ModelUnavailable, SettingsError
from clip_vectorizer.models import openclip
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from tests.models.small import CONFIG, CPU, TEXTS, apart, random_clip, reference_texts, save_folder

TOLERANCE = 1e-6
ARCHITECTURE = "small-test"


def texts_of(encoder: Encoder, texts: list[str] = TEXTS) -> np.ndarray:
    return encoder.encode_texts([encoder.prepare_text(text) for text in texts])


@pytest.fixture
def architecture(tmp_path: Path) -> str:
    """A small architecture registered in open_clip."""
    file = tmp_path / f"{ARCHITECTURE}.json"
    file.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(file)
    return ARCHITECTURE


def test_a_folder_gives_open_clips_vectors(tmp_path: Path) -> None:
    model = random_clip()
    encoder = load_encoder(ModelName(f"local-dir:{save_folder(model, tmp_path)}"), CPU)
    assert apart(texts_of(encoder), reference_texts(model)) <= TOLERANCE
    pixels = torch.randint(0, 255, (3, 32, 32, 3), dtype=torch.uint8)
    mean, std = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    expected = model.encode_image(((pixels / 255 - mean) / std).permute(0, 3, 1, 2), normalize=True)
    assert apart(encoder.encode_images(list(pixels.numpy())), expected.numpy()) <= TOLERANCE


def test_a_text_has_the_same_vector_alone_and_with_longer_ones(tmp_path: Path) -> None:
    encoder = load_encoder(ModelName(f"local-dir:{save_folder(random_clip(), tmp_path)}"), CPU)
    alone = np.concatenate([texts_of(encoder, [text]) for text in TEXTS])
    assert apart(texts_of(encoder), alone) <= TOLERANCE


@pytest.mark.parametrize("quick", [True, False])
def test_the_pretrained_table_decides_the_activation(quick: bool, architecture: str, tmp_path: Path) -> None:
    model = random_clip(quick_gelu=quick)
    weights = tmp_path / "weights.pt"
    torch.save(model.state_dict(), weights)
    entry = {**open_clip.get_pretrained_cfg("ViT-B-32", "openai"), "quick_gelu": quick}
    encoder = openclip.load_entry("small", architecture, entry, str(weights), CPU)
    assert apart(texts_of(encoder), reference_texts(model)) <= TOLERANCE
    wrong = openclip.load_entry("small", architecture, {**entry, "quick_gelu": not quick}, str(weights), CPU)
    assert apart(texts_of(wrong), reference_texts(model)) > 100 * TOLERANCE


def test_openais_tag_is_quick_in_the_table_we_read() -> None:
    assert open_clip.get_pretrained_cfg("ViT-B-32", "openai")["quick_gelu"] is True
    assert not open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k").get("quick_gelu")


def test_an_entrys_preprocessing_is_used(architecture: str, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save(random_clip().state_dict(), weights)
    entry = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    encoder = openclip.load_entry("small", architecture, entry, str(weights), CPU)
    assert encoder.info.preprocessing == "squash-32-bilinear-v3"


def test_a_checkpoint_loads_with_its_architecture_and_is_refused_without(architecture: str, tmp_path: Path) -> None:
    model, file = random_clip(), tmp_path / "checkpoint.pt"
    torch.save({"state_dict": model.state_dict()}, file)
    encoder = load_encoder(ModelName(str(file), architecture), CPU)
    assert apart(texts_of(encoder), reference_texts(model)) <= TOLERANCE
    with pytest.raises(ModelUnavailable, match="--architecture"):
        load_encoder(ModelName(str(file)), CPU)


def test_random_weights_are_the_same_every_time_and_logged(architecture: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        first, second = (load_encoder(ModelName(f"{architecture}::random"), CPU) for _ in range(2))
    np.testing.assert_array_equal(texts_of(first), texts_of(second))
    assert first.info.revision == second.info.revision
    assert "load tests only" in caplog.text


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", TOLERANCE), ("bf16", 2e-2)])
def test_vectors_are_unit_float32_rows_in_every_precision(precision: str, tolerance: float, tmp_path: Path) -> None:
    model = random_clip()
    encoder = load_encoder(ModelName(f"local-dir:{save_folder(model, tmp_path)}"), Placement(precision=precision))
    rows = texts_of(encoder)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert apart(rows, reference_texts(model)) <= tolerance
    image = encoder.encode_images([encoder.prepare_image(Image.new("RGB", (50, 40), "red"))])
    assert (image.dtype, image.shape) == (np.float32, (1, 16))


def test_half_precision_weights_run_in_fp32_on_a_cpu(tmp_path: Path) -> None:
    model = random_clip().half()
    encoder = load_encoder(ModelName(f"local-dir:{save_folder(model, tmp_path)}"), CPU)
    assert apart(texts_of(encoder), reference_texts(model.float())) <= TOLERANCE


def test_weights_that_cannot_be_fetched_are_one_sentence_with_what_was_tried() -> None:
    def offline(_entry: object) -> str:
        raise OSError("no route to host")

    with pytest.raises(ModelUnavailable, match=r"tried the cache and huggingface\.co/timm.*no route to host"):
        openclip.load_tag("ViT-B-32", "openai", CPU, offline)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("emojis", "emoji"), ("ViT-B32::openai", "ViT-B-32::openai"), ("ViT-B-32::opnai", "ViT-B-32::openai")],
)
def test_an_unknown_name_is_answered_with_near_ones(name: str, meant: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"did you mean .*{meant}"):
        load_encoder(ModelName(name), CPU)


@pytest.mark.parametrize("config", [None, "{}", "[", '{"model_cfg": 7}'])
def test_a_folder_without_a_model_is_refused_by_name(config: str | None, tmp_path: Path) -> None:
    if config:
        (tmp_path / "open_clip_config.json").write_text(config)
    with pytest.raises(ModelUnavailable, match=r"open_clip_config\.json"):
        load_encoder(ModelName(f"local-dir:{tmp_path}"), CPU)


def test_a_folder_without_weights_is_refused_and_never_random(tmp_path: Path) -> None:
    save_folder(random_clip(), tmp_path)
    (tmp_path / "open_clip_model.safetensors").unlink()
    with pytest.raises(ModelUnavailable):
        load_encoder(ModelName(f"local-dir:{tmp_path}"), CPU)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match="CLIP_DEVICE"):
        load_encoder(ModelName("emoji"), Placement(device="cuda:99"))
