"""Tensors of Chinese CLIPs, as transformers and cn_clip name them, under the names of `ChineseTowers`."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from clip_vectorizer.models.packed import select_prefix
from clip_vectorizer.models.state_dicts import convert_transformers
from clip_vectorizer.models.weight_files import Weights

BERT_NAMES = {  # in this order: some contain others
    "embeddings.word_embeddings.weight": "token_embedding.weight",
    "embeddings.LayerNorm": "ln_embedding",
    "encoder.layer.": "transformer.resblocks.",
    "attention.output.dense": "attn.out_proj",
    "attention.output.LayerNorm": "ln_1",
    "intermediate.dense": "mlp.c_fc",
    "output.dense": "mlp.c_proj",
    "output.LayerNorm": "ln_2",
    "pooler.dense": "pooler",
}
BERT_ATTENTION = re.compile(r"(encoder\.layer\.\d+\.)attention\.self\.(query|key|value)\.(weight|bias)")
POSITIONS, KINDS = "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight"
IMAGE_PREFIXES = ("vision_model.", "visual_projection.")


def select_taiyi(texts: Weights, images: Weights) -> Weights:
    """Join a BertForSequenceClassification, whose logits are the vectors, with the image tower of a CLIPModel."""
    head = {f"text.projection.{name}": value for name, value in select_prefix(texts, "classifier.").items()}
    return convert_bert(select_prefix(texts, "bert.")) | head | select_image_tower(images)


def select_chinese_clip(weights: Weights) -> Weights:
    """Return the tensors of a ChineseCLIPModel; it does not use BERT's pooler."""
    head = {f"text.projection.{name}": value for name, value in select_prefix(weights, "text_projection.").items()}
    return convert_bert(drop_pooler(select_prefix(weights, "text_model."))) | head | select_image_tower(weights)


def select_cn_clip(weights: Weights) -> Weights:
    """Return the tensors of cn_clip's CLIP; its image tower has open_clip's names."""
    images = {name: value for name, value in weights.items() if name.startswith("visual.") or name == "logit_scale"}
    head = {"text.projection.weight": weights["text_projection"].t()} if "text_projection" in weights else {}
    return convert_bert(drop_pooler(select_prefix(weights, "bert."))) | head | images


def select_image_tower(weights: Weights) -> Weights:
    images = {name: value for name, value in weights.items() if name.startswith(IMAGE_PREFIXES)}
    scale = {name: value for name, value in weights.items() if name == "logit_scale"}
    return drop_numbers(convert_transformers(images)) | scale


def drop_numbers(weights: Weights) -> Weights:
    """Without the positions 0, 1, 2, ..., which older files contain."""
    return {name: value for name, value in weights.items() if not name.endswith("position_ids")}


def drop_pooler(weights: Weights) -> Weights:
    return {name: value for name, value in weights.items() if not name.startswith("pooler.")}


def convert_bert(weights: Weights) -> Weights:
    """Return transformers' BertModel as `text.` of ChineseTowers; names that are unknown stay as they are."""
    parts: dict[str, dict[str, Tensor]] = {}
    converted: Weights = {}
    for name, value in drop_numbers(weights).items():
        if found := BERT_ATTENTION.fullmatch(name):
            parts.setdefault(f"{rename_bert(found[1])}attn.in_proj_{found[3]}", {})[found[2]] = value
        elif name not in (POSITIONS, KINDS):
            converted[rename_bert(name)] = value
    joined = {name: join_attention(part) for name, part in parts.items() if len(part) == 3}
    return {f"text.{name}": value for name, value in (converted | joined | join_positions(weights)).items()}


def join_attention(part: Mapping[str, Tensor]) -> Tensor:
    return torch.cat([part[name] for name in ("query", "key", "value")])


def join_positions(weights: Weights) -> Weights:
    """Add the embedding of the first of two sentences, the only one here, to each position; in float32."""
    if POSITIONS not in weights or KINDS not in weights:
        return {}
    return {"positional_embedding": weights[POSITIONS].float() + weights[KINDS][0].float()}


def rename_bert(name: str) -> str:
    """
    >>> rename_bert("encoder.layer.3.attention.output.dense.weight")
    'transformer.resblocks.3.attn.out_proj.weight'
    """
    for theirs, ours in BERT_NAMES.items():
        name = name.replace(theirs, ours)
    return name
