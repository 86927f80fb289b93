"""What the detectors of transformers share: how their folders are loaded, and how their answers become regions.

N regions · P phrases
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from torch import Tensor, nn

from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.devices import hash_weights
from clip_vectorizer.models.grounding.grounder import Groundings, Regions
from clip_vectorizer.models.grounding.names import DETECTORS
from clip_vectorizer.models.hub_folders import TRANSFORMERS_CONFIG, open_model_folder, read_json
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
MOST_REGIONS = 300  # of one picture in an answer: the best of up to 3,600 boxes, most of which hold nothing
LEAST_SIDE = 16  # pixels: smaller pictures are enlarged, for some processors take a side of 1 to 4 for the colours


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


def enlarge_tiny(image: Image.Image) -> Image.Image:
    """Return a picture whose sides are at least LEAST_SIDE."""
    width, height = image.size
    if min(width, height) >= LEAST_SIDE:
        return image
    return image.resize((max(width, LEAST_SIDE), max(height, LEAST_SIDE)))


def to_corners(boxes_n4: Tensor) -> BoxArray:
    """Return x0, y0, x1, y1 within 0..1 of middles and sides."""
    middles_n2, halves_n2 = boxes_n4[:, :2], boxes_n4[:, 2:] / 2
    corners_n4 = torch.cat([middles_n2 - halves_n2, middles_n2 + halves_n2], dim=1)
    return corners_n4.float().cpu().numpy().clip(0, 1)


def select_best(found: Groundings) -> Groundings:
    """Return the MOST_REGIONS regions of the highest probability for any phrase, the most object-like first."""
    regions, best_n = found.regions, found.probabilities_pn.max(axis=0)
    some = np.argsort(-best_n, kind="stable")[:MOST_REGIONS]
    some = some[np.argsort(-regions.objectness_n[some], kind="stable")]
    vectors_nd = None if regions.vectors_nd is None else regions.vectors_nd[some]
    return Groundings(
        Regions(regions.boxes_n4[some], regions.objectness_n[some], vectors_nd),
        found.similarities_pn[:, some],
        found.probabilities_pn[:, some],
        found.truncated,
    )


def average_prompts(rows_qn: ScoreArray, phrases: Sequence[Sequence[str]]) -> ScoreArray:
    """Return (P, N): the mean over the prompts of each phrase, from a row for each prompt of all phrases."""
    ends = np.cumsum([len(prompts) for prompts in phrases])[:-1]
    return np.stack([rows.mean(axis=0) for rows in np.split(rows_qn, ends)])
