"""The towers of a plain CLIP for a CPU, as chains of fused products.

Computes the same vectors as `plain.PlainClip` and `open_clip.CLIP` from the same weights; tests compare it with both.
Padding and what texts have in common is not computed (`row_layouts`), and in the last block only the rows that become
vectors are.

B items · T tokens of the longest item · R rows that are computed · W width · D dimensions
S image side
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.models.attention import mix_values
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.packed_resnet import pack_resnet
from clip_vectorizer.models.pauses import run_pause_work
from clip_vectorizer.models.plain import ResNetTower
from clip_vectorizer.models.products import Activation, AttentionHeads, Int8Product, MakeProduct, make_product
from clip_vectorizer.models.row_layouts import RowLayout, layout_images, layout_texts

WeightMapping = Mapping[str, Tensor]  # names as in open_clip
LAYER_NORM_EPSILON = 1e-5  # torch's
PART_ROWS = 800  # 16 images of ViT-B-32, 4 of ViT-B-16
# Passes of int8 need more matrices at once. With 800 rows they do not fit into one heap of a thread, 64 MB in glibc:
# memory then goes back to the system and is taken again within each pass.
INT8_PART_ROWS = 400
Positions = Callable[[Tensor], Tensor]  # (T, W) of the model -> (T, W) of a picture of another size
Mix = Callable[[Tensor, Tensor], Tensor]  # keys and values -> values mixed by attention


@dataclass(frozen=True, slots=True)
class Numerics:
    """The dtype between products, and the kind of products."""

    dtype: torch.dtype
    make: MakeProduct
    part_rows: int = PART_ROWS
    copies: bool = True  # towers keep no tensor that they are given: it may hold a whole file in memory

    @classmethod
    def of(cls, placement: Placement) -> Self:
        if placement.precision == "int8":
            return cls(torch.float32, Int8Product, INT8_PART_ROWS)
        return cls(torch.bfloat16 if placement.precision == "bf16" else torch.float32, make_product)

    def take(self, value: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Return `value` in `dtype`, by default the one between products."""
        return value.to(dtype or self.dtype, copy=self.copies)

    def take_all(self, weights: WeightMapping) -> dict[str, Tensor]:
        return {name: self.take(value) for name, value in weights.items()}


class PackedClip:
    def __init__(self, images: Callable[[Tensor], Tensor], texts: Callable[[Tensor], Tensor]) -> None:
        self.encode_image = images  # (B, 3, S, S) -> (B, D), not of unit length
        self.encode_text = texts  # (B, T) -> (B, D); T up to the context

    @classmethod
    def of(
        cls, weights: WeightMapping, heads: AttentionHeads, placement: Placement, images: ResNetTower | None = None
    ) -> Self:
        """Build the towers from float32 `weights`; `images` is the image tower where it is no transformer."""
        return cls.build(weights, heads, Numerics.of(placement), images)

    @classmethod
    def build(
        cls, weights: WeightMapping, heads: AttentionHeads, kind: Numerics, images: ResNetTower | None = None
    ) -> Self:
        texts = PackedTexts(weights, heads.text, heads.activation, kind)
        if images is not None:
            return cls(pack_resnet(images, kind.dtype), texts)
        return cls(PackedImages(select_prefix(weights, "visual."), heads.image, heads.activation, kind), texts)


class PackedImages:
    def __init__(self, weights: WeightMapping, heads: int, activation: Activation, kind: Numerics) -> None:
        self._part_rows = kind.part_rows
        own = kind.take_all({name: value for name, value in weights.items() if "resblocks" not in name})
        kernel = own["conv1.weight"]  # patches do not overlap, so it is a product with one row per patch
        self._patch, self._patches = kernel.shape[-1], kind.make(kernel.flatten(1), None, "none")
        self._start, self._positions = own["class_embedding"], own["positional_embedding"]
        self._before, self._after = build_layer_norm(own, "ln_pre."), build_layer_norm(own, "ln_post.")
        self._blocks = build_blocks(select_prefix(weights, "transformer."), heads, activation, kind)
        self._projection = kind.take(weights["proj"], torch.float32)

    def __call__(self, pixels_b3ss: Tensor) -> Tensor:
        """In even parts of at most `Numerics.part_rows` rows, whose memory is used again while it is in the caches."""
        most = max(1, self._part_rows // len(self._positions))
        parts = torch.tensor_split(pixels_b3ss, -(-len(pixels_b3ss) // most))
        return torch.cat([self._encode_part(part) for part in parts])

    def _encode_part(self, pixels_b3ss: Tensor) -> Tensor:
        patches = self._patches(split_patches(pixels_b3ss, self._patch))
        patches_btw = patches.view(len(pixels_b3ss), -1, patches.shape[1])
        start = self._start.expand(len(pixels_b3ss), 1, -1)
        hidden_btw = self._before(torch.cat([start, patches_btw], 1) + self._positions)
        layout = layout_images(*hidden_btw.shape[:2])
        return self._after(run_blocks(self._blocks, hidden_btw.flatten(0, 1), layout)).float() @ self._projection

    @property
    def patch_side(self) -> int:
        """Pixels."""
        return self._patch

    def read_patches(self, pixels_13hw: Tensor, positions_tw: Positions, mix: Mix) -> Tensor:
        """Return (T, D) of one picture, class token first, not of unit length: the last block is `mix` alone.

        `positions_tw` makes the positions of as many patches as the picture has; `mix` gets keys and values
        (1, heads, T, W / heads). The last block has neither residual nor FFN.
        """
        patches_1tw = self._patches(split_patches(pixels_13hw, self._patch))[None]
        start_11w = self._start.expand(1, 1, -1)
        hidden_1tw = self._before(torch.cat([start_11w, patches_1tw], 1) + positions_tw(self._positions))
        layout = layout_images(1, hidden_1tw.shape[1])
        hidden_tw = run_blocks(self._blocks[:-1], hidden_1tw[0], layout)
        key, value = self._blocks[-1].read_keys_values(hidden_tw, layout)
        mixed_tw = mix(key, value).transpose(1, 2).flatten(2)[0]
        return self._after(self._blocks[-1].project(mixed_tw)).float() @ self._projection


class PackedTexts:
    def __init__(self, weights: WeightMapping, heads: int, activation: Activation, kind: Numerics) -> None:
        self._tokens = kind.take(weights["token_embedding.weight"])
        self._positions = kind.take(weights["positional_embedding"])
        self._after = build_layer_norm(kind.take_all(select_prefix(weights, "ln_final.")), "")
        self._blocks = build_blocks(select_prefix(weights, "transformer."), heads, activation, kind)
        self._projection = kind.take(weights["text_projection"], torch.float32)

    def __call__(self, ids_bt: Tensor) -> Tensor:
        layout = layout_texts(ids_bt)
        hidden_btw = F.embedding(ids_bt, self._tokens) + self._positions[: ids_bt.shape[1]]
        return self._after(run_blocks(self._blocks, layout.gather(hidden_btw), layout)).float() @ self._projection


class PackedBlock:
    def __init__(self, weights: WeightMapping, heads: int, activation: Activation, kind: Numerics) -> None:
        own = kind.take_all(weights)
        self._heads = heads
        self._first, self._second = build_layer_norm(own, "ln_1."), build_layer_norm(own, "ln_2.")
        self._load_attention(own["attn.in_proj_weight"], own["attn.in_proj_bias"], kind)
        self._out = kind.make(own["attn.out_proj.weight"], own["attn.out_proj.bias"], "none")
        self._widen = kind.make(own["mlp.c_fc.weight"], own["mlp.c_fc.bias"], activation)
        self._narrow = kind.make(own["mlp.c_proj.weight"], own["mlp.c_proj.bias"], "none")

    def _load_attention(self, weight: Tensor, bias: Tensor, kind: Numerics) -> None:
        self._joint = kind.make(weight, bias, "none")

    def __call__(self, hidden_rw: Tensor, layout: RowLayout, mask: Tensor | None) -> Tensor:
        """Return (R, W). `mask` is the layout's."""
        query, key, value = self._parts(layout.spread(self._joint(self._first(hidden_rw))), 3)
        mixed_btw = mix_values(query, key, value, mask)
        return self._project_and_widen(layout.gather(mixed_btw), hidden_rw)

    def _parts(self, joint_btx: Tensor, count: int) -> Tensor:
        """Return (count, B, heads, T, W / heads)."""
        return joint_btx.view(*joint_btx.shape[:2], count, self._heads, -1).permute(2, 0, 3, 1, 4)

    def read_keys_values(self, hidden_rw: Tensor, layout: RowLayout) -> Tensor:
        """Return keys and values, (2, B, heads, T, W / heads)."""
        return self._parts(layout.spread(self._joint(self._first(hidden_rw))), 3)[1:]

    def project(self, mixed_rw: Tensor) -> Tensor:
        """Return (R, W): what attention adds, without the residual."""
        return self._out(mixed_rw)

    def _project_and_widen(self, mixed: Tensor, hidden: Tensor) -> Tensor:
        hidden = self._out.onto(mixed, hidden)
        return self._narrow.onto(self._widen(self._second(hidden)), hidden)


class LastPackedBlock(PackedBlock):
    """The last block: everything except keys and values is computed for the read row of each item only."""

    def _load_attention(self, weight: Tensor, bias: Tensor, kind: Numerics) -> None:
        width = weight.shape[1]
        self._query = kind.make(weight[:width].contiguous(), bias[:width].contiguous(), "none")
        self._keys_values = kind.make(weight[width:].contiguous(), bias[width:].contiguous(), "none")

    def read_keys_values(self, hidden_rw: Tensor, layout: RowLayout) -> Tensor:
        """Return keys and values, (2, B, heads, T, W / heads)."""
        return self._parts(layout.spread(self._keys_values(self._first(hidden_rw))), 2)

    def __call__(self, hidden_rw: Tensor, layout: RowLayout, mask: Tensor | None) -> Tensor:
        """(B, W). `mask` is for rows that are not computed here."""
        normed = self._first(hidden_rw)
        query_b1w = self._query(normed.index_select(0, layout.read))[: layout.items, None]
        (query,) = self._parts(query_b1w, 1)
        key, value = self._parts(layout.spread(self._keys_values(normed)), 2)
        mixed_b1w = mix_values(query, key, value, layout.padding_mask(hidden_rw.dtype))
        mixed = layout.extend(mixed_b1w[:, 0])
        return self._project_and_widen(mixed, hidden_rw.index_select(0, layout.read))[: layout.items]


def run_blocks(layers: Sequence[PackedBlock], hidden_rw: Tensor, layout: RowLayout) -> Tensor:
    """Return (B, W): the rows that are read."""
    mask = layout.mask(hidden_rw.dtype)
    for layer in layers:
        run_pause_work()
        hidden_rw = layer(hidden_rw, layout, mask)
    return hidden_rw


def split_patches(pixels_b3ss: Tensor, side: int) -> Tensor:
    """Return (B * patches, 3 * side * side), patches in row order; pixels past the last whole patch are dropped."""
    items, colours, high, wide = pixels_b3ss.shape
    down, along = high // side, wide // side
    whole = pixels_b3ss[:, :, : down * side, : along * side]
    grid = whole.reshape(items, colours, down, side, along, side).permute(0, 2, 4, 1, 3, 5)
    return grid.reshape(items * down * along, colours * side * side)


def build_blocks(weights: WeightMapping, heads: int, activation: Activation, kind: Numerics) -> list[PackedBlock]:
    count = len({name.split(".")[1] for name in weights if name.startswith("resblocks.")})
    kinds = [PackedBlock] * (count - 1) + [LastPackedBlock]
    return [make(select_prefix(weights, f"resblocks.{n}."), heads, activation, kind) for n, make in enumerate(kinds)]


def build_layer_norm(
    weights: WeightMapping, prefix: str, epsilon: float = LAYER_NORM_EPSILON
) -> Callable[[Tensor], Tensor]:
    gain, shift = weights[f"{prefix}weight"], weights[f"{prefix}bias"]
    return lambda rows: F.layer_norm(rows, gain.shape, gain, shift, epsilon)


def select_prefix(weights: WeightMapping, prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
