"""Writes a `models` folder with random weights as the upstream container reads it. Runs under upstream's own Python.

PYTHON upstream_models.py open_clip|transformers ARCHITECTURE FOLDER
"""

import json
import sys
from pathlib import Path
from typing import Any

import open_clip
import torch


def main() -> None:
    kind, architecture, folder = sys.argv[1:]
    torch.manual_seed(0)
    {"open_clip": write_open_clip, "transformers": write_transformers}[kind](architecture, Path(folder) / "models")


def write_open_clip(architecture: str, models: Path) -> None:
    folder = models / "openclip"
    folder.mkdir(parents=True)
    weights = folder / "weights.pt"
    torch.save(open_clip.create_model(architecture).state_dict(), weights)
    config = {"model_name": architecture, "pretrained": str(weights)}  # open_clip takes a path for a tag
    (folder / "config.json").write_text(json.dumps(config))


def write_transformers(architecture: str, models: Path) -> None:
    """CLIPModel of the same sizes, with GELU as open_clip's `ViT-B-32`: QuickGELU would be slower."""
    from transformers import CLIPImageProcessor, CLIPModel, CLIPProcessor

    CLIPModel(read_sizes(architecture)).save_pretrained(models / "openai_clip")
    tokenizer = write_tokenizer(open_clip.get_tokenizer(architecture), models)
    processor: Any = CLIPProcessor
    processor(CLIPImageProcessor(), tokenizer).save_pretrained(models / "openai_clip_processor")


def read_sizes(architecture: str) -> Any:
    from transformers import CLIPConfig

    config = open_clip.get_model_config(architecture)
    vision, text = config["vision_cfg"], config["text_cfg"]
    return CLIPConfig(
        projection_dim=config["embed_dim"],
        vision_config={
            **count_layers(vision, vision.get("head_width", 64)),
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
        },
        text_config={
            **count_layers(text, text["width"] // text["heads"]),
            "eos_token_id": 49407,
            "bos_token_id": 49406,
        },
    )


def count_layers(config: dict[str, Any], head_width: int) -> dict[str, Any]:
    width = config["width"]
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": config["layers"],
        "num_attention_heads": width // head_width,
        "hidden_act": "gelu",
    }


def write_tokenizer(tokenizer: Any, models: Path) -> Any:
    """open_clip's byte-pair vocabulary in the files of transformers."""
    from transformers import CLIPTokenizer

    vocabulary, merges = models / "vocab.json", models / "merges.txt"
    vocabulary.write_text(json.dumps(tokenizer.encoder))
    merges.write_text("\n".join(["#version: 0.2", *(" ".join(pair) for pair in tokenizer.bpe_ranks), ""]))
    start, end = "<start_of_text>", "<end_of_text>"
    return CLIPTokenizer(str(vocabulary), str(merges), bos_token=start, eos_token=end, unk_token=end, pad_token=end)


if __name__ == "__main__":
    main()
