"""Models as folders of open_clip's layout, as `clip-vectorizer models download` writes them."""

import json
from collections.abc import Mapping
from pathlib import Path

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

from clip_vectorizer.models.download import CONVERTED_WEIGHTS, OPEN_CLIP_CONFIG
from clip_vectorizer.models.openclip import RANDOM_WEIGHTS_SEED


def write_random_folder(architecture: str, folder: Path) -> None:
    write_open_clip_folder(architecture, make_random_weights(architecture), folder)


def make_random_weights(architecture: str) -> Mapping[str, Tensor]:
    """Those of `ARCHITECTURE::random`, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_WEIGHTS_SEED)
        weights: Mapping[str, Tensor] = open_clip.create_model(architecture).state_dict()
    return weights


def write_open_clip_folder(architecture: str, weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write a folder that `serve --model local-dir:FOLDER` takes; its configuration last."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / CONVERTED_WEIGHTS)
    config = {"model_cfg": open_clip.get_model_config(architecture), "preprocess_cfg": {}}
    (folder / OPEN_CLIP_CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
