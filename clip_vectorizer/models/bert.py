"""The text tower of Chinese CLIPs: BERT, read at its first token. One class for any device, a faster one for a CPU.

Both attend to a text's own tokens and not to the padding behind it, so a text has one vector in any batch.

B texts · T tokens of the longest text · R rows that are computed · W width · D dimensions
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.models.attention import mix_values
from clip_vectorizer.models.packed import (
    Numerics,
    WeightMapping,
    build_layer_norm,
    select_prefix,
)
from clip_vectorizer.models.pauses import run_pause_work
from clip_vectorizer.models.plain import PlainAttention
from clip_vectorizer.models.row_layouts import RowLayout, layout_attended

PADDING = 0  # the id of [PAD] in every vocabulary of BERT
BERT_EPSILON = 1e-12  # of its normalisation


@dataclass(frozen=True, slots=True)
class BertOptions:
    """What the weights of a BERT do not contain."""

    heads: int
    epsilon: float = BERT_EPSILON
    attend_padding: int = 0  # tokens: shorter texts are padded to so many, and the padding is attended to


class BertTower(nn.Module):
    """(B, T) ids in, (B, D) out, not of unit length; T may be any length up to the number of positions."""

    def __init__(self, weights: WeightMapping, options: BertOptions) -> None:
        """Make a tower of the shape of `weights`, which are loaded into it afterwards."""
        super().__init__()
        self.options = options
        (words, width), (positions, _) = (
            weights[name].shape for name in ("token_embedding.weight", "positional_embedding")
        )
        hidden = len(weights["transformer.resblocks.0.mlp.c_fc.weight"])
        self.token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(torch.empty(positions, width))
        self.ln_embedding = nn.LayerNorm(width, options.epsilon)
        blocks = (PostNormBlock(width, hidden, options) for _ in range(count_bert_blocks(weights)))
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(blocks)})
        self.pooler = nn.Linear(width, width) if "pooler.weight" in weights else None
        self.projection = nn.Linear(width, len(weights["projection.weight"]), bias="projection.bias" in weights)

    def forward(self, ids_bt: Tensor) -> Tensor:
        attended_b11t = mark_attended(ids_bt, self.options.attend_padding)[:, None, None]
        hidden_btw = self.token_embedding(ids_bt) + self.positional_embedding[: ids_bt.shape[1]]
        hidden_btw = self.ln_embedding(hidden_btw)
        for block in self.transformer["resblocks"].children():
            hidden_btw = block(hidden_btw, attended_b11t)
        first_bw = hidden_btw[:, 0]
        rows: Tensor = self.projection(first_bw if self.pooler is None else self.pooler(first_bw).tanh())
        return rows


class PostNormBlock(nn.Module):
    """Normalises after each sum, as Vaswani et al. 2017; the blocks of CLIP normalise before each part."""

    def __init__(self, width: int, hidden: int, options: BertOptions) -> None:
        super().__init__()
        self.attn = PlainAttention(width, options.heads)
        self.ln_1, self.ln_2 = (nn.LayerNorm(width, options.epsilon) for _ in range(2))
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, hidden), "c_proj": nn.Linear(hidden, width)})

    def forward(self, hidden_btw: Tensor, attended_b11t: Tensor) -> Tensor:
        hidden_btw = self.ln_1(hidden_btw + self.attn(hidden_btw, causal=False, attended_b11t=attended_b11t))
        inner = self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](hidden_btw)))
        rows: Tensor = self.ln_2(hidden_btw + inner)
        return rows


def count_bert_blocks(weights: WeightMapping) -> int:
    return sum(name.endswith(".attn.in_proj_weight") for name in weights)


def mark_attended(ids_bt: Tensor, attend_padding: int = 0) -> Tensor:
    """Return (B, T), True for the tokens of a text and for the first `attend_padding` tokens.

    A text may have [PAD] among its own tokens, so only what follows its last other token is padding.

    >>> mark_attended(torch.tensor([[101, 0, 102, 0, 0]])).tolist()
    [[True, True, True, False, False]]
    """
    later_bt = (ids_bt != PADDING).flip(1).cumsum(1).flip(1)  # tokens of the text from here on
    places_t = torch.arange(ids_bt.shape[1], device=ids_bt.device)
    return (later_bt > 0) | (places_t < max(attend_padding, 1))  # one at least: attention to nothing is NaN


class PackedBert:
    """Computes what `BertTower` does, from the same weights, as chains of fused products without the padding."""

    def __init__(self, weights: WeightMapping, options: BertOptions, kind: Numerics) -> None:
        own = kind.take_all({name: value for name, value in weights.items() if "resblocks" not in name})
        self._attend_padding = options.attend_padding
        self._tokens, self._positions = own["token_embedding.weight"], own["positional_embedding"]
        self._start = build_layer_norm(own, "ln_embedding.", options.epsilon)
        self._blocks = [
            PackedPostNormBlock(select_prefix(weights, f"transformer.resblocks.{number}."), options, kind)
            for number in range(count_bert_blocks(weights))
        ]
        self._head = build_head(weights, kind)

    def __call__(self, ids_bt: Tensor) -> Tensor:
        """Return (B, D), not of unit length."""
        layout = layout_attended(mark_attended(ids_bt, self._attend_padding))
        hidden_btw = F.embedding(ids_bt, self._tokens) + self._positions[: ids_bt.shape[1]]
        hidden_rw = self._start(layout.gather(hidden_btw))
        mask_b11t = layout.mask(hidden_rw.dtype)
        for block in self._blocks:
            run_pause_work()
            hidden_rw = block(hidden_rw, layout, mask_b11t)
        return self._head(hidden_rw.index_select(0, layout.read).float())


class PackedPostNormBlock:
    def __init__(self, weights: WeightMapping, options: BertOptions, kind: Numerics) -> None:
        own = kind.take_all(weights)
        self._heads = options.heads
        self._joint = kind.make(own["attn.in_proj_weight"], own["attn.in_proj_bias"], "none")
        self._out = kind.make(own["attn.out_proj.weight"], own["attn.out_proj.bias"], "none")
        self._widen = kind.make(own["mlp.c_fc.weight"], own["mlp.c_fc.bias"], "gelu")
        self._narrow = kind.make(own["mlp.c_proj.weight"], own["mlp.c_proj.bias"], "none")
        self._first, self._second = (build_layer_norm(own, name, options.epsilon) for name in ("ln_1.", "ln_2."))

    def __call__(self, hidden_rw: Tensor, layout: RowLayout, mask_b11t: Tensor | None) -> Tensor:
        """Return (R, W)."""
        joint_btx = layout.spread(self._joint(hidden_rw))
        query, key, value = joint_btx.view(*joint_btx.shape[:2], 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        mixed_btw = mix_values(query, key, value, mask_b11t)
        hidden_rw = self._first(self._out.onto(layout.gather(mixed_btw), hidden_rw))
        return self._second(self._narrow.onto(self._widen(hidden_rw), hidden_rw))


def build_head(weights: WeightMapping, kind: Numerics) -> Callable[[Tensor], Tensor]:
    """Return what makes vectors of first tokens, in float32: the pooler where there is one, and the projection."""
    head_weights = {name: value for name, value in weights.items() if name.startswith(("pooler.", "projection."))}
    own = {name: kind.take(value, torch.float32) for name, value in head_weights.items()}

    def head(first_bw: Tensor) -> Tensor:
        if "pooler.weight" in own:
            first_bw = F.linear(first_bw, own["pooler.weight"], own["pooler.bias"]).tanh()
        return F.linear(first_bw, own["projection.weight"], own.get("projection.bias"))

    return head
