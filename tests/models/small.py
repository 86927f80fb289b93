"""Small models of open_clip with random weights, saved the ways that models come in."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.model import CLIP
from safetensors.torch import save_file
from torch import nn

from clip_vectorizer.models.devices import Placement

CPU = Placement()
TEXTS = ["a", "a photo of a cat", "two dogs, one of them asleep on a red sofa", "", "苹果"]
VISION = {"image_size": 32, "patch_size": 16, "width": 64, "layers": 2, "head_width": 32}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
CONFIG: dict[str, Any] = {"embed_dim": 16, "vision_cfg": VISION, "text_cfg": TEXT}


def random_clip(seed: int = 1, **extra: Any) -> CLIP:
    """Weights large enough that an activation, a mask or a position done wrong shows."""
    torch.manual_seed(seed)
    model = CLIP(**CONFIG, **extra).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.3)
    return model


def save_folder(model: nn.Module, folder: Path, **extra: Any) -> Path:
    """As `local-dir:` reads it."""
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {**CONFIG, **extra}, "preprocess_cfg": {}}))
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    return folder


def reference_texts(model: CLIP, texts: list[str] = TEXTS) -> np.ndarray:
    """(N, D) by open_clip's own tokenizer and towers."""
    rows = model.encode_text(open_clip.SimpleTokenizer()(texts), normalize=True)
    return rows.numpy()


def apart(left_nd: np.ndarray, right_nd: np.ndarray) -> float:
    """The largest 1 - cosine of two lists of unit rows."""
    return float((1 - (left_nd.astype(np.float64) * right_nd).sum(axis=1)).max())
