"""The towers of the emoji model: open_clip's own CLIP class, so that open_clip can load what training saves.

B batch · T tokens · D dimensions
"""

from typing import Any

import torch
from open_clip.model import CLIP
from open_clip.transformer import text_global_pool
from torch import Tensor
from torch.nn import functional as F

IMAGE_SIZE = 64
EMBEDDING = 256
VOCABULARY = 12_000
CONTEXT = 40
MEAN = STD = 0.5  # of every channel
TEXT_GROUP = 128  # texts of similar length in one pass

TEXT_CONFIG: dict[str, Any] = {
    "context_length": CONTEXT,
    "vocab_size": VOCABULARY,
    "width": 256,
    "heads": 4,
    "layers": 3,
}
VISION_CONFIG: dict[str, Any] = {
    "timm_model_name": "resnet10t",
    "timm_pool": "avg",
    "timm_proj": "linear",
    "image_size": IMAGE_SIZE,
}


def build_clip() -> CLIP:
    """Return a CLIP with random weights, in the memory format for convolutions on a CPU."""
    return CLIP(EMBEDDING, VISION_CONFIG, TEXT_CONFIG).to(memory_format=torch.channels_last)


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
    """Return (B, D) unit rows, as open_clip's `encode_text` of the ids with all padding."""
    length = ids_bt.shape[1]
    hidden = model.token_embedding(ids_bt) + model.positional_embedding[:length]
    hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
    pooled = text_global_pool(model.ln_final(hidden), ids_bt, model.text_pool_type)
    return F.normalize(pooled @ model.text_projection, dim=-1)
