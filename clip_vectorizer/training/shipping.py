"""Exports trained towers to the folder that ships."""

import json
from collections.abc import Sequence
from pathlib import Path

from open_clip.model import CLIP
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.training import towers
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.evaluation import HeldOutFigures, format_figures, measure_held_out
from clip_vectorizer.training.stage_files import save_weights
from clip_vectorizer.training.tokenizer import END, PAD, START


def write_figures(folder: Path, figures: HeldOutFigures) -> None:
    """Write recall.md beside the weights."""
    (folder / "recall.md").write_text(format_figures(figures) + "\n", encoding="utf-8")


def measure_exported_model(folder: Path, concepts: Sequence[Concept], drawings_n4hh: Tensor) -> HeldOutFigures:
    """Measure an exported model, loaded as in the sidecar; drawings are (N, 4, H, H) uint8 RGBA."""
    encoder = load_encoder(ModelName(f"local-dir:{folder}"), Placement())
    return measure_held_out(encoder, concepts, drawings_n4hh.permute(0, 2, 3, 1).numpy())


def export_model(model: CLIP, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a folder that `open_clip` loads as `local-dir:`: fp16 weights, config, tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    halves = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    save_weights(halves, folder / "open_clip_model.safetensors")
    text = {**towers.TEXT_CONFIG, "hf_tokenizer_name": "clip-vectorizer/emoji"}
    config = {
        "model_cfg": {"embed_dim": towers.EMBEDDING, "vision_cfg": towers.VISION_CONFIG, "text_cfg": text},
        "preprocess_cfg": {
            "mean": [towers.MEAN] * 3,
            "std": [towers.STD] * 3,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    special = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": START, "eos_token": END, "pad_token": PAD}
    (folder / "tokenizer_config.json").write_text(json.dumps(special, indent=2) + "\n")
