"""The towers of a plain CLIP for a CPU: one weight list in, two functions out, each a chain of fused products.

It computes what `plain.PlainClip` and `open_clip.CLIP` compute from the same weights; tests hold it to both.

B items · T tokens · W width · R rows, B * T of them · D dimensions · S image side
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.models.int8 import Int8Product
from clip_vectorizer.models.placement import Placement
from clip_vectorizer.models.products import Activation, Heads, MakeProduct, product

Weights = Mapping[str, Tensor]  # names as in open_clip


class PackedClip:
    def __init__(self, images: Callable[[Tensor], Tensor], texts: "PackedTexts") -> None:
        self.encode_image = images  # (B, 3, S, S) -> (B, D), not of unit length
        self.encode_text = texts  # (B, T) -> (B, D); T up to the context

    @classmethod
    def of(cls, weights: Weights, heads: Heads, placement: Placement, images: nn.Module | None = None) -> Self:
        """`weights` in float32; `images` replaces the image tower where that is no transformer."""
        return cls.made(weights, heads, Kind.of(placement), images)

    @classmethod
    def made(cls, weights: Weights, heads: Heads, kind: "Kind", images: nn.Module | None = None) -> Self:
        texts = PackedTexts(weights, heads.text, heads.activation, kind)
        if images is not None:
            return cls(images.to(kind.dtype), texts)
        return cls(PackedImages(under(weights, "visual."), heads.image, heads.activation, kind), texts)


@dataclass(frozen=True, slots=True)
class Kind:
    """Numbers between the products, and the products."""

    dtype: torch.dtype
    make: MakeProduct

    @classmethod
    def of(cls, placement: Placement) -> Self:
        dtype = torch.bfloat16 if placement.precision == "bf16" else torch.float32
        return cls(dtype, Int8Product if placement.precision == "int8" else product)


class PackedImages:
    def __init__(self, weights: Weights, heads: int, activation: Activation, kind: Kind) -> None:
        own = {name: value.to(kind.dtype) for name, value in weights.items() if "resblocks" not in name}
        kernel = own["conv1.weight"]  # it meets each pixel once, so it is a product with each patch as a row
        self._patch, self._patches = kernel.shape[-1], kind.make(kernel.flatten(1), None, "none")
        self._start, self._positions = own["class_embedding"], own["positional_embedding"]
        self._before, self._after = norm(own, "ln_pre."), norm(own, "ln_post.")
        self._blocks = blocks(under(weights, "transformer."), heads, activation, kind)
        self._projection = weights["proj"].float()

    def __call__(self, pixels_b3ss: Tensor) -> Tensor:
        patches = self._patches(in_patches(pixels_b3ss, self._patch))
        patches_btw = patches.view(len(pixels_b3ss), -1, patches.shape[1])
        start = self._start.expand(len(pixels_b3ss), 1, -1)
        hidden_btw = torch.cat([start, patches_btw], 1) + self._positions
        hidden_btw = through(self._blocks, self._before(hidden_btw), causal=False)
        return self._after(hidden_btw[:, 0]).float() @ self._projection


class PackedTexts:
    def __init__(self, weights: Weights, heads: int, activation: Activation, kind: Kind) -> None:
        self._tokens = weights["token_embedding.weight"].to(kind.dtype)
        self._positions = weights["positional_embedding"].to(kind.dtype)
        self._after = norm({name: value.to(kind.dtype) for name, value in weights.items()}, "ln_final.")
        self._blocks = blocks(under(weights, "transformer."), heads, activation, kind)
        self._projection = weights["text_projection"].float()

    def __call__(self, ids_bt: Tensor) -> Tensor:
        hidden_btw = F.embedding(ids_bt, self._tokens) + self._positions[: ids_bt.shape[1]]
        hidden_btw = through(self._blocks, hidden_btw, causal=True)
        ends = hidden_btw[torch.arange(len(ids_bt)), ids_bt.argmax(1)]  # the end token has the largest id
        return self._after(ends).float() @ self._projection


class Block:
    def __init__(self, weights: Weights, heads: int, activation: Activation, kind: Kind) -> None:
        own = {name: value.to(kind.dtype) for name, value in weights.items()}
        self._heads = heads
        self._first, self._second = norm(own, "ln_1."), norm(own, "ln_2.")
        self._joint = kind.make(own["attn.in_proj_weight"], own["attn.in_proj_bias"], "none")
        self._out = kind.make(own["attn.out_proj.weight"], own["attn.out_proj.bias"], "none")
        self._widen = kind.make(own["mlp.c_fc.weight"], own["mlp.c_fc.bias"], activation)
        self._narrow = kind.make(own["mlp.c_proj.weight"], own["mlp.c_proj.bias"], "none")

    def __call__(self, hidden_rw: Tensor, items: int, causal: bool) -> Tensor:
        joint = self._joint(self._first(hidden_rw)).view(items, -1, 3, self._heads, hidden_rw.shape[1] // self._heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
        hidden_rw = self._out.onto(mixed.transpose(1, 2).reshape(hidden_rw.shape), hidden_rw)
        return self._narrow.onto(self._widen(self._second(hidden_rw)), hidden_rw)


def blocks(weights: Weights, heads: int, activation: Activation, kind: Kind) -> list[Block]:
    count = len({name.split(".")[1] for name in weights if name.startswith("resblocks.")})
    return [Block(under(weights, f"resblocks.{index}."), heads, activation, kind) for index in range(count)]


def through(layers: list[Block], hidden_btw: Tensor, causal: bool) -> Tensor:
    hidden_rw = hidden_btw.flatten(0, 1)
    for layer in layers:
        hidden_rw = layer(hidden_rw, len(hidden_btw), causal)
    return hidden_rw.view(hidden_btw.shape)


def in_patches(pixels_b3ss: Tensor, side: int) -> Tensor:
    """(B * patches, 3 * side * side), patches by rows; pixels past the last whole patch are left out."""
    items, colours, high, wide = pixels_b3ss.shape
    down, along = high // side, wide // side
    whole = pixels_b3ss[:, :, : down * side, : along * side]
    grid = whole.reshape(items, colours, down, side, along, side).permute(0, 2, 4, 1, 3, 5)
    return grid.reshape(items * down * along, colours * side * side)


def norm(weights: Weights, prefix: str) -> Callable[[Tensor], Tensor]:
    gain, shift = weights[f"{prefix}weight"], weights[f"{prefix}bias"]
    return lambda rows: F.layer_norm(rows, gain.shape, gain, shift)


def under(weights: Weights, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
