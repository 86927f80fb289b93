"""Which models of open_clip are the plain CLIP that `packed` computes: looked at, then tried."""

import re
from collections.abc import Mapping
from typing import Any

import open_clip
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn

from clip_vectorizer.models.packed import PackedClip
from clip_vectorizer.models.packed_blocks import Kind
from clip_vectorizer.models.products import Activation, Heads, StockProduct

TOLERANCE = 1e-6  # of 1 - cosine: float32 strays by 1e-12, a GELU taken for a QuickGELU by 1e-4
SEED = 0

BOTH = ("weight", "bias")
BLOCK = {
    *(f"{part}.{kind}" for part in ("ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj") for kind in BOTH),
    *(f"attn.in_proj_{kind}" for kind in BOTH),
}
IMAGE = {"class_embedding", "positional_embedding", "conv1.weight", "proj"}
NAMES = {
    *(f"transformer.resblocks.N.{name}" for name in BLOCK),
    *(f"visual.transformer.resblocks.N.{name}" for name in BLOCK),
    *(f"visual.{name}" for name in IMAGE),
    *(f"{part}.{kind}" for part in ("visual.ln_pre", "visual.ln_post", "ln_final") for kind in BOTH),
    *("token_embedding.weight", "positional_embedding", "text_projection", "logit_scale"),
}


def plain_heads(model: Any) -> Heads | None:
    """What `packed` must know beside the weights of `model`, float32 on the CPU; None where it is no plain CLIP."""
    weights = model.state_dict()
    if type(model) is not open_clip.CLIP or type(model.visual) is not VisionTransformer or names_of(weights) != NAMES:
        return None
    image, text = model.visual.transformer.resblocks[0], model.transformer.resblocks[0]
    kinds = {activation_of(block.mlp.gelu) for block in (image, text)}
    activation = kinds.pop()
    if kinds or activation is None:
        return None
    heads = Heads(image.attn.num_heads, text.attn.num_heads, activation)
    return heads if agrees(model, weights, heads) else None


def activation_of(module: nn.Module) -> Activation | None:
    if type(module) is nn.GELU and module.approximate == "none":
        return "gelu"
    return "quick_gelu" if type(module) is QuickGELU else None


def names_of(weights: Mapping[str, Tensor]) -> set[str]:
    return {re.sub(r"resblocks\.\d+", "resblocks.N", name) for name in weights if name != "attn_mask"}


def agrees(model: Any, weights: Mapping[str, Tensor], heads: Heads) -> bool:
    """Whether one picture and one text of noise get the model's own vectors: options leave no trace in the names."""
    noise = torch.Generator().manual_seed(SEED)
    pixels = torch.randn(1, 3, *model.visual.image_size, generator=noise)
    ids = torch.randperm(model.vocab_size, generator=noise)[None, : model.context_length]
    towers = PackedClip.made(weights, heads, Kind(torch.float32, StockProduct))
    with torch.inference_mode():
        pairs = (
            (towers.encode_image(pixels), model.encode_image(pixels)),
            (towers.encode_text(ids), model.encode_text(ids)),
        )
        return all(1 - torch.cosine_similarity(*pair).item() <= TOLERANCE for pair in pairs)
