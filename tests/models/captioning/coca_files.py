"""Small CoCas of open_clip, with weights of no meaning."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.coca_model import CoCa
from PIL import Image
from safetensors.torch import save_file

SEEDS = (0, 1, 2)
SIDE = 32
PICTURES = (1, 2, 3)  # seeds of noise
VISION = {"image_size": SIDE, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
POOLED = {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
TEXT = {"context_length": 76, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
COCA = {
    "embed_dim": 32,
    "custom_text": True,
    "vision_cfg": {**VISION, **POOLED},
    "text_cfg": {**TEXT, "embed_cls": True, "output_tokens": True},
    "multimodal_cfg": {**TEXT, "attn_pooler_heads": 2},
}
END = 49407  # of CLIP's tokenizer
END_WEIGHT = 6  # how much larger the end's weights are: without it no caption would end before the limit


def noise(seed: int = 5, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(pixels)


def build_coca(seed: int) -> Any:
    """Weights by numpy's generator, which every version of torch has alike."""
    model = CoCa(**{name: value for name, value in COCA.items() if name != "custom_text"})
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = random.normal(0, 0.3 if parameter.ndim > 1 else 0.1, parameter.shape).astype(np.float32)
            one = parameter.ndim == 1 and name.endswith("weight")  # of a norm
            parameter.copy_(torch.from_numpy(np.asarray(values + one, np.float32)))
        model.text_decoder.text_projection[:, END] *= END_WEIGHT
    return model.eval().requires_grad_(False)


def save_coca(folder: Path, seed: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": COCA, "preprocess_cfg": {}}))
    weights = {name: value.contiguous() for name, value in build_coca(seed).state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder
