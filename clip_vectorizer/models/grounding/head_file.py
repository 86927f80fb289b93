"""The file of a trained head: what differs from the weights of its model, names that compete, calibrations.

V names · D dimensions
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.comparison import KINDS, Calibration, HeadParts, Vocabulary
from clip_vectorizer.models.grounding.head import HeadGrounder
from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.models.local_dir import load_plain_towers, read_config
from clip_vectorizer.models.plain import ResNetTower
from clip_vectorizer.vectors import Vectors, unit

WEIGHTS_FILE, FACTS = "grounding.safetensors", "head"
NAMES = "names"  # the tensor of the vocabulary: int8, whose rows are unit vectors once divided by their length


def load_head(encoder: Encoder, folder: Path, crops: bool = True) -> HeadGrounder:
    """Return the head in `folder`, which has the weights of `encoder`, too. Raises ModelUnavailable."""
    file = folder / WEIGHTS_FILE
    if not file.exists():
        raise ModelUnavailable(f"{encoder.info.model} has no trained head ({file} does not exist); use tiles")
    with safe_open(file, framework="pt") as stored:
        facts = json.loads(stored.metadata()[FACTS])
        names = stored.keys()
        weights = {name: stored.get_tensor(name).float() for name in names}
    if facts["encoder"] != encoder.info.revision:
        raise ModelUnavailable(
            f"the head in {file} was trained on weights of revision {facts['encoder']}, and {encoder.info.model} has "
            f"{encoder.info.revision}; use tiles, or train a head for it: clip-vectorizer train grounding"
        )
    network = start_network(load_tower(folder), facts["channels"])
    own = {NAMES, *(name for name in network.state_dict() if not name.startswith("trunk."))}
    if missing := (own - set(weights)) | (set(KINDS) - set(facts["calibrations"])):
        raise ModelUnavailable(f"{file} has no {', '.join(sorted(missing)[:3])}: it is no head of this version")
    network.load_state_dict(weights, strict=False)
    placed = network.eval().requires_grad_(False).to(encoder.info.device)
    return HeadGrounder(placed, encoder, HeadParts(read_vocabulary(weights[NAMES]), read_calibrations(facts)), crops)


def read_calibrations(facts: Mapping[str, Any]) -> dict[str, Calibration]:
    return {kind: Calibration(tuple(each["weights"]), each["shift"]) for kind, each in facts["calibrations"].items()}


def read_vocabulary(names_vd: Tensor) -> Vocabulary:
    return Vocabulary(unit(names_vd.float().numpy()))


def load_tower(folder: Path) -> ResNetTower:
    """Return the image tower in `folder`. Raises ModelUnavailable."""
    tower = load_plain_towers(folder, read_config(folder)["model_cfg"]).visual
    if not isinstance(tower, ResNetTower):
        raise ModelUnavailable(f"the head is for the image tower of emoji, not for the one in {folder}")
    return tower


def start_network(tower: ResNetTower, channels: int) -> RegionNetwork:
    """Return a head with random weights on an image tower."""
    projection = tower.head["proj"]
    assert isinstance(projection, nn.Linear)
    network = RegionNetwork(projection.out_features, channels)
    network.trunk.load_state_dict(tower.trunk.state_dict())
    network.direct.load_state_dict(projection.state_dict())
    return network


def describe_head(encoder: Encoder, channels: int, calibrations: Mapping[str, Calibration]) -> Mapping[str, str]:
    """Return the metadata of the head's file, as `load_head` reads it."""
    fitted = {kind: asdict(calibration) for kind, calibration in calibrations.items()}
    facts = {"encoder": encoder.info.revision, "channels": channels, "calibrations": fitted}
    return {FACTS: json.dumps(facts)}  # one entry: safetensors writes several in any order


def quantize_names(names_vd: Vectors) -> Tensor:
    """Return int8 rows of the same directions, for the head's file."""
    return torch.from_numpy(np.round(names_vd * (127 / np.abs(names_vd).max(axis=1, keepdims=True))).astype(np.int8))


def select_own_weights(network: nn.Module, state: Mapping[str, Tensor], tuned: Sequence[str]) -> dict[str, Tensor]:
    """Return what is stored of `state`: all but the stages of the trunk that are those of `emoji`.

    Matrices are in bf16, as the products of the training were: a tenth smaller than fp16 in a wheel, which is zipped.
    """
    shared = tuple(f"trunk.{name}." for name, _ in network.get_submodule("trunk").named_children() if name not in tuned)
    own = {name: value for name, value in state.items() if not name.startswith(shared) and value.is_floating_point()}
    return {name: value.bfloat16() if value.ndim > 1 else value.half() for name, value in own.items()}
