"""Wraps a model of open_clip, or one with its methods, as an encoder. Importing this module takes seconds.

On a CPU, models that are a plain CLIP run on the faster towers of `packed`. Names of weights do not show every option,
so both kinds of towers compute a text and an image first.

N items · T tokens · D dimensions
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import QuickGELU, VisionTransformer, text_global_pool
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable, SettingsError
from clip_vectorizer.models.devices import Placement, check_numbers, count_weights, hash_weights
from clip_vectorizer.models.encoder import Encoder, ModelInfo
from clip_vectorizer.models.packed import Numerics, PackedClip
from clip_vectorizer.models.preprocess import PixelRecipe, parse_pixel_recipe
from clip_vectorizer.models.products import Activation, AttentionHeads, StockProduct
from clip_vectorizer.models.tokens import (
    ClipTokenizer,
    FolderTokenizer,
    PaddedTokenizer,
    TextTokenizer,
    TrainedTokenizer,
)
from clip_vectorizer.models.torch_encoder import TorchEncoder, Towers

OUTSIDE_TOWERS = ("attn_mask", "logit_bias")  # made by `packed` itself; of the scores of a sigmoid model
TOLERANCE = 1e-6  # of 1 - cosine: float32 differs by 1e-12, GELU and QuickGELU by 1e-4
NOISE_SEED = 0

WEIGHT_AND_BIAS = ("weight", "bias")
BLOCK_PARAMETERS = {
    *(
        f"{part}.{kind}"
        for part in ("ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj")
        for kind in WEIGHT_AND_BIAS
    ),
    *(f"attn.in_proj_{kind}" for kind in WEIGHT_AND_BIAS),
}
IMAGE_PARAMETERS = {"class_embedding", "positional_embedding", "conv1.weight", "proj"}
PLAIN_PARAMETERS = {
    *(f"transformer.resblocks.N.{name}" for name in BLOCK_PARAMETERS),
    *(f"visual.transformer.resblocks.N.{name}" for name in BLOCK_PARAMETERS),
    *(f"visual.{name}" for name in IMAGE_PARAMETERS),
    *(f"{part}.{kind}" for part in ("visual.ln_pre", "visual.ln_post", "ln_final") for kind in WEIGHT_AND_BIAS),
    *("token_embedding.weight", "positional_embedding", "text_projection", "logit_scale"),
}


def build_encoder(name: str, model: Any, tokenizer: Any, placement: Placement) -> Encoder:
    """Wrap `model`, in float32 on the CPU, as an encoder at `placement`. Raises ModelUnavailable, SettingsError."""
    check_numbers(name, model)
    recipe, context = read_pixel_recipe(name, model), int(tokenizer.context_length)
    short = takes_short_texts(model)
    towers = ShortTexts(model) if short else model
    info = ModelInfo(
        model=name,
        revision=hash_weights(model),
        dimension=measure_dimension(towers, context),
        image_size=recipe.size,
        context_length=context,
        preprocessing=recipe.version,
        logit_scale=float(model.logit_scale.exp()),
        device=placement.device,
        precision=placement.precision,
        logit_bias=read_logit_bias(model),
    )
    weight_count = count_weights(model)
    return TorchEncoder(
        place_model(name, model, towers, placement),
        wrap_tokenizer(tokenizer, context),
        recipe,
        info,
        least_tokens=0 if short else context,
        weight_count=weight_count,
    )


def read_logit_bias(model: Any) -> float | None:
    """Return the bias of a sigmoid model of open_clip or transformers; None for a softmax model.

    0 is None too: open_clip fills it in where a file of weights has no bias, and no training leaves it at exactly 0.
    """
    bias = getattr(model, "logit_bias", None)
    return None if bias is None else bias.item() or None


def place_model(name: str, model: Any, towers: Any, placement: Placement) -> Towers:
    """Return `towers` of `model` on its device, or faster ones that compute the same. Raises SettingsError."""
    if placement.device == "cpu" and (heads := detect_plain_heads(model)):
        return PackedClip.of(model.state_dict(), heads, placement)
    if placement.precision == "int8":
        raise SettingsError(f"CLIP_PRECISION='int8' is for plain CLIP transformers, not for {name}; use fp32 or bf16")
    placement.place(model)
    own: Towers = towers
    return own


def read_pixel_recipe(name: str, model: nn.Module) -> PixelRecipe:
    config = open_clip.get_model_preprocess_cfg(model)
    size = config["size"]
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ModelUnavailable(f"{name} takes images of {size[0]} x {size[1]} pixels; only square inputs are supported")
    return parse_pixel_recipe(sides.pop(), config)


def measure_dimension(towers: Any, context: int) -> int:
    with torch.inference_mode():
        return int(towers.encode_text(torch.zeros(1, context, dtype=torch.long)).shape[-1])


def wrap_tokenizer(tokenizer: Any, context: int) -> TextTokenizer:
    """Wrap a tokenizer: plain byte-pair ones return ids without padding, others pad to the context as in open_clip."""
    if isinstance(tokenizer, TrainedTokenizer | FolderTokenizer):
        return tokenizer
    if type(tokenizer) is SimpleTokenizer and tokenizer.reduction_fn is None:
        return ClipTokenizer(tokenizer, context)
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    clean = getattr(tokenizer, "clean_fn", str)
    return PaddedTokenizer(tokenizer, partial(count_tokens, inner, clean))


def count_tokens(tokenizer: Any, clean: Callable[[str], str], text: str) -> int:
    """Number of tokens before truncation."""
    return len(tokenizer(clean(text)).input_ids)


def takes_short_texts(model: nn.Module) -> bool:
    """Whether a text without padding has the same vector.

    True where attention is causal and the vector is read at the end token, as in OpenAI's CLIP. Towers that attend to
    the padding (SigLIP) or that come from `transformers` get the full context.
    """
    return type(model) is open_clip.CLIP and model.attn_mask is not None and model.text_pool_type == "argmax"


class ShortTexts:
    """An `open_clip.CLIP` whose text tower takes any number of tokens up to the context."""

    def __init__(self, model: nn.Module) -> None:
        self._model: Any = model

    @property
    def visual(self) -> Any:
        """The image tower."""
        return self._model.visual

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor:
        rows: Tensor = self._model.encode_image(pixels_n3ss)
        return rows

    def encode_text(self, ids_nt: Tensor) -> Tensor:
        """Compute `CLIP.encode_text` of open_clip, with positions and mask cut to T."""
        model, length = self._model, ids_nt.shape[1]
        dtype = model.transformer.get_cast_dtype()
        hidden = model.token_embedding(ids_nt).to(dtype) + model.positional_embedding[:length].to(dtype)
        hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
        pooled = text_global_pool(model.ln_final(hidden), ids_nt, model.text_pool_type)
        return project(pooled, model.text_projection)


def project(pooled_nw: Tensor, projection: Any) -> Tensor:
    if projection is None:
        return pooled_nw
    rows: Tensor = projection(pooled_nw) if isinstance(projection, nn.Linear) else pooled_nw @ projection
    return rows


def detect_plain_heads(model: Any) -> AttentionHeads | None:
    """Return the heads and activation of `model`, float32 on the CPU, for `packed`; None where it is no plain CLIP."""
    weights = model.state_dict()
    if (
        type(model) is not open_clip.CLIP
        or type(model.visual) is not VisionTransformer
        or normalise_parameter_names(weights) != PLAIN_PARAMETERS
    ):
        return None
    image, text = model.visual.transformer.resblocks[0], model.transformer.resblocks[0]
    kinds = {detect_activation(block.mlp.gelu) for block in (image, text)}
    activation = kinds.pop()
    if kinds or activation is None:
        return None
    heads = AttentionHeads(image.attn.num_heads, text.attn.num_heads, activation)
    return heads if computes_same_vectors(model, weights, heads) else None


def detect_activation(module: nn.Module) -> Activation | None:
    if type(module) is nn.GELU and module.approximate == "none":
        return "gelu"
    return "quick_gelu" if type(module) is QuickGELU else None


def normalise_parameter_names(weights: Mapping[str, Tensor]) -> set[str]:
    return {re.sub(r"resblocks\.\d+", "resblocks.N", name) for name in weights if name not in OUTSIDE_TOWERS}


def computes_same_vectors(model: Any, weights: Mapping[str, Tensor], heads: AttentionHeads) -> bool:
    """Whether a noise image and a random text get the vectors of `model`: names of weights do not show its options."""
    noise = torch.Generator().manual_seed(NOISE_SEED)
    pixels = torch.randn(1, 3, *model.visual.image_size, generator=noise)
    ids = torch.randperm(model.vocab_size, generator=noise)[None, : model.context_length]
    towers = PackedClip.build(weights, heads, Numerics(torch.float32, StockProduct, copies=False))
    with torch.inference_mode():
        pairs = (
            (towers.encode_image(pixels), model.encode_image(pixels)),
            (towers.encode_text(ids), model.encode_text(ids)),
        )
        return all(1 - torch.cosine_similarity(*pair).item() <= TOLERANCE for pair in pairs)
