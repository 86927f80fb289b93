"""Attention of short sequences on a CPU, as two batches of products and a softmax between them.

torch's own operator goes through one head after the other in blocks that are made for long sequences: for the 50 tokens
of ViT-B-32 and for texts it takes nearly twice as long. Long sequences, whose scores do not fit into the caches, stay
with it.

B items · H heads · Q queries · T keys and values · E width of a head
"""

import torch
from torch import Tensor
from torch.nn import functional as F

CACHED_SCORES = 1 << 18  # computed at once: 1 MB of float32
MAX_SCORES = 1 << 20  # of one item


def mix_values(query_bhqe: Tensor, key_bhte: Tensor, value_bhte: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return (B, Q, H * E): for each query the values, weighted by their keys.

    `mask` is added to the scores, 0 or minus infinity: (Q, T) for all items, or (B, 1, Q, T).
    """
    items, heads, queries, width = query_bhqe.shape
    scores = heads * queries * key_bhte.shape[2]
    if scores > MAX_SCORES:
        mixed = F.scaled_dot_product_attention(query_bhqe, key_bhte, value_bhte, attn_mask=mask)
        return mixed.transpose(1, 2).flatten(2)
    result = query_bhqe.new_empty(items, queries, heads, width)
    step = max(1, CACHED_SCORES // scores)
    for start in range(0, items, step):
        some = slice(start, start + step)
        own_mask = mask if mask is None or mask.ndim == 2 else mask[some]
        mix_cached(query_bhqe[some], key_bhte[some], value_bhte[some], own_mask, result[some])
    return result.flatten(2)


def mix_cached(
    query_bhqe: Tensor, key_bhte: Tensor, value_bhte: Tensor, mask: Tensor | None, result_bqhe: Tensor
) -> None:
    items, heads, queries, width = query_bhqe.shape
    # one axis for items and heads, which copies: the kernels that multiply batches take one stride between matrices
    query, key, value = (each.reshape(items * heads, -1, width) for each in (query_bhqe, key_bhte, value_bhte))
    scores = torch.bmm(query, key.transpose(1, 2)).mul_(width**-0.5)
    if mask is not None:
        scores.view(items, heads, queries, -1).add_(mask)
    mixed = torch.bmm(torch.softmax(scores, -1), value)
    result_bqhe.copy_(mixed.view(items, heads, queries, width).transpose(1, 2))


def make_mask(attended: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what `mix_values` adds to the scores: 0 where `attended`, else minus infinity."""
    return torch.zeros(attended.shape, dtype=dtype).masked_fill_(~attended, -torch.inf)
