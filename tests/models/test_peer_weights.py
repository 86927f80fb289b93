"""The weights that the benchmark of peers writes are one model in every format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from benchmarks.peers.weights import make_config, make_processor_config, rename_for_transformers, write_rclip_folder
from clip_vectorizer.models.state_dicts import convert_transformers

CONFIG: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16, "head_width": 32},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def small_clip() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return open_clip.CLIP(**CONFIG).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def same_clip(small_clip: Any) -> Any:
    model: Any = CLIPModel(CLIPConfig(**make_config(CONFIG)))
    model.load_state_dict(rename_for_transformers(small_clip.state_dict()))
    return model.eval().requires_grad_(False)


def test_transformers_computes_the_same_image_vectors(small_clip: Any, same_clip: Any) -> None:
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    rows = same_clip.visual_projection(same_clip.vision_model(pixels).pooler_output)
    np.testing.assert_allclose(rows, small_clip.encode_image(pixels), atol=1e-5)


def test_transformers_computes_the_same_text_vectors_with_and_without_padding(small_clip: Any, same_clip: Any) -> None:
    ids = torch.tensor([[49406, 5, 9, 49407, 49407], [49406, 7, 8, 6, 49407]])
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]])
    rows = same_clip.text_projection(same_clip.text_model(ids, attention_mask=mask).pooler_output)
    padded = torch.nn.functional.pad(torch.tensor([[49406, 5, 9, 49407, 0], [49406, 7, 8, 6, 49407]]), (0, 7))
    np.testing.assert_allclose(rows, small_clip.encode_text(padded), atol=1e-5)


def test_the_names_lead_back_to_open_clips(small_clip: Any) -> None:
    weights = {name: value for name, value in small_clip.state_dict().items() if name != "attn_mask"}
    returned = convert_transformers(rename_for_transformers(weights))
    assert returned.keys() == weights.keys()
    assert all(torch.equal(returned[name], value) for name, value in weights.items())


def test_the_processor_resizes_to_the_side_of_the_model() -> None:
    config = make_processor_config(256)
    assert config["size"] == {"shortest_edge": 256}
    assert config["crop_size"] == {"height": 256, "width": 256}
    assert json.loads(json.dumps(config)) == config


def test_rclip_finds_its_downloads(tmp_path: Path) -> None:
    for tower in ("vision", "text"):
        (tmp_path / "onnx" / tower).mkdir(parents=True)
        (tmp_path / "onnx" / tower / "model.onnx").write_text(tower)
    write_rclip_folder(tmp_path, tmp_path / "data")
    [models] = (tmp_path / "data").glob("ViT-B-32-256-*")
    assert (models / "visual.onnx").read_text() == "vision"
    assert (models / "textual.onnx").read_text() == "text"
    assert (tmp_path / "data" / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz").stat().st_size > 1_000_000
