"""Transformer blocks of fused products that compute nothing for padding, and in the last block only what is read.

B items · T tokens of the longest · W width · R rows, the sum of the items' lengths
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.models.int8 import Int8Product
from clip_vectorizer.models.placement import Placement
from clip_vectorizer.models.products import Activation, MakeProduct, product

Weights = Mapping[str, Tensor]  # names as in open_clip


@dataclass(frozen=True, slots=True)
class Kind:
    """Numbers between the products, and the products."""

    dtype: torch.dtype
    make: MakeProduct

    @classmethod
    def of(cls, placement: Placement) -> Self:
        dtype = torch.bfloat16 if placement.precision == "bf16" else torch.float32
        return cls(dtype, Int8Product if placement.precision == "int8" else product)


@dataclass(frozen=True, slots=True)
class Layout:
    """Which rows are whose: those of the first item, then of the second, without padding.

    `places` (R,) of the rows among B * T, None where all items are equally long; `read` (B,) the rows that become
    vectors, the last that each may look at: the end token of a text, and of an image, which looks at all, the first.
    """

    items: int
    tokens: int
    places: Tensor | None
    read: Tensor
    causal: bool

    def spread(self, rows_rx: Tensor) -> Tensor:
        """(B, T, X), zeros for padding: attention multiplies it by zero, and garbage may be NaN."""
        if self.places is None:
            return rows_rx.view(self.items, self.tokens, -1)
        spread = rows_rx.new_zeros(self.items * self.tokens, rows_rx.shape[1])
        return spread.index_copy_(0, self.places, rows_rx).view(self.items, self.tokens, -1)

    def gathered(self, spread_btx: Tensor) -> Tensor:
        """(R, X)."""
        rows = spread_btx.flatten(0, 1)
        return rows if self.places is None else rows.index_select(0, self.places)

    def seen(self) -> Tensor | None:
        """(B, 1, 1, T) true where the row that is read may look; None: everywhere."""
        if self.places is None:
            return None
        padding = torch.ones(self.items * self.tokens, dtype=torch.bool).index_fill_(0, self.places, False)
        return ~padding.view(self.items, 1, 1, self.tokens)


class Block:
    def __init__(self, weights: Weights, heads: int, activation: Activation, kind: Kind) -> None:
        own = {name: value.to(kind.dtype) for name, value in weights.items()}
        self._heads = heads
        self._first, self._second = norm(own, "ln_1."), norm(own, "ln_2.")
        self._looks(own["attn.in_proj_weight"], own["attn.in_proj_bias"], kind)
        self._out = kind.make(own["attn.out_proj.weight"], own["attn.out_proj.bias"], "none")
        self._widen = kind.make(own["mlp.c_fc.weight"], own["mlp.c_fc.bias"], activation)
        self._narrow = kind.make(own["mlp.c_proj.weight"], own["mlp.c_proj.bias"], "none")

    def _looks(self, weight: Tensor, bias: Tensor, kind: Kind) -> None:
        self._joint = kind.make(weight, bias, "none")

    def __call__(self, hidden_rw: Tensor, layout: Layout) -> Tensor:
        """(R, W)."""
        query, key, value = self._parts(layout.spread(self._joint(self._first(hidden_rw))), 3)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=layout.causal)
        return self._onwards(layout.gathered(mixed.transpose(1, 2).flatten(2)), hidden_rw)

    def _parts(self, joint_btx: Tensor, count: int) -> Tensor:
        """(count, B, heads, T, W / heads)."""
        return joint_btx.view(*joint_btx.shape[:2], count, self._heads, -1).permute(2, 0, 3, 1, 4)

    def _onwards(self, mixed: Tensor, hidden: Tensor) -> Tensor:
        hidden = self._out.onto(mixed, hidden)
        return self._narrow.onto(self._widen(self._second(hidden)), hidden)


class LastBlock(Block):
    """Of the last block one row an item is read: all but keys and values is computed for that row alone."""

    def _looks(self, weight: Tensor, bias: Tensor, kind: Kind) -> None:
        width = weight.shape[1]
        self._query = kind.make(weight[:width].contiguous(), bias[:width].contiguous(), "none")
        self._keys_values = kind.make(weight[width:].contiguous(), bias[width:].contiguous(), "none")

    def __call__(self, hidden_rw: Tensor, layout: Layout) -> Tensor:
        """(B, W)."""
        normed = self._first(hidden_rw)
        (query,) = self._parts(self._query(normed.index_select(0, layout.read))[:, None], 1)
        key, value = self._parts(layout.spread(self._keys_values(normed)), 2)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=layout.seen())
        return self._onwards(mixed.flatten(1), hidden_rw.index_select(0, layout.read))


def blocks(weights: Weights, heads: int, activation: Activation, kind: Kind) -> list[Block]:
    count = len({name.split(".")[1] for name in weights if name.startswith("resblocks.")})
    kinds = [Block] * (count - 1) + [LastBlock]
    return [make(under(weights, f"resblocks.{n}."), heads, activation, kind) for n, make in enumerate(kinds)]


def norm(weights: Weights, prefix: str) -> Callable[[Tensor], Tensor]:
    gain, shift = weights[f"{prefix}weight"], weights[f"{prefix}bias"]
    return lambda rows: F.layer_norm(rows, gain.shape, gain, shift)


def under(weights: Weights, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
