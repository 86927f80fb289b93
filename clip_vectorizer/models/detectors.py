"""Loads detectors of transformers from folders of its layout. Importing this module takes seconds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.devices import hash_weights
from clip_vectorizer.models.hub_folders import TRANSFORMERS_CONFIG, open_model_folder, read_json
from clip_vectorizer.models.names import DETECTORS
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.models.transformers_models import load_model
from clip_vectorizer.models.weight_files import shorten

MORE_FILES = ("processor_config.json", "vocab.json", "merges.txt", "special_tokens_map.json")
CLASSES = {  # of transformers, by `model_type`
    "owlv2": "Owlv2ForObjectDetection",
    "owlvit": "OwlViTForObjectDetection",
    "grounding-dino": "GroundingDinoForObjectDetection",
    "mm-grounding-dino": "MMGroundingDinoForObjectDetection",
    "omdet-turbo": "OmDetTurboForObjectDetection",
}


@dataclass(frozen=True, slots=True)
class Detector:
    """A model of transformers on its device, with its processor."""

    name: str  # as --grounder has it
    kind: str  # `model_type`
    model: Any
    processor: Any
    device: torch.device
    revision: str


def load_detector(name: str, device: str) -> Detector:
    """Load `PREFIX:PATH-OR-HUB`. Raises ModelUnavailable."""
    kind, _, text = name.partition(":")
    folder = open_model_folder(text, more_files=MORE_FILES)
    check_kind(name, kind, folder)
    model = load_model(folder, CLASSES[kind])
    revision = hash_weights(model)
    add_breaks(model)
    return Detector(name, kind, model.to(device), load_processor(folder), torch.device(device), revision)


def check_kind(name: str, kind: str, folder: Path) -> None:
    """Raise ModelUnavailable where the folder has a model of another kind."""
    found = str(read_json(folder / TRANSFORMERS_CONFIG).get("model_type"))
    if found == kind:
        return
    if f"{found}:" in DETECTORS:
        raise ModelUnavailable(f"{folder} has model_type {found!r}: name it as --grounder {found}:{folder}")
    raise ModelUnavailable(f"{name}: {folder / TRANSFORMERS_CONFIG} has model_type {found!r}, expected {kind!r}")


def load_processor(folder: Path) -> Any:
    """Return what prepares pictures and texts. Raises ModelUnavailable."""
    try:
        make: Any = transformers.AutoProcessor  # untyped
        return make.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # of files, and of packages that are not installed
        raise ModelUnavailable(
            f"the processor of {folder} cannot be loaded ({shorten(error)}); copy preprocessor_config.json and the "
            "files of the tokenizer from its repository"
        ) from error


def add_breaks(model: nn.Module) -> None:
    """Let other work run before each layer: a pass of a large detector takes seconds on a CPU."""
    for layers in model.modules():
        if isinstance(layers, nn.ModuleList):
            for layer in layers:
                layer.register_forward_pre_hook(take_break)


def take_break(_module: nn.Module, _inputs: Any) -> None:
    run_break_work()
