"""The towers of the emoji model: open_clip's own CLIP class, so that open_clip can load what training saves."""

from typing import Any

import torch
from open_clip.model import CLIP
from open_clip.transformer import text_global_pool
from torch import Tensor
from torch.nn import functional as F

IMAGE_SIZE = 48
EMBEDDING = 192
VOCABULARY = 2560
CONTEXT = 32
MEAN = STD = 0.5  # of every channel
TEXT_GROUP = 128  # texts of similar length in one pass

TEXT_CONFIG: dict[str, Any] = {
    "context_length": CONTEXT,
    "vocab_size": VOCABULARY,
    "width": 128,
    "heads": 4,
    "layers": 3,
}
CONVOLUTIONAL_CONFIG: dict[str, Any] = {
    "timm_model_name": "resnet10t",
    "timm_pool": "avg",
    "timm_proj": "linear",
    "image_size": IMAGE_SIZE,
}
TRANSFORMER_CONFIG: dict[str, Any] = {
    "image_size": IMAGE_SIZE,
    "patch_size": 8,
    "width": 192,
    "layers": 6,
    "head_width": 64,
}


def build_clip(vision: dict[str, Any]) -> CLIP:
    """Return a CLIP with random weights, in the memory format for convolutions on a CPU."""
    return CLIP(EMBEDDING, vision, TEXT_CONFIG).to(memory_format=torch.channels_last)


def build_student(teacher: CLIP) -> CLIP:
    """Return a transformer with the frozen text tower of the teacher."""
    student = build_clip(TRANSFORMER_CONFIG)
    text_weights = {name: value for name, value in teacher.state_dict().items() if not name.startswith("visual.")}
    student.load_state_dict(text_weights, strict=False)
    for name, weight in student.named_parameters():
        weight.requires_grad = name.startswith("visual.")
    return student


def embed_views(model: CLIP, views_b3ss: Tensor) -> Tensor:
    """Return (B, D) unit rows from (B, 3, S, S) in 0..1."""
    pixels = ((views_b3ss - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    return F.normalize(model.visual(pixels), dim=-1)


def embed_token_ids(model: CLIP, ids_bt: Tensor) -> Tensor:
    """Return (B, D) unit rows from (B, T) token ids padded with 0, T up to the context.

    The tower is causal and pools at the end token, so cutting the padding of a text does not change its vector:
    texts are encoded in groups of similar length.
    """
    lengths = (ids_bt != 0).sum(1)
    order = lengths.argsort()
    groups = [
        embed_trimmed_ids(model, ids_bt[rows, : int(lengths[rows].max())]) for rows in torch.split(order, TEXT_GROUP)
    ]
    return torch.cat(groups)[order.argsort()]


def embed_trimmed_ids(model: CLIP, ids_bt: Tensor) -> Tensor:
    length = ids_bt.shape[1]
    hidden = model.token_embedding(ids_bt) + model.positional_embedding[:length]
    hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
    pooled = text_global_pool(model.ln_final(hidden), ids_bt, model.text_pool_type)
    return F.normalize(pooled @ model.text_projection, dim=-1)
