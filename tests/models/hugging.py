"""open_clip's CLIP as the `CLIPModel` of transformers: another implementation with the same weights."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from open_clip.model import CLIP
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

# open_clip's names and transformers'; each parameter of the first begins with one of them
NAMES = {
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1": "vision_model.embeddings.patch_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre": "vision_model.pre_layrnorm",
    "visual.transformer.resblocks": "vision_model.encoder.layers",
    "visual.ln_post": "vision_model.post_layernorm",
    "visual.proj": "visual_projection.weight",
    "token_embedding": "text_model.embeddings.token_embedding",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "transformer.resblocks": "text_model.encoder.layers",
    "ln_final": "text_model.final_layer_norm",
    "text_projection": "text_projection.weight",
    "logit_scale": "logit_scale",
}
INSIDE = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
TRANSPOSED = {"visual.proj", "text_projection"}  # there `x @ W`, here a Linear layer


class HuggingClip:
    """(N, 3, S, S) float32 or (N, 77) ids in, (N, D) unit rows out."""

    def __init__(self, model: CLIP, activation: str) -> None:
        self._model = CLIPModel(config_of(model, activation)).eval().requires_grad_(False)
        self._model.load_state_dict(dict(renamed(model.state_dict())), assign=True)  # shares the weights: no copy

    def images(self, pixels_n3ss: Tensor) -> np.ndarray:
        return rows(self._model.get_image_features(pixel_values=pixels_n3ss))

    def texts(self, ids_nt: Tensor) -> np.ndarray:
        return rows(self._model.get_text_features(input_ids=ids_nt))


def config_of(model: CLIP, activation: str) -> CLIPConfig:
    visual, text = model.visual, model.transformer
    vision = {"image_size": visual.image_size[0], "patch_size": visual.patch_size[0]}
    words = {"vocab_size": model.vocab_size, "max_position_embeddings": model.context_length}
    dimension = model.text_projection.shape[1]
    return CLIPConfig(
        text_config={**words, **tower(text, activation), "bos_token_id": 49406, "eos_token_id": 49407},
        vision_config={**vision, **tower(visual.transformer, activation)},
        projection_dim=dimension,
    )


def tower(transformer: Any, activation: str) -> dict[str, Any]:
    return {
        "hidden_size": transformer.width,
        "intermediate_size": 4 * transformer.width,
        "num_hidden_layers": transformer.layers,
        "num_attention_heads": transformer.resblocks[0].attn.num_heads,
        "hidden_act": activation,
    }


def renamed(weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in weights.items():
        prefix = max((known for known in NAMES if name.startswith(known)), key=len)
        rest = name.removeprefix(prefix)
        if ".attn.in_proj_" in rest:
            yield from thirds(NAMES[prefix] + rest, value)
            continue
        for theirs, ours in {**INSIDE, "attn.out_proj": "self_attn.out_proj"}.items():
            rest = rest.replace(theirs, ours)
        yield NAMES[prefix] + rest, value.T if name in TRANSPOSED else value


def thirds(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """One matrix of three in open_clip, three here."""
    for letter, part in zip("qkv", value.chunk(3), strict=True):
        yield name.replace("attn.in_proj_", f"self_attn.{letter}_proj."), part


def rows(features: Any) -> np.ndarray:
    found = getattr(features, "pooler_output", features)  # transformers 5 answers with an object
    return torch.nn.functional.normalize(found, dim=-1).numpy()
