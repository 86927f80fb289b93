"""Encoders of images alone, which no text tower belongs to: a ResNet-18 of one channel, trained by `train simclr`.

A vector is what the network's last average pooling gives, before the projection head of the training (Chen et al. 2020,
section 4.2: these features hold more than those after the head). A folder of such a model has a configuration of its
own, so that it is never taken for a CLIP.

N items · D dimensions · S input side
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable, NoTexts, SettingsError
from clip_vectorizer.models.devices import Placement, check_numbers, count_weights, hash_weights
from clip_vectorizer.models.encoder import Encoder, ModelInfo, PreparedText
from clip_vectorizer.models.file_kinds import check_content
from clip_vectorizer.models.preprocess import PixelRecipe
from clip_vectorizer.models.torch_encoder import TorchEncoder

CONFIG, WEIGHTS = "image_only_config.json", "image_only.safetensors"
ARCHITECTURES = {"resnet18": 512}  # of timm, with the dimension of their features
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: the grey level of a colour, as in Pillow's mode L
WHITE, SPREAD = 1.0, 0.25  # white becomes 0, which is also the padding of a convolution; about the spread of ink
LOGIT_SCALE = 1.0  # there are no texts that cosines could be compared with
LEAST_SIDE = 32  # pixels: the network halves its input five times


@dataclass(frozen=True, slots=True)
class ImageOnlyConfig:
    """What the folder of a model records besides its weights."""

    architecture: str
    image_size: int  # S
    training: Mapping[str, str]  # by option: how it was trained

    @property
    def dimension(self) -> int:
        return ARCHITECTURES[self.architecture]

    @property
    def recipe(self) -> PixelRecipe:
        """The whole picture, in the middle of a white square: a page loses no edge."""
        return PixelRecipe(self.image_size, (WHITE,) * 3, (SPREAD,) * 3, resize="longest", fill=255)


class GreyTower(nn.Module):
    """A network of one channel as the image tower of a model, whose input has three."""

    def __init__(self, name: str, backbone: nn.Module) -> None:
        super().__init__()
        self._name, self.backbone = name, backbone

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor:
        """Return (N, D), not of unit length."""
        luma_3 = torch.tensor(LUMA, dtype=pixels_n3ss.dtype, device=pixels_n3ss.device)
        grey_n1ss = (pixels_n3ss * luma_3[:, None, None]).sum(1, keepdim=True)
        rows: Tensor = self.backbone(grey_n1ss)
        return rows

    def encode_text(self, ids_nt: Tensor) -> Tensor:
        raise NoTexts(self._name)


@dataclass(frozen=True, slots=True)
class RefusingTokenizer:
    """Stands where a CLIP has its tokenizer."""

    model: str

    def __call__(self, text: str) -> PreparedText:
        raise NoTexts(self.model)


def build_backbone(architecture: str = "resnet18") -> nn.Module:
    """A network of timm with random weights: (N, 1, S, S) in, (N, D) out. Nothing is downloaded."""
    import timm  # takes seconds

    # The last gain of each block starts at 1: at 0, timm's default, a network that was not trained has only its stem.
    backbone: nn.Module = timm.create_model(
        architecture, pretrained=False, in_chans=1, num_classes=0, zero_init_last=False
    )
    return backbone


def is_image_only_folder(folder: Path) -> bool:
    return (folder / CONFIG).is_file()


def load_image_only(name: str, folder: Path, placement: Placement) -> Encoder:
    """Load the model `name` from `folder`. Raises ModelUnavailable, SettingsError."""
    if placement.precision == "int8":
        raise SettingsError(f"CLIP_PRECISION='int8' is for plain CLIP transformers, not for {name}; use fp32 or bf16")
    config = read_config(folder / CONFIG)
    tower = GreyTower(name, load_backbone(folder, config))
    check_numbers(name, tower)
    info = ModelInfo(
        model=name,
        revision=hash_weights(tower),
        dimension=config.dimension,
        image_size=config.image_size,
        context_length=0,
        preprocessing=f"{config.recipe.version}-grey",
        logit_scale=LOGIT_SCALE,
        device=placement.device,
        precision=placement.precision,
        texts=False,
    )
    weights = count_weights(tower)
    return TorchEncoder(placement.place(tower), RefusingTokenizer(name), config.recipe, info, weight_count=weights)


def read_config(file: Path) -> ImageOnlyConfig:
    """Raises ModelUnavailable for anything but what `save_image_only` writes."""
    try:
        values: dict[str, Any] = json.loads(file.read_text("utf-8"))
        config = ImageOnlyConfig(
            str(values["architecture"]), int(values["image_size"]), dict(values.get("training") or {})
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(
            f"{file} is not the configuration of an image-only model ({type(error).__name__}: {error}); write the "
            "folder again with `clip-vectorizer train simclr`"
        ) from error
    if config.architecture not in ARCHITECTURES:
        raise ModelUnavailable(
            f"{file} names {config.architecture!r}; image-only models are {', '.join(ARCHITECTURES)}"
        )
    if config.image_size < LEAST_SIDE:
        raise ModelUnavailable(f"{file} has the image_size {config.image_size}; the least is {LEAST_SIDE}")
    return config


def load_backbone(folder: Path, config: ImageOnlyConfig) -> nn.Module:
    """Raises ModelUnavailable."""
    backbone, file = build_backbone(config.architecture), folder / WEIGHTS
    try:
        check_content(file)
        backbone.load_state_dict(load_file(file))
    except ModelUnavailable:
        raise
    except Exception as error:  # safetensors and torch raise errors of their own
        raise ModelUnavailable(f"the weights in {folder} do not fit their configuration ({error})") from error
    return backbone.eval().requires_grad_(False)


def save_image_only(folder: Path, backbone: nn.Module, config: ImageOnlyConfig) -> None:
    """Write a folder that `load_image_only` reads; the configuration last, so no part of one is taken for a model."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in backbone.state_dict().items()}
    draft = folder / f"{WEIGHTS}.part"
    save_file(weights, draft)
    draft.chmod(0o644)  # safetensors creates files that only their owner can read
    draft.replace(folder / WEIGHTS)
    values = {
        "architecture": config.architecture,
        "image_size": config.image_size,
        "training": dict(config.training),
    }
    (folder / CONFIG).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
