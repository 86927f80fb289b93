"""Loads Chinese CLIPs as encoders: a text tower of BERT, an image tower of OpenAI's shapes.

Names: `chinese_layouts`. Importing this module takes seconds, so it is imported late.

N items · T tokens · D dimensions · S input side
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from clip_vectorizer.errors import ModelUnavailable, SettingsError
from clip_vectorizer.models.bert import BertTower, PackedBert
from clip_vectorizer.models.chinese_layouts import (
    ChineseParts,
    OpenFolder,
    is_resnet_tower,
    measure_image_side,
    read_chinese_clip,
    read_taiyi,
)
from clip_vectorizer.models.devices import Placement, check_numbers, count_weights, hash_weights
from clip_vectorizer.models.encoder import Encoder, ModelInfo
from clip_vectorizer.models.hub_folders import open_model_folder
from clip_vectorizer.models.names import CHINESE_CLIP, TAIYI
from clip_vectorizer.models.packed import Numerics, PackedClip, PackedImages, select_prefix
from clip_vectorizer.models.plain import PlainVisionTower
from clip_vectorizer.models.products import Activation
from clip_vectorizer.models.state_dicts import count_blocks, describe_mismatch
from clip_vectorizer.models.torch_encoder import TorchEncoder, Towers
from clip_vectorizer.models.weight_files import Weights

RESNET_STAGES = 4
RESNET_HEAD_WIDTH = 64


class ChineseTowers(nn.Module):
    def __init__(self, parts: ChineseParts) -> None:
        """Make towers of the shapes of `parts.weights` and load them. Raises KeyError: no such tensor."""
        super().__init__()
        self.visual = build_image_tower(parts)
        self.text = BertTower(select_prefix(parts.weights, "text."), parts.text)
        self.logit_scale = nn.Parameter(torch.empty(()))

    def encode_image(self, pixels_n3ss: Tensor) -> Tensor:
        """Return (N, D), not of unit length."""
        rows: Tensor = self.visual(pixels_n3ss)
        return rows

    def encode_text(self, ids_nt: Tensor) -> Tensor:
        """Return (N, D), not of unit length."""
        rows: Tensor = self.text(ids_nt)
        return rows


def load_chinese(
    name: str, placement: Placement, attend_padding: int = 0, open_folder: OpenFolder = open_model_folder
) -> Encoder:
    """Load `taiyi:...` or `chinese-clip:...`. Raises ModelUnavailable, SettingsError.

    `attend_padding`: of Taiyi's texts, see BertOptions; 0 masks all padding.
    """
    if not name.startswith(TAIYI):
        return build_encoder(name, read_chinese_clip(name.removeprefix(CHINESE_CLIP), open_folder), placement)
    parts = read_taiyi(name.removeprefix(TAIYI), open_folder)
    if attend_padding > parts.tokenizer.context_length:
        raise SettingsError(
            f"CLIP_ATTEND_PADDING='{attend_padding}': {name} takes at most {parts.tokenizer.context_length} tokens"
        )
    return build_encoder(name, replace(parts, text=replace(parts.text, attend_padding=attend_padding)), placement)


def build_encoder(name: str, parts: ChineseParts, placement: Placement) -> TorchEncoder:
    towers = build_towers(name, parts)
    check_numbers(name, towers)
    padding = parts.text.attend_padding
    info = ModelInfo(
        model=name,
        revision=hash_weights(towers),
        dimension=towers.text.projection.out_features,
        image_size=parts.recipe.size,
        context_length=parts.tokenizer.context_length,
        preprocessing=f"{parts.recipe.version}-padding-{padding}" if padding else parts.recipe.version,
        logit_scale=float(towers.logit_scale.exp()),
        device=placement.device,
        precision=placement.precision,
    )
    count = count_weights(towers)
    placed = place_towers(towers, parts, placement)
    return TorchEncoder(placed, parts.tokenizer, parts.recipe, info, least_tokens=padding, weight_count=count)


def build_towers(name: str, parts: ChineseParts) -> ChineseTowers:
    """Return the towers in float32 on the CPU. Raises ModelUnavailable where tensors do not fit together."""
    try:
        towers = ChineseTowers(parts)
    except (KeyError, IndexError, ValueError, TypeError, ZeroDivisionError) as error:
        raise ModelUnavailable(f"{name} lacks tensors of a Chinese CLIP ({error})") from error
    weights = {key: value.float() if value.is_floating_point() else value for key, value in parts.weights.items()}
    if problem := describe_mismatch(towers.state_dict(), weights) or describe_misfit(weights, parts):
        raise ModelUnavailable(f"{name} does not fit its configuration: {problem}")
    towers.load_state_dict(weights, assign=True)
    return towers.eval().requires_grad_(False)


def describe_misfit(weights: Weights, parts: ChineseParts) -> str:
    """Return in what the parts differ from each other; "" where they fit."""
    texts, text_width = weights["text.projection.weight"].shape
    images = weights["visual.attnpool.c_proj.weight" if is_resnet_tower(weights) else "visual.proj"]
    dimension = len(images) if is_resnet_tower(weights) else images.shape[1]
    if texts != dimension:
        return f"text vectors have {texts} dimensions, image vectors {dimension}; the towers are not of one model"
    image_width = len(weights["visual.conv1.weight"])
    for width, heads in ((text_width, parts.text.heads), (image_width, parts.image_heads)):
        if width % heads and not (width == image_width and is_resnet_tower(weights)):
            return f"a tower of width {width} cannot have {heads} heads"
    words, known = len(weights["text.token_embedding.weight"]), parts.tokenizer.count_words()
    return f"the vocabulary has {known} words, the text tower {words}" if known > words else ""


def build_image_tower(parts: ChineseParts) -> nn.Module:
    weights = select_prefix(parts.weights, "visual.")
    if is_resnet_tower(parts.weights):
        return build_resnet_tower(parts.weights)
    kernel = weights["conv1.weight"]
    config = {
        "width": len(kernel),
        "patch_size": kernel.shape[3],
        "image_size": measure_image_side(parts.weights),
        "layers": count_blocks(parts.weights, "visual."),
        "head_width": len(kernel) // parts.image_heads,
    }
    return PlainVisionTower(weights["proj"].shape[1], config, parts.quick_gelu)


def build_resnet_tower(weights: Weights) -> nn.Module:
    """Return OpenAI's ResNet of the shape of `weights`; only cn_clip's RN50 has one."""
    from open_clip.modified_resnet import ModifiedResNet

    width = len(weights["visual.layer1.0.conv1.weight"])
    stages = [
        len({name.split(".")[2] for name in weights if name.startswith(f"visual.layer{number}.")})
        for number in range(1, RESNET_STAGES + 1)
    ]
    tower: nn.Module = ModifiedResNet(
        layers=stages,
        output_dim=len(weights["visual.attnpool.c_proj.weight"]),
        heads=width * 32 // RESNET_HEAD_WIDTH,
        image_size=measure_image_side(weights),
        width=width,
    )
    return tower


def place_towers(towers: ChineseTowers, parts: ChineseParts, placement: Placement) -> Towers:
    """Return the towers on their device; on a CPU faster ones that compute the same."""
    if placement.device != "cpu":
        return placement.place(towers)
    weights, kind = towers.state_dict(), Numerics.of(placement)
    texts = PackedBert(select_prefix(weights, "text."), parts.text, kind)
    if is_resnet_tower(weights):
        return PackedClip(towers.visual.to(kind.dtype), texts)
    activation: Activation = "quick_gelu" if parts.quick_gelu else "gelu"
    return PackedClip(PackedImages(select_prefix(weights, "visual."), parts.image_heads, activation, kind), texts)
