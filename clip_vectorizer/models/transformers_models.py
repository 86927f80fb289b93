"""Loads folders of transformers' layout: config.json, weights, preprocessor_config.json and the files of a tokenizer.

A CLIP gets open_clip's towers where those compute the same, because they are faster here; all others run on
transformers' own classes. No code of the folder is run. Importing this module takes seconds, so it is imported late.

N items · T tokens · D dimensions · S input side
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
import transformers
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.file_kinds import find_problem, list_names
from clip_vectorizer.models.hub_folders import TRANSFORMERS_CONFIG, read_json
from clip_vectorizer.models.image_processors import PREPROCESSOR, check_side, read_image_processor
from clip_vectorizer.models.names import CHINESE_CLIP, TAIYI
from clip_vectorizer.models.openclip_encoder import build_encoder
from clip_vectorizer.models.state_dicts import convert_transformers
from clip_vectorizer.models.tokens import FolderTokenizer
from clip_vectorizer.models.weight_files import explain_weights, shorten

MODELS = {"clip": "CLIPModel", "siglip": "SiglipModel"}  # of transformers, by `model_type`; imported when one is loaded
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
TOKENIZERS = ("tokenizer.json", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "vocab.txt")
NAFLEX = "siglip2"
SAMPLE_TEXT = "a photo of a cat, 一只猫"
LEAST_TOKENS = 2  # different ones of it; the empty tokenizer of a T5 has one, the mark of a space
TOKENIZER_HINT = "copy the files of the tokenizer (tokenizer.json, or spiece.model) from its repository"
CHINESE_NAMES = {"chinese_clip": CHINESE_CLIP, "bert": TAIYI}  # what they are the folders of
ACTIVATIONS = {"quick_gelu": True, "gelu": False}  # whether it is QuickGELU
OLD_END_TOKEN = 2  # of configurations that name none: transformers then reads the largest id, as OpenAI does
EPSILON = 1e-5  # of layer norms, where open_clip's configuration has none

log = logging.getLogger(__name__)


def load_transformers_folder(name: str, folder: Path, placement: Placement) -> Encoder:
    """Load a CLIP or a SigLIP of transformers' layout. Raises ModelUnavailable, SettingsError."""
    kind = read_kind(folder)
    pixels = read_pixels(folder, kind)
    model = load_model(folder, MODELS[kind])
    check_side(folder, pixels["size"], model.config.vision_config.image_size)
    towers = convert_to_open_clip(model) if kind == "clip" else None
    tokenizer = load_tokenizer(folder, model.config.text_config.max_position_embeddings, padded=towers is None)
    if towers is None:
        return build_encoder(name, TransformersTowers(model, pixels), tokenizer, placement)
    open_clip.model.set_model_preprocess_cfg(towers, pixels)
    return build_encoder(name, towers, tokenizer, placement)


def read_kind(folder: Path) -> str:
    """Return the `model_type` of a folder that can be loaded. Raises ModelUnavailable."""
    config = read_json(folder / TRANSFORMERS_CONFIG)
    kind = str(config.get("model_type"))
    if kind == NAFLEX:
        raise ModelUnavailable(
            f"{folder} is a SigLIP 2 with inputs of any aspect ratio (NaFlex), which is not supported: name one of a "
            "fixed size, for example google/siglip2-base-patch16-224"
        )
    if kind in CHINESE_NAMES:
        raise ModelUnavailable(f"{folder} has model_type {kind!r}: name it as --model {CHINESE_NAMES[kind]}{folder}")
    if kind not in MODELS:
        expected = " or ".join(MODELS)
        raise ModelUnavailable(
            f"{folder / TRANSFORMERS_CONFIG} has model_type {kind!r}; expected {expected}, a model of both towers"
        )
    return kind


def read_pixels(folder: Path, kind: str) -> dict[str, Any]:
    """Return how images are prepared, with open_clip's keys. Raises ModelUnavailable."""
    recipe = read_image_processor(folder, kind)
    if recipe is None:
        raise ModelUnavailable(f"{folder} has no {PREPROCESSOR}, which says how images are resized and scaled")
    return {
        "size": recipe.size,
        "mean": recipe.mean,
        "std": recipe.std,
        "interpolation": recipe.interpolation,
        "resize_mode": recipe.resize,
        "crop": recipe.crop,
    }


def load_model(folder: Path, class_name: str) -> Any:
    """Return the model of transformers, of `class_name`, in float32 on the CPU. Raises ModelUnavailable."""
    check_weight_files(folder)
    try:
        with hide_progress():
            model, report = getattr(transformers, class_name).from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
    except Exception as error:  # transformers does not wrap errors of files, configurations or torch
        problem = next((each for file in list_weight_files(folder) if (each := explain_weights(file))), "")
        raise ModelUnavailable(problem or f"{folder} cannot be loaded by transformers: {shorten(error)}") from error
    check_report(folder, report)
    return model.eval().requires_grad_(False)


@contextmanager
def hide_progress() -> Iterator[None]:
    """Hide transformers' progress bars, which would be in the log of a server."""
    settings: Any = transformers.utils.logging  # untyped
    shown = settings.is_progress_bar_enabled()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            settings.enable_progress_bar()


def check_weight_files(folder: Path) -> None:
    """Raise ModelUnavailable where there are no weights, or the first file of them is none."""
    if not any((folder / name).exists() for name in WEIGHTS):
        raise ModelUnavailable(f"{folder} has no weights: expected {' or '.join(WEIGHTS)}")
    for file in list_weight_files(folder):
        if problem := find_problem(file):
            raise ModelUnavailable(f"{file} {problem}")


def list_weight_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin"))


def check_report(folder: Path, report: Mapping[str, Iterable[Any]]) -> None:
    """Raise ModelUnavailable where weights were missing, which transformers fills with random ones."""
    for key, what in (("missing_keys", "lack"), ("mismatched_keys", "have another shape than its config.json for")):
        if names := sorted(str(each) for each in report.get(key) or ()):
            raise ModelUnavailable(f"the weights of {folder} {what} {len(names)} tensors ({list_names(names)})")
    if unknown := sorted(map(str, report.get("unexpected_keys") or ())):
        log.info("%s: %d tensors outside the model are ignored: %s", folder, len(unknown), list_names(unknown))


def load_tokenizer(folder: Path, context: int, padded: bool) -> FolderTokenizer:
    """Return the tokenizer of the folder. Raises ModelUnavailable."""
    if not any((folder / name).exists() for name in TOKENIZERS):
        raise ModelUnavailable(f"{folder} has no tokenizer: expected {', '.join(TOKENIZERS[:-1])} or {TOKENIZERS[-1]}")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # of files, and of packages that are not installed
        raise ModelUnavailable(
            f"the tokenizer of {folder} cannot be loaded ({shorten(error)}); expected tokenizer.json, or the package "
            "that its files need"
        ) from error
    check_tokenizer(folder, tokenizer, padded)
    return FolderTokenizer(tokenizer, context, padded)


def check_tokenizer(folder: Path, tokenizer: Any, padded: bool) -> None:
    """Raise ModelUnavailable where a tokenizer knows no words, or cannot pad.

    transformers makes an empty one of a class whose vocabulary is not in the folder, and raises when it is called.
    """
    try:
        ids = tokenizer(
            SAMPLE_TEXT, padding="max_length" if padded else False, truncation=True, max_length=16
        ).input_ids
    except Exception as error:
        raise ModelUnavailable(
            f"the tokenizer of {folder} does not work ({shorten(error)}); {TOKENIZER_HINT}"
        ) from error
    if len(set(ids) - set(tokenizer.all_special_ids)) < LEAST_TOKENS:
        raise ModelUnavailable(f"the tokenizer of {folder} knows no words: its vocabulary is missing; {TOKENIZER_HINT}")


class TransformersTowers(nn.Module):
    """A model of transformers with the methods and attributes of one of open_clip."""

    def __init__(self, model: Any, pixels: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.preprocess_cfg = dict(pixels)

    @property
    def logit_scale(self) -> Tensor:
        scale: Tensor = self.model.logit_scale
        return scale

    @property
    def logit_bias(self) -> Tensor | None:
        """Of a SigLIP, which scores each pair by a sigmoid."""
        return getattr(self.model, "logit_bias", None)

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor:
        """Return (N, D), not of unit length."""
        return read_rows(self.model.get_image_features(pixel_values=pixels_n3ss))

    def encode_text(self, ids_nt: Tensor) -> Tensor:
        """Return (N, D), not of unit length; T is the whole context."""
        return read_rows(self.model.get_text_features(input_ids=ids_nt))


def read_rows(features: Any) -> Tensor:
    """Return the rows; transformers 5 returns them inside an object."""
    rows: Tensor = getattr(features, "pooler_output", features)
    return rows


def convert_to_open_clip(model: Any) -> nn.Module | None:
    """Return an open_clip.CLIP with the same weights; None where it would compute something else."""
    config = model.config
    text, vision = config.text_config, config.vision_config
    ends = text.eos_token_id in (OLD_END_TOKEN, text.vocab_size - 1)  # open_clip reads the largest id of a text
    plain = all(tower.intermediate_size % tower.hidden_size == 0 for tower in (text, vision))
    if not (ends and plain and text.hidden_act == vision.hidden_act and text.hidden_act in ACTIVATIONS):
        return None
    towers: nn.Module = open_clip.CLIP(
        embed_dim=config.projection_dim,
        quick_gelu=ACTIVATIONS[text.hidden_act],
        vision_cfg={
            **describe_tower(vision),
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "patch_size": vision.patch_size,
            "image_size": vision.image_size,
        },
        text_cfg={
            **describe_tower(text),
            "heads": text.num_attention_heads,
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
        },
    )
    towers.load_state_dict(select_tensors(model), assign=True)
    return towers.eval().requires_grad_(False)


def select_tensors(model: nn.Module) -> dict[str, Tensor]:
    return convert_transformers(
        {name: value for name, value in model.state_dict().items() if "position_ids" not in name}
    )


def describe_tower(config: Any) -> dict[str, Any]:
    """Return the keys that open_clip's configurations of both towers share."""
    norm = {} if config.layer_norm_eps == EPSILON else {"norm_kwargs": {"eps": config.layer_norm_eps}}
    return {
        "width": config.hidden_size,
        "layers": config.num_hidden_layers,
        "mlp_ratio": config.intermediate_size // config.hidden_size,
        **norm,
    }
