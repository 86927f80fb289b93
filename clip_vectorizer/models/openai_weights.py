"""OpenAI's own files of weights: the architecture is in their shapes, and three numbers beside the weights mark them.

Rules of shape as in OpenAI's CLIP: a head is 64 wide, a MLP four times as wide as its layer.
"""

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.weight_files import Weights

MARKS = ("input_resolution", "context_length", "vocab_size")  # numbers that OpenAI's programs store beside the weights
HEAD_WIDTH = 64
STAGES = (1, 2, 3, 4)  # of a ResNet
RESNET_SCALE = 32  # pixels of the input on each side of a cell that the ResNet's attention reads


def has_marks(weights: Weights) -> bool:
    """Whether `weights` come from one of OpenAI's programs; all of those compute QuickGELU."""
    return all(name in weights for name in MARKS)


def read_openai_config(file: Path, weights: Weights) -> dict[str, Any]:
    """Return open_clip's configuration of OpenAI's architecture with these shapes. Raises ModelUnavailable."""
    try:
        visual = read_transformer(weights) if "visual.proj" in weights else read_resnet(weights)
        width = len(weights["ln_final.weight"])
        text = {
            "context_length": len(weights["positional_embedding"]),
            "vocab_size": len(weights["token_embedding.weight"]),
            "width": width,
            "heads": width // HEAD_WIDTH,
            "layers": count_names(weights, "transformer.resblocks.", ".ln_1.weight"),
        }
        dimension = weights["text_projection"].shape[1]
    except (KeyError, IndexError) as error:
        raise ModelUnavailable(
            f"{file} has the marks of OpenAI's programs ({', '.join(MARKS)}), but not the weights of a whole CLIP: "
            f"{error} is missing"
        ) from error
    return {"embed_dim": dimension, "quick_gelu": True, "vision_cfg": visual, "text_cfg": text}


def read_transformer(weights: Weights) -> dict[str, Any]:
    kernel = weights["visual.conv1.weight"]
    return {
        "layers": count_names(weights, "visual.transformer.resblocks.", ".ln_1.weight"),
        "width": kernel.shape[0],
        "head_width": HEAD_WIDTH,
        "patch_size": kernel.shape[-1],
        "image_size": kernel.shape[-1] * count_cells(weights["visual.positional_embedding"]),
    }


def read_resnet(weights: Weights) -> dict[str, Any]:
    return {
        "layers": [count_names(weights, f"visual.layer{stage}.", ".conv1.weight") for stage in STAGES],
        "width": weights["visual.layer1.0.conv1.weight"].shape[0],
        "head_width": HEAD_WIDTH,
        "patch_size": None,
        "image_size": RESNET_SCALE * count_cells(weights["visual.attnpool.positional_embedding"]),
    }


def count_cells(positions: Tensor) -> int:
    """Cells on a side of the square; one position more is the class token's."""
    return math.isqrt(len(positions) - 1)


def count_names(weights: Weights, start: str, end: str) -> int:
    return sum(name.startswith(start) and name.endswith(end) for name in weights)
