"""A model of open_clip to train: from random weights, or from any name that the sidecar serves; and its folder.

B batch · S side · T tokens · D dimensions
"""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import open_clip
import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models import openclip, openclip_encoder
from clip_vectorizer.models.catalog import find_local_folder
from clip_vectorizer.models.load_problems import RANDOM_WEIGHTS_WARNING, check_hub, hide_warning
from clip_vectorizer.models.local_dir import CONFIG, WEIGHTS, open_trained_tokenizer, read_config
from clip_vectorizer.models.name_problems import check_name, explain_name
from clip_vectorizer.models.names import HUB, TAG, list_open_clip_names, resolve_name, suggest_names
from clip_vectorizer.models.preprocess import PixelRecipe
from clip_vectorizer.models.tokens import TextTokenizer
from clip_vectorizer.training.contrastive import MAX_LOGIT_SCALE
from clip_vectorizer.training.pair_losses import PairLoss, sigmoid_loss, softmax_loss
from clip_vectorizer.training.stage_files import save_weights

Tower = Literal["image", "text"]
LossName = Literal["softmax", "sigmoid"]
SIGMOID_SCALE, SIGMOID_BIAS = math.log(10.0), -10.0  # where SigLIP's training starts
OWN_WEIGHTS = ("*.safetensors", "*.bin", "*.pth")  # what open_clip looks for in a folder
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
FREE_PARAMETERS = ("logit_scale", "logit_bias")  # of no tower: trained also beside a frozen one


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A model in float32 on the CPU, with what its folder needs."""

    model: Any
    config: dict[str, Any]  # open_clip's `model_cfg`
    tokenizer: Any
    save_tokenizer: Callable[[Path], None]


def load_starting_point(name: str, architecture: str, seed: int) -> StartingPoint:
    """Load what `name` stands for; `ARCHITECTURE::random` and a folder without weights start from random weights.

    Raises ModelUnavailable.
    """
    check_name(name)
    name = resolve_name(name)
    torch.manual_seed(seed)
    with hide_warning(RANDOM_WEIGHTS_WARNING):
        if folder := find_local_folder(name):
            return load_folder_to_train(name, folder)
        if name.startswith(HUB):
            check_hub(name)
            return describe_architecture(openclip.create_model(name, name, None, require_pretrained=True), name)
        if TAG in name:
            return load_tag_to_train(*name.split(TAG, 1))
        file = Path(name).expanduser()
        if file.is_file():
            return describe_architecture(openclip.load_weights(file, architecture), architecture)
    raise ModelUnavailable(explain_name(name, file))


def load_folder_to_train(name: str, folder: Path) -> StartingPoint:
    config, source = read_config(folder)["model_cfg"], f"local-dir:{folder}"
    has_weights = any(True for pattern in OWN_WEIGHTS for _ in folder.glob(pattern))
    model = openclip.create_model(name, source, None, require_pretrained=has_weights, pretrained_text=False)
    tokenizer = open_trained_tokenizer(folder, config["text_cfg"])
    if tokenizer is None:
        return describe_start(model, config, open_clip.get_tokenizer(source))
    return describe_start(model, config, tokenizer, partial(copy_tokenizer, folder))


def load_tag_to_train(architecture: str, tag: str) -> StartingPoint:
    name = f"{architecture}{TAG}{tag}"
    if tag == "random" and architecture in open_clip.list_models():
        model = openclip.create_model(name, architecture, None, pretrained_text=False)
    else:
        entry = open_clip.get_pretrained_cfg(architecture, tag)
        if not entry:
            raise ModelUnavailable(suggest_names(name, list_open_clip_names()))
        weights = openclip.fetch_weights(name, entry, openclip.download_weights)
        preprocessing = {key: entry[key] for key in openclip.PREPROCESSING_KEYS if key in entry}
        quick = bool(entry.get("quick_gelu"))
        model = openclip.create_model(name, architecture, weights, force_preprocess_cfg=preprocessing, quick_gelu=quick)
    return describe_architecture(model, architecture)


def describe_architecture(model: Any, name: str) -> StartingPoint:
    """`name`: of open_clip's own architectures, or a repository of the hub."""
    return describe_start(model, open_clip.get_model_config(name), open_clip.get_tokenizer(name))


def describe_start(
    model: Any, config: dict[str, Any], tokenizer: Any, save_tokenizer: Callable[[Path], None] | None = None
) -> StartingPoint:
    """Correct the configuration by the activation that the model has: weights may differ from their architecture's."""
    quick = any(isinstance(module, QuickGELU) for module in model.modules())
    if quick != bool(config.get("quick_gelu")):
        config = {**config, "quick_gelu": quick}
    save = save_tokenizer or getattr(tokenizer, "save_pretrained", None) or save_nothing
    return StartingPoint(model, config, tokenizer, save)


def save_nothing(_: Path) -> None:
    """Save no tokenizer: open_clip carries the vocabulary of its own."""


def copy_tokenizer(source: Path, folder: Path) -> None:
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)


@dataclass(frozen=True, slots=True)
class TrainingMode:
    """What is trained, and in which numbers."""

    loss: LossName = "softmax"
    freeze: Tower | None = None
    device: str = "cpu"
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: the towers alone, by autocast; weights and loss stay in float32


class TrainableClip:
    """Towers that learn, the tokenizer and the preparation of pixels, as the sidecar will have them."""

    def __init__(self, start: StartingPoint, mode: TrainingMode) -> None:
        self.start, self.mode = start, mode
        self.model = start.model
        self.recipe: PixelRecipe = openclip_encoder.read_pixel_recipe("the model", self.model)
        self.context = int(start.tokenizer.context_length)
        self.tokenizer: TextTokenizer = openclip_encoder.wrap_tokenizer(start.tokenizer, self.context)
        if mode.loss == "sigmoid":
            prepare_sigmoid(self.model)
        self._choose_weights()
        self.model.to(mode.device)
        self._mean, self._std = (
            torch.tensor(each, device=mode.device).view(1, 3, 1, 1) for each in (self.recipe.mean, self.recipe.std)
        )

    def _choose_weights(self) -> None:
        sine = self.start.config["vision_cfg"].get("pos_embed_type") == "sin_cos_2d"  # computed, never learned
        for name, weight in self.model.named_parameters():
            tower = "image" if name.startswith("visual.") else "text"
            is_frozen = tower == self.mode.freeze and name not in FREE_PARAMETERS
            weight.requires_grad_(not is_frozen and not (sine and name == "visual.positional_embedding"))

    def learn(self) -> None:
        """Switch to training; a frozen tower stays in evaluation: its dropout and statistics must not move."""
        self.model.train()
        for name, module in self.model.named_children():
            if (name == "visual") == (self.mode.freeze == "image") and self.mode.freeze:
                module.eval()

    def embed_images(self, pixels_bss3: Tensor) -> Tensor:
        """Return (B, D) float32 unit rows of (B, S, S, 3) bytes."""
        pixels = (pixels_bss3.permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std
        with self._cast():
            rows: Tensor = self.model.encode_image(pixels.contiguous())
        return F.normalize(rows.float(), dim=-1)

    def embed_texts(self, ids_bt: Tensor) -> Tensor:
        """Return (B, D) float32 unit rows of (B, T) token ids, T the context."""
        with self._cast():
            rows: Tensor = self.model.encode_text(ids_bt)
        return F.normalize(rows.float(), dim=-1)

    def _cast(self) -> torch.autocast:
        enabled = self.mode.precision == "bf16"
        return torch.autocast(torch.device(self.mode.device).type, dtype=torch.bfloat16, enabled=enabled)

    def encode_ids(self, texts: Sequence[str]) -> Tensor:
        """Return (N, T) token ids, padded with 0 to the context."""
        rows = [self.tokenizer(text).ids for text in texts]
        return torch.tensor([[*row, *[0] * (self.context - len(row))] for row in rows])

    @property
    def loss(self) -> PairLoss:
        if self.mode.loss == "sigmoid":
            return lambda images, texts: sigmoid_loss(
                images, texts, self.model.logit_scale.exp(), self.model.logit_bias
            )
        return lambda images, texts: softmax_loss(images, texts, self.model.logit_scale.exp())

    @torch.no_grad()
    def clamp_scale(self) -> None:
        """Keep the logit scale within 1 and 100, as in Radford et al. 2021, section 2.5."""
        self.model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)

    def copy_weights(self) -> dict[str, Tensor]:
        """Return the weights on the CPU, each in memory of its own."""
        return {name: value.detach().cpu().clone() for name, value in self.model.state_dict().items()}

    def export(self, weights: dict[str, Tensor], folder: Path) -> None:
        """Write `weights` as a folder that `clip-vectorizer serve --model local-dir:FOLDER` and open_clip load."""
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(weights, folder / WEIGHTS)
        self.start.save_tokenizer(folder)
        preprocessing = {
            name: value
            for name, value in open_clip.get_model_preprocess_cfg(self.model).items()
            if name not in ("size", "mode")
        }
        config = dict(self.start.config)
        if self.model.logit_bias is not None:
            config["init_logit_bias"] = SIGMOID_BIAS
        document = {"model_cfg": config, "preprocess_cfg": preprocessing}
        (folder / CONFIG).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def prepare_sigmoid(model: Any) -> None:
    """Give a model without a bias SigLIP's start: from one matching pair in B x B, the bias must exclude most."""
    if getattr(model, "logit_bias", None) is None:
        model.logit_bias = nn.Parameter(torch.full_like(model.logit_scale, SIGMOID_BIAS))
        with torch.no_grad():
            model.logit_scale.fill_(SIGMOID_SCALE)
