"""State dicts of CLIPs in other layouts, as open_clip names them: prefixes of trainers, and transformers' layout.

Which architecture the shapes are of, and a sentence where they do not fit the one that was named.
"""

import dataclasses
import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import CLIPTextCfg, CLIPVisionCfg, convert_to_custom_text_state_dict
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.file_kinds import SHOWN, list_names
from clip_vectorizer.models.openai_weights import MARKS
from clip_vectorizer.models.weight_files import Weights

INSIDE_PREFIXES = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_forward_module.")
# Every CLIP has the first of these; the prefix of a trainer (`module.`, `model.`, `clip.model.`) is before it.
ANCHORS = (
    "logit_scale",
    "visual.conv1.weight",
    "visual.proj",
    "vision_model.embeddings.class_embedding",
    "token_embedding.weight",
)
AVERAGED = re.compile(r"ema|teacher|momentum|target", re.IGNORECASE)  # prefixes of a second copy of the model
LEFT_OUT = ("position_ids", "attn_mask", *MARKS)  # buffers that a model makes by itself, and numbers
TOWERS = (("vision_model.", "visual."), ("text_model.", ""))  # of transformers, of open_clip
TRANSFORMERS_NAMES = {  # within a tower
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding": "conv1",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.token_embedding": "token_embedding",
    "pre_layrnorm": "ln_pre",  # their spelling
    "post_layernorm": "ln_post",
    "final_layer_norm": "ln_final",
    "encoder.layers": "transformer.resblocks",
}
BLOCK_NAMES = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
PROJECTIONS = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
ATTENTION_PART = re.compile(r"(.*\.)self_attn\.([qkv])_proj\.(weight|bias)")
LORA = re.compile(r"\.?lora_[a-z]+|hada_w\d|\.lokr_w", re.IGNORECASE)

log = logging.getLogger(__name__)


def select_model(weights: Weights) -> Weights:
    """Return the tensors of one CLIP under its own names, without those of a trainer beside it."""
    names = {name: strip_inside(name) for name in weights}
    prefix = find_prefix(list(names.values()))
    kept = {new.removeprefix(prefix): weights[old] for old, new in names.items() if new.startswith(prefix)}
    if left := [name for name in names.values() if not name.startswith(prefix)]:
        log.info("%d tensors outside the model are ignored: %s", len(left), list_names(left))
    return {name: value for name, value in kept.items() if name.rpartition(".")[2] not in LEFT_OUT}


def strip_inside(name: str) -> str:
    for part in INSIDE_PREFIXES:
        name = name.replace(part, "")
    return name


def find_prefix(names: list[str]) -> str:
    """The prefix under which the most tensors of a CLIP are, of equal ones the shortest; "" where there is none.

    >>> find_prefix(["model.logit_scale", "model.visual.proj", "loss.weight"])
    'model.'
    """
    for anchor in ANCHORS:
        prefixes = {name.removesuffix(anchor) for name in names if name == anchor or name.endswith(f".{anchor}")}
        if prefixes:
            return min(prefixes, key=lambda prefix: rank_prefix(prefix, names))
    return ""


def rank_prefix(prefix: str, names: list[str]) -> tuple[int, bool, int]:
    return -sum(name.startswith(prefix) for name in names), bool(AVERAGED.search(prefix)), len(prefix)


def is_transformers_layout(weights: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(("text_model.", "vision_model.")) for name in weights)


def convert_transformers(weights: Weights) -> Weights:
    """Return transformers' CLIPModel under open_clip's names; names that are unknown stay as they are."""
    parts: dict[str, dict[str, Tensor]] = {}
    converted: Weights = {}
    for name, value in weights.items():
        if name in PROJECTIONS:
            converted[PROJECTIONS[name]] = value.t().contiguous()  # theirs is a Linear layer, open_clip's is `x @ W`
        elif found := ATTENTION_PART.fullmatch(name):
            parts.setdefault(f"{rename_tensor(found[1])}attn.in_proj_{found[3]}", {})[found[2]] = value
        else:
            converted[rename_tensor(name)] = value
    joined = {name: torch.cat([part[each] for each in "qkv"]) for name, part in parts.items() if len(part) == 3}
    return converted | joined


def rename_tensor(name: str) -> str:
    """
    >>> rename_tensor("vision_model.encoder.layers.3.mlp.fc1.weight")
    'visual.transformer.resblocks.3.mlp.c_fc.weight'
    """
    for theirs, ours in TOWERS:
        if name.startswith(theirs):
            rest = name.removeprefix(theirs)
            for old, new in (TRANSFORMERS_NAMES | BLOCK_NAMES).items():
                rest = rest.replace(old, new)
            return ours + rest
    return name


def read_quick_gelu(file: Path) -> bool | None:
    """Return the activation in transformers' `config.json` beside `file`: True is QuickGELU; None without one."""
    try:
        config = json.loads((file.parent / "config.json").read_text("utf-8"))
        if config.get("model_type") != "clip":
            return None
        tower = config.get("vision_config") or {}
        return bool(tower.get("hidden_act", "quick_gelu") == "quick_gelu")  # transformers' default
    except (OSError, ValueError, AttributeError):
        return None


def fill_model(model: nn.Module, weights: Weights, file: Path, architecture: str, transformers: bool = False) -> None:
    """Copy `weights` into `model`. Raises ModelUnavailable where a name or a shape differs.

    `transformers`: whether they were converted from its layout.
    """
    weights = adapt_weights(model, weights)
    check_tensors(model, weights, file, architecture, transformers)
    model.load_state_dict(weights)


def check_tensors(model: nn.Module, weights: Weights, file: Path, architecture: str, transformers: bool) -> None:
    """Raise ModelUnavailable where a name or a shape of adapted `weights` is not that of `model`."""
    expected = model.state_dict()
    if problem := describe_mismatch(expected, weights):
        sizes = f"expected {format_size(expected)}, and the file has {format_size(weights)}"
        advice = advise(weights, architecture, transformers)
        raise ModelUnavailable(f"{file} does not fit --architecture {architecture}: {sizes}; {problem}; {advice}")


def format_size(weights: Mapping[str, Tensor]) -> str:
    """
    >>> format_size({"logit_scale": torch.zeros(()), "proj": torch.zeros(1000, 1500)})
    '2 tensors (1.5 million numbers)'
    """
    numbers = sum(value.numel() for value in weights.values())
    return f"{len(weights)} tensors ({numbers / 1e6:.1f} million numbers)"


def adapt_weights(model: Any, weights: Weights) -> Weights:
    """As open_clip's own loading does, except that positions are not resized: that would change vectors silently."""
    weights = dict(convert_state_dict(model, weights))
    if "positional_embedding" in weights and not hasattr(model, "positional_embedding"):
        weights = convert_to_custom_text_state_dict(weights)
    for name in ("logit_scale", "logit_bias"):
        own = getattr(model, name, None)
        if own is not None and name in weights and weights[name].numel() == 1:
            weights[name] = weights[name].reshape(own.shape)
    if getattr(model, "logit_bias", None) is not None and "logit_bias" not in weights and "logit_scale" in weights:
        weights["logit_bias"] = torch.zeros_like(weights["logit_scale"])
    return weights


def describe_mismatch(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> str:
    """Return the first names that are missing, unknown, or of another shape; "" where all fit."""
    missing = [name for name in expected if name not in weights]
    unknown = [name for name in weights if name not in expected]
    shapes = [
        f"{name} is {tuple(weights[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    facts = (
        ("of another shape", shapes),
        ("missing", missing),
        ("unknown", unknown),
    )
    return "; ".join(f"{len(names)} tensors are {what} ({list_names(names)})" for what, names in facts if names)


def advise(weights: Weights, architecture: str, transformers: bool) -> str:
    """Return what the file looks like, and what to do."""
    if any(LORA.search(name) for name in weights):
        return (
            "it looks like a LoRA adapter, a change to a model: merge it into its model first (peft: merge_and_unload)"
        )
    near = [name for name in find_architectures(weights) if name != architecture]
    if near:
        return f"its shapes are those of {' or '.join(near)}: name that with --architecture"
    if transformers and any(name.startswith(("visual.head.", "head.")) for name in weights):
        return (
            "it looks like a SigLIP in transformers' layout, which needs its whole folder: name that as local-dir:PATH"
        )
    text, image = has_text_tower(weights), has_image_tower(weights)
    if text != image:
        return f"it has the {'text' if text else 'image'} tower alone; a search needs both towers of one CLIP"
    if not text:
        return "it does not look like a CLIP; name a file of weights that has both towers"
    if transformers:
        return "it is in transformers' layout, but no whole CLIP; name open_clip's weights (hf-hub:ORG/NAME)"
    return "name its --architecture (`clip-vectorizer models` lists all), or a folder with open_clip_config.json"


def has_text_tower(weights: Weights) -> bool:
    return any(name.startswith(("text.", "token_embedding.")) for name in weights)


def has_image_tower(weights: Weights) -> bool:
    return any(name.startswith("visual.") for name in weights)


@dataclass(frozen=True, slots=True)
class ClipShape:
    """What weights of a plain CLIP show of their architecture."""

    dimension: int
    image: tuple[int, int, int, int, int]  # width, layers, side of a patch, side of the image, width of the MLP
    text: tuple[int, int, int, int]  # width, layers, context, vocabulary


def find_architectures(weights: Weights) -> list[str]:
    """Return the names of open_clip's architectures that have the shapes of `weights`, the shortest first."""
    shape = measure_shape(weights)
    return sorted((name for name, each in list_shapes().items() if each == shape), key=len)[:SHOWN] if shape else []


def measure_shape(weights: Weights) -> ClipShape | None:
    """Return the shape of open_clip's own names; None for anything but a vision transformer with a text transformer."""
    plain = {name.removeprefix("text."): value for name, value in weights.items()}
    try:
        patches, positions = plain["visual.conv1.weight"], plain["visual.positional_embedding"]
        vocabulary, context = plain["token_embedding.weight"], plain["positional_embedding"]
        patch = patches.shape[3]
        side = math.isqrt(len(positions) - 1) * patch
        hidden = len(plain["visual.transformer.resblocks.0.mlp.c_fc.weight"])
        image = (len(patches), count_blocks(plain, "visual."), patch, side, hidden)
        text = (vocabulary.shape[1], count_blocks(plain, ""), len(context), len(vocabulary))
        return ClipShape(plain["visual.proj"].shape[1], image, text)
    except (KeyError, IndexError, TypeError):
        return None


def count_blocks(weights: Weights, tower: str) -> int:
    return sum(name.startswith(f"{tower}transformer.resblocks.") and name.endswith(".ln_1.weight") for name in weights)


def list_shapes() -> dict[str, ClipShape]:
    configs = {name: open_clip.get_model_config(name) for name in open_clip.list_models()}
    shapes = {name: read_shape(config) for name, config in configs.items() if config}
    return {name: shape for name, shape in shapes.items() if shape}


def read_shape(config: Mapping[str, Any]) -> ClipShape | None:
    """Return the shape of a configuration of open_clip; None for one with a tower of another library, or a ResNet."""
    image = dataclasses.asdict(CLIPVisionCfg()) | config["vision_cfg"]
    text = dataclasses.asdict(CLIPTextCfg()) | config["text_cfg"]
    plain = isinstance(image["layers"], int) and isinstance(image["image_size"], int)
    if image["timm_model_name"] or text.get("hf_model_name") or not plain:
        return None
    patch, side = image["patch_size"], image["image_size"]
    hidden = int(image["width"] * image["mlp_ratio"])
    return ClipShape(
        config["embed_dim"],
        (image["width"], image["layers"], patch, side // patch * patch, hidden),
        (text["width"], text["layers"], text["context_length"], text["vocab_size"]),
    )
