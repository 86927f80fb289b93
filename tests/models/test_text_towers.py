"""Text towers of transformers are built without a hub, as large as open_clip's table has them."""

import json
from pathlib import Path

import open_clip
import pytest
import torch

from clip_vectorizer.models.facts import load_facts
from clip_vectorizer.models.text_towers import KNOWN_CONFIGS, describe_text_tower

ARCHITECTURES = {
    name: config["text_cfg"]["hf_model_name"]
    for name in open_clip.list_models()
    if "hf_model_name" in (config := open_clip.get_model_config(name))["text_cfg"]
}
ROUNDING = 10_000  # open_clip's table has hundredths of a million


def test_every_text_tower_of_open_clips_architectures_is_known() -> None:
    assert set(ARCHITECTURES.values()) == set(KNOWN_CONFIGS)


@pytest.mark.parametrize("name", ["xlm-roberta-base-ViT-B-32", "nllb-clip-base", "mt5-base-ViT-B-32"])
def test_a_tower_has_as_many_parameters_as_open_clip_counts(name: str) -> None:
    with describe_text_tower(name) as options, torch.device("meta"):
        model = open_clip.create_model(name, device="meta", pretrained_text=False, **options)
    counted = sum(each.numel() for each in model.parameters())
    assert counted == pytest.approx(load_facts()["architectures"][name]["parameters"], abs=ROUNDING)


def test_a_configuration_in_the_folder_is_taken_before_the_published_one(tmp_path: Path) -> None:
    text = {"hf_model_name": "xlm-roberta-base", "hf_pooler_type": "mean_pooler"}
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": {}, "text_cfg": text}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    for content, vocabulary in (({"model_type": "xlm-roberta", "vocab_size": 9}, 9), ({"model_type": "clip"}, 250002)):
        (tmp_path / "config.json").write_text(json.dumps(content))
        with describe_text_tower(f"local-dir:{tmp_path}") as options:
            tower = json.loads((Path(options["text_cfg"]["hf_model_name"]) / "config.json").read_text())
        assert tower["vocab_size"] == vocabulary
        assert options["text_cfg"]["hf_pooler_type"] == "mean_pooler"


@pytest.mark.parametrize("source", ["ViT-B-32", "no-such-model", "local-dir:/nowhere"])
def test_a_model_without_such_a_tower_is_left_to_open_clip(source: str) -> None:
    with describe_text_tower(source) as options:
        assert options == {}
