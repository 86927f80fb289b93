"""Loads a model from a folder of open_clip's layout: `open_clip_config.json`, weights, and optionally a tokenizer.

The bundled `emoji` model is one. Plain CLIPs, such as OpenAI's transformers, load without open_clip, which saves
seconds and 240 MB; all others use open_clip's `local-dir:`. A folder of transformers' layout is recognised by its
`config.json`, one of an image-only model by its `image_only_config.json`.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models import plain
from clip_vectorizer.models.byte_pairs import VOCABULARY, BytePairTokenizer
from clip_vectorizer.models.devices import Placement, check_numbers, count_weights, hash_weights
from clip_vectorizer.models.encoder import Encoder, ModelInfo
from clip_vectorizer.models.file_kinds import check_content
from clip_vectorizer.models.image_only import is_image_only_folder, load_image_only
from clip_vectorizer.models.name_problems import explain_folder
from clip_vectorizer.models.packed import PackedClip
from clip_vectorizer.models.preprocess import parse_pixel_recipe
from clip_vectorizer.models.tokens import TextTokenizer, TrainedTokenizer
from clip_vectorizer.models.torch_encoder import TorchEncoder, Towers

CONFIG, WEIGHTS, TOKENIZER = "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json"
TRANSFORMERS_CONFIG = "config.json"
TOKENIZER_PREFIX = "clip-vectorizer/"  # prefix of `hf_tokenizer_name` where `train emoji` made the tokenizer


def load_folder(name: str, folder: Path, placement: Placement) -> Encoder:
    """Load the model `name` from `folder`. Raises ModelUnavailable, SettingsError."""
    if is_image_only_folder(folder):
        return load_image_only(name, folder, placement)
    if is_transformers_folder(folder):
        from clip_vectorizer.models.transformers_models import load_transformers_folder  # takes seconds to import

        return load_transformers_folder(name, folder, placement)
    config = read_config(folder)
    model = config["model_cfg"]
    text = model["text_cfg"]
    trained = open_trained_tokenizer(folder, text)
    if plain.is_plain_config(model) and (folder / WEIGHTS).exists() and (trained or has_byte_pairs(text)):
        tokenizer = trained or BytePairTokenizer(text["context_length"])
        with contextlib.suppress(ModelUnavailable):  # open_clip takes more, and names what does not fit
            return load_plain(name, folder, config, tokenizer, placement)
    from clip_vectorizer.models.openclip import load_local_dir  # takes seconds to import

    return load_local_dir(name, folder, placement, trained)


def open_trained_tokenizer(folder: Path, text: dict[str, Any]) -> TrainedTokenizer | None:
    """Return the tokenizer that `train emoji` made for a text tower, by its configuration; None for any other."""
    is_trained = str(text.get("hf_tokenizer_name", "")).startswith(TOKENIZER_PREFIX)
    return TrainedTokenizer(folder / TOKENIZER, text["context_length"]) if is_trained else None


def has_byte_pairs(text: dict[str, Any]) -> bool:
    """Whether the text tower of a plain configuration reads the byte pairs of OpenAI's CLIP."""
    return not text.get("hf_tokenizer_name") and text["vocab_size"] == VOCABULARY


def read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    if not folder.is_dir():
        raise ModelUnavailable(f"{folder} is a file, not a folder" if folder.exists() else f"no such folder: {folder}")
    if not file.exists():
        raise ModelUnavailable(explain_folder(folder))
    try:
        config: dict[str, Any] = json.loads(file.read_text("utf-8"))
        config["model_cfg"]["text_cfg"], config["model_cfg"]["vision_cfg"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"{file} is not an open_clip configuration ({error})") from error
    return config


def is_transformers_folder(folder: Path) -> bool:
    """Whether `folder` has transformers' layout alone; open_clip's is taken where both are there."""
    return (folder / TRANSFORMERS_CONFIG).is_file() and not (folder / CONFIG).exists()


def load_plain(
    name: str, folder: Path, config: dict[str, Any], tokenizer: TextTokenizer, placement: Placement
) -> Encoder:
    towers, model = load_plain_towers(folder, config["model_cfg"]), config["model_cfg"]
    check_numbers(name, towers)
    recipe = parse_pixel_recipe(model["vision_cfg"]["image_size"], config.get("preprocess_cfg", {}))
    context = model["text_cfg"]["context_length"]
    info = ModelInfo(
        model=name,
        revision=hash_weights(towers),
        dimension=model["embed_dim"],
        image_size=recipe.size,
        context_length=context,
        preprocessing=recipe.version,
        logit_scale=float(towers.logit_scale.exp()),
        device=placement.device,
        precision=placement.precision,
    )
    weights = count_weights(towers)
    return TorchEncoder(place_towers(towers, placement), tokenizer, recipe, info, weight_count=weights)


def place_towers(towers: plain.PlainClip, placement: Placement) -> Towers:
    if placement.device != "cpu":
        return placement.place(towers)
    images = towers.visual if isinstance(towers.visual, plain.ResNetTower) else None
    return PackedClip.of(towers.state_dict(), towers.heads, placement, images)


def load_plain_towers(folder: Path, model: dict[str, Any]) -> plain.PlainClip:
    """Load the towers in float32 on the CPU; fp16 weights are converted. Raises ModelUnavailable."""
    towers = plain.PlainClip(model)  # not on `meta`: that device imports torch's compiler, 3 seconds of work
    try:
        check_content(folder / WEIGHTS)
        stored = load_file(folder / WEIGHTS)
        weights = {key: value.float() if value.is_floating_point() else value for key, value in stored.items()}
        towers.load_state_dict(weights, assign=True)
    except ModelUnavailable:
        raise
    except Exception as error:  # safetensors and torch raise errors of their own
        raise ModelUnavailable(f"the weights in {folder} do not fit their configuration ({error})") from error
    return towers.eval().requires_grad_(False)
