"""Folders of transformers' layout: what is refused, and what a served model has."""

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.image_processors import read_image_processor
from clip_vectorizer.models.transformers_models import TransformersTowers
from tests.models.conformance.small_tokenizers import t5_tokenizer
from tests.models.conformance.transformers_files import (
    LATER_PROCESSOR,
    OPENAI_PROCESSOR,
    SIGLIP_PROCESSOR,
    clip_config,
    save_folder,
    siglip_config,
)
from tests.models.small import CPU

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 605157884\n"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved_siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tokenizer = tmp_path_factory.mktemp("siglip"), t5_tokenizer()
    model = transformers.SiglipModel(siglip_config(len(tokenizer)))
    save_folder(folder, model, tokenizer, SIGLIP_PROCESSOR, "5GB", "safetensors")
    return folder


@pytest.fixture
def siglip(saved_siglip: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(saved_siglip, tmp_path, dirs_exist_ok=True)


def refusal(folder: Path) -> str:
    with pytest.raises(ModelUnavailable) as caught:
        load_encoder(ModelName(f"local-dir:{folder}"), CPU)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change_json(name: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return change


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def lose_tensors(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    kept = {name: value for name, value in weights.items() if "vision_model.head" not in name}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})


def lose_vocabulary(folder: Path) -> None:
    """The vocabulary of another class of tokenizer: transformers makes an empty one, or fails."""
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("")


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "NaFlex": (change_json("config.json", model_type="siglip2"), "any aspect ratio (NaFlex), which is not supported"),
    "another type": (change_json("config.json", model_type="gpt2"), "model_type 'gpt2'; expected clip or siglip"),
    "no JSON": (write("config.json", b"{"), "is not JSON"),
    "a list": (write("config.json", b"[]"), "expected a JSON object"),
    "no processor": (remove("preprocessor_config.json"), "has no preprocessor_config.json"),
    "other side": (
        change_json("preprocessor_config.json", size={"height": 32, "width": 32}),
        "makes 32 pixels, but the image tower takes 64",
    ),
    "no square": (
        change_json("preprocessor_config.json", size={"height": 64, "width": 32}),
        "expected shortest_edge, or equal height and width",
    ),
    "other filter": (change_json("preprocessor_config.json", resample=1), "expected 2 (bilinear) or 3 (bicubic)"),
    "no tokenizer": (remove("tokenizer.json"), "has no tokenizer: expected tokenizer.json"),
    "no vocabulary": (lose_vocabulary, "the tokenizer of "),
    "no weights": (remove(WEIGHTS), "has no weights: expected model.safetensors or"),
    "pointer": (write(WEIGHTS, POINTER), "git lfs pull"),
    "missing tensors": (lose_tensors, "lack 11 tensors (vision_model.head."),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_folder_that_is_not_whole_is_refused_with_what_was_expected(kind: str, siglip: Path) -> None:
    change, fragment = CHANGES[kind]
    change(siglip)
    assert fragment in refusal(siglip)


def test_a_crop_that_is_smaller_than_the_resized_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**OPENAI_PROCESSOR, "size": 72}))
    with pytest.raises(ModelUnavailable, match="crops 72 pixels to 64"):
        read_image_processor(tmp_path, "clip")


@pytest.mark.parametrize("processor", [OPENAI_PROCESSOR, LATER_PROCESSOR])
def test_processors_of_all_years_mean_the_same(processor: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    found = read_image_processor(tmp_path, "clip")
    (tmp_path / "preprocessor_config.json").unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": processor}))
    assert read_image_processor(tmp_path, "clip") == found
    assert found is not None
    assert (found.size, found.resize, found.interpolation, found.crop) == (64, "shortest", "bicubic", "floor")


def test_the_biases_of_a_siglip_are_there(siglip: Path) -> None:
    model = transformers.SiglipModel.from_pretrained(siglip)
    model.logit_bias.data.fill_(-12.5)
    model.requires_grad_(False)
    towers = TransformersTowers(model, {})
    assert towers.logit_bias is not None
    assert float(towers.logit_bias) == -12.5
    assert TransformersTowers(transformers.CLIPModel(clip_config()), {}).logit_bias is None


def test_a_served_siglip_has_the_context_and_the_scale_of_its_folder(siglip: Path) -> None:
    encoder = load_encoder(ModelName(f"local-dir:{siglip}"), CPU)
    scale = load_file(siglip / WEIGHTS)["logit_scale"].exp().item()
    found = encoder.info
    assert (found.context_length, found.dimension, found.image_size) == (64, 64, 64)
    assert found.logit_scale == pytest.approx(scale)
    assert found.preprocessing == "squash-64-bicubic-v3"
    long = encoder.prepare_text("a cat " * 100)
    assert len(long.ids) == 64
    assert long.cut


def test_loading_draws_no_progress_bar(siglip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    load_encoder(ModelName(f"local-dir:{siglip}"), CPU)
    assert "Loading weights" not in "".join(capfd.readouterr())
    assert transformers.utils.logging.is_progress_bar_enabled()


def test_unknown_tensors_are_ignored_and_logged(siglip: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = load_file(siglip / WEIGHTS) | {"head.of.training": torch.zeros(3)}
    save_file(weights, siglip / WEIGHTS, metadata={"format": "pt"})
    with caplog.at_level(logging.INFO):
        load_encoder(ModelName(f"local-dir:{siglip}"), CPU)
    assert "1 tensors outside the model are ignored: head.of.training" in caplog.text
