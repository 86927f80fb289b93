"""The towers of a plain CLIP for a CPU: one weight list in, two functions out, each a chain of fused products.

It computes what `plain.PlainClip` and `open_clip.CLIP` compute from the same weights; tests hold it to both.

B items · T tokens · W width · R rows · D dimensions · S image side
"""

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.models.packed_blocks import Block, Kind, Layout, Weights, blocks, norm, under
from clip_vectorizer.models.pauses import pause
from clip_vectorizer.models.placement import Placement
from clip_vectorizer.models.products import Activation, Heads


class PackedClip:
    def __init__(self, images: Callable[[Tensor], Tensor], texts: "PackedTexts") -> None:
        self.encode_image = images  # (B, 3, S, S) -> (B, D), not of unit length
        self.encode_text = texts  # (B, T) -> (B, D); T up to the context

    @classmethod
    def of(cls, weights: Weights, heads: Heads, placement: Placement, images: nn.Module | None = None) -> Self:
        """`weights` in float32; `images` replaces the image tower where that is no transformer."""
        return cls.made(weights, heads, Kind.of(placement), images)

    @classmethod
    def made(cls, weights: Weights, heads: Heads, kind: Kind, images: nn.Module | None = None) -> Self:
        texts = PackedTexts(weights, heads.text, heads.activation, kind)
        if images is not None:
            return cls(images.to(kind.dtype), texts)
        return cls(PackedImages(under(weights, "visual."), heads.image, heads.activation, kind), texts)


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
        hidden_btw = self._before(torch.cat([start, patches_btw], 1) + self._positions)
        items, tokens, _ = hidden_btw.shape
        layout = Layout(items, tokens, None, torch.arange(items) * tokens, causal=False)
        return self._after(through(self._blocks, hidden_btw.flatten(0, 1), layout)).float() @ self._projection


class PackedTexts:
    def __init__(self, weights: Weights, heads: int, activation: Activation, kind: Kind) -> None:
        self._tokens = weights["token_embedding.weight"].to(kind.dtype)
        self._positions = weights["positional_embedding"].to(kind.dtype)
        self._after = norm({name: value.to(kind.dtype) for name, value in weights.items()}, "ln_final.")
        self._blocks = blocks(under(weights, "transformer."), heads, activation, kind)
        self._projection = weights["text_projection"].float()

    def __call__(self, ids_bt: Tensor) -> Tensor:
        layout = layout_of(ids_bt)
        hidden_btw = F.embedding(ids_bt, self._tokens) + self._positions[: ids_bt.shape[1]]
        return self._after(through(self._blocks, layout.gathered(hidden_btw), layout)).float() @ self._projection


def through(layers: Sequence[Block], hidden_rw: Tensor, layout: Layout) -> Tensor:
    """(B, W): the rows that are read."""
    for layer in layers:
        pause()
        hidden_rw = layer(hidden_rw, layout)
    return hidden_rw


def layout_of(ids_bt: Tensor) -> Layout:
    """Each text up to its end token, which has the largest id. What comes after it nobody before it sees."""
    ends_b1 = ids_bt.argmax(1, keepdim=True)
    kept_bt = torch.arange(ids_bt.shape[1]) <= ends_b1
    read = kept_bt.sum(1).cumsum(0) - 1
    places = None if kept_bt.all() else kept_bt.flatten().nonzero()[:, 0]
    return Layout(len(ids_bt), ids_bt.shape[1], places, read, causal=True)


def in_patches(pixels_b3ss: Tensor, side: int) -> Tensor:
    """(B * patches, 3 * side * side), patches by rows; pixels past the last whole patch are left out."""
    items, colours, high, wide = pixels_b3ss.shape
    down, along = high // side, wide // side
    whole = pixels_b3ss[:, :, : down * side, : along * side]
    grid = whole.reshape(items, colours, down, side, along, side).permute(0, 2, 4, 1, 3, 5)
    return grid.reshape(items * down * along, colours * side * side)
