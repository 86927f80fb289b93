"""Configurations of text towers from transformers, so that open_clip builds them without a hub.

open_clip names such a tower (`xlm-roberta-base`) and reads its configuration from the hub, even where all weights are
in a file beside it. Here it is read from the model's folder, or from the table below.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
from open_clip.hf_configs import arch_dict

LOCAL_DIR = "local-dir:"
CONFIG = "config.json"
ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": 1}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
NLLB = {
    **{"vocab_size": 256206, "d_model": 1024, "encoder_attention_heads": 16, "decoder_attention_heads": 16},
    **{"max_position_embeddings": 1024, "scale_embedding": True, "activation_function": "relu", "pad_token_id": 1},
}
MT5 = {"vocab_size": 250112, "d_kv": 64, "feed_forward_proj": "gated-gelu", "pad_token_id": 0}
# The published configurations that open_clip's architectures name; what is not here is the default of its class.
# A test counts their parameters against open_clip's table.
KNOWN_CONFIGS: dict[str, dict[str, Any]] = {
    "roberta-base": {"model_type": "roberta", "vocab_size": 50265, **ROBERTA},
    "xlm-roberta-base": {"model_type": "xlm-roberta", "vocab_size": 250002, **ROBERTA},
    "xlm-roberta-large": {"model_type": "xlm-roberta", "vocab_size": 250002, **ROBERTA, **LARGE},
    "facebook/nllb-200-distilled-600M": {
        **{"model_type": "m2m_100", "encoder_layers": 12, "decoder_layers": 12},
        **{"encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096, **NLLB},
    },
    "facebook/nllb-200-distilled-1.3B": {
        **{"model_type": "m2m_100", "encoder_layers": 24, "decoder_layers": 24},
        **{"encoder_ffn_dim": 8192, "decoder_ffn_dim": 8192, **NLLB},
    },
    "google/mt5-base": {
        **{"model_type": "mt5", "d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12, **MT5},
    },
    "google/mt5-xl": {
        **{"model_type": "mt5", "d_model": 2048, "d_ff": 5120, "num_layers": 24, "num_heads": 32, **MT5},
    },
}


@contextmanager
def describe_text_tower(source: str) -> Iterator[dict[str, Any]]:
    """Yield options of `open_clip.create_model` with which the text tower of `source` is built without a hub.

    `source` is an architecture, `hf-hub:ORG/NAME` or `local-dir:PATH`. Empty where the tower is open_clip's own, or
    where its configuration is known to the hub alone.
    """
    text = read_text_config(source)
    found = find_tower_config(source, text.get("hf_model_name"))
    if found is None:
        yield {}
        return
    with TemporaryDirectory(prefix="clip-vectorizer-") as folder:
        (Path(folder) / CONFIG).write_text(json.dumps(found), "utf-8")
        yield {"text_cfg": {**text, "hf_model_name": folder, "hf_model_pretrained": False}}


def read_text_config(source: str) -> Mapping[str, Any]:
    try:
        config = open_clip.get_model_config(source) or {}
        text: Mapping[str, Any] = config.get("text_cfg") or {}
        return text
    except Exception:  # open_clip.create_model reads the same next, and its error is explained there
        return {}


def find_tower_config(source: str, name: str | None) -> dict[str, Any] | None:
    """Return the configuration of the tower `name`: from the folder of the model, else the published one."""
    if not name:
        return None
    if source.startswith(LOCAL_DIR) and (found := read_tower_config(Path(source.removeprefix(LOCAL_DIR)))):
        return found
    return KNOWN_CONFIGS.get(name)


def read_tower_config(folder: Path) -> dict[str, Any] | None:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text("utf-8"))
        return config if config.get("model_type") in arch_dict else None
    except (OSError, ValueError, AttributeError):
        return None
