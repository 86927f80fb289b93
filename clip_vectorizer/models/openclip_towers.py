"""A loaded open_clip model as an encoder: its tokenizer, its pixels, its towers.

N items · T tokens · D dimensions
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import open_clip
import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import text_global_pool
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable, SettingsError
from clip_vectorizer.models.encoder import Encoder, ModelInfo
from clip_vectorizer.models.openclip_plain import plain_heads
from clip_vectorizer.models.packed import PackedClip
from clip_vectorizer.models.placement import Placement, digest
from clip_vectorizer.models.preprocess import PixelRecipe, recipe_of
from clip_vectorizer.models.tokens import ClipTokenizer, OwnTokenizer, PaddedTokenizer, TextReader
from clip_vectorizer.models.torch_encoder import TorchEncoder, Towers


def encoder_of(name: str, model: Any, tokenizer: Any, placement: Placement) -> Encoder:
    """`model` in float32 on the CPU, which this moves to its place. Raises ModelUnavailable."""
    recipe, context = pixel_recipe(name, model), int(tokenizer.context_length)
    short = takes_short_texts(model)
    towers = ShortTexts(model) if short else model
    info = ModelInfo(
        model=name,
        revision=digest(model),
        dimension=dimension_of(towers, context),
        image_size=recipe.size,
        context_length=context,
        preprocessing=recipe.version,
        logit_scale=float(model.logit_scale.exp()),
        device=placement.device,
        precision=placement.precision,
    )
    return TorchEncoder(
        placed(name, model, towers, placement),
        reader_of(tokenizer, context),
        recipe,
        info,
        least_tokens=0 if short else context,
    )


def placed(name: str, model: Any, towers: Any, placement: Placement) -> Towers:
    """`towers` of `model`, or faster ones that compute the same. Raises SettingsError."""
    if placement.device == "cpu" and (heads := plain_heads(model)):
        placement.limit_threads(model)
        return PackedClip.of(model.state_dict(), heads, placement)
    if placement.precision == "int8":
        raise SettingsError(f"CLIP_PRECISION='int8' is for plain CLIP transformers, not for {name}; use fp32 or bf16")
    placement.place(model)
    own: Towers = towers
    return own


def pixel_recipe(name: str, model: nn.Module) -> PixelRecipe:
    config = open_clip.get_model_preprocess_cfg(model)
    size = config["size"]
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ModelUnavailable(f"{name} takes images of {size[0]} x {size[1]} pixels; only square inputs are supported")
    return recipe_of(sides.pop(), config)


def dimension_of(towers: Any, context: int) -> int:
    with torch.inference_mode():
        return int(towers.encode_text(torch.zeros(1, context, dtype=torch.long)).shape[-1])


def reader_of(tokenizer: Any, context: int) -> TextReader:
    """Plain byte-pair tokenizers give ids without padding; all others fill the context as open_clip has them do."""
    if isinstance(tokenizer, OwnTokenizer):
        return tokenizer
    if type(tokenizer) is SimpleTokenizer and tokenizer.reduction_fn is None:
        return ClipTokenizer(tokenizer, context)
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    clean = getattr(tokenizer, "clean_fn", str)
    return PaddedTokenizer(tokenizer, partial(count_ids, inner, clean))


def count_ids(tokenizer: Any, clean: Callable[[str], str], text: str) -> int:
    """Tokens before any cut."""
    return len(tokenizer(clean(text)).input_ids)


def takes_short_texts(model: nn.Module) -> bool:
    """Whether a text may lose its padding without a change of its vector.

    So it is where a token sees only those before it and the vector is read at the end token: in OpenAI's CLIP. Towers
    that see the padding (SigLIP) or that come from `transformers` get the full context.
    """
    return type(model) is open_clip.CLIP and model.attn_mask is not None and model.text_pool_type == "argmax"


class ShortTexts:
    """An `open_clip.CLIP` whose text tower takes any number of tokens up to the context."""

    def __init__(self, model: nn.Module) -> None:
        self._model: Any = model

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor:
        rows: Tensor = self._model.encode_image(pixels_n3ss)
        return rows

    def encode_text(self, ids_nt: Tensor) -> Tensor:
        """As `CLIP.encode_text` of open_clip, with positions and mask cut to T."""
        model, length = self._model, ids_nt.shape[1]
        dtype = model.transformer.get_cast_dtype()
        hidden = model.token_embedding(ids_nt).to(dtype) + model.positional_embedding[:length].to(dtype)
        hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
        pooled = text_global_pool(model.ln_final(hidden), ids_nt, model.text_pool_type)
        return projected(pooled, model.text_projection)


def projected(pooled_nw: Tensor, projection: Any) -> Tensor:
    if projection is None:
        return pooled_nw
    rows: Tensor = projection(pooled_nw) if isinstance(projection, nn.Linear) else pooled_nw @ projection
    return rows
