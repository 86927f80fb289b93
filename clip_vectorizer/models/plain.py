"""The plain CLIP in torch alone: a transformer or a small ResNet for images, a transformer for texts.

Loads much faster than open_clip, whose import takes seconds.

Names of the parameters are open_clip's, so its checkpoints load unchanged. Configurations with anything
this file does not have (`is_plain_config` says so) go to open_clip itself.

The ResNet is `resnet10t`, of the bundled model: a ResNet-D (He et al. 2019, "Bag of Tricks") of four stages with one
basic block each, behind timm's tiered stem.

B rows · T tokens · D width · S image side
"""

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from clip_vectorizer.models.devices import ModuleT
from clip_vectorizer.models.products import AttentionHeads

MODEL_KEYS = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
VISION_KEYS = {"image_size", "patch_size", "width", "layers", "head_width"}
HEAD_WIDTH = 64  # what open_clip takes where `head_width` is not given
TEXT_KEYS = {"context_length", "vocab_size", "width", "heads", "layers", "hf_tokenizer_name"}
RESNET_NAME = "resnet10t"
STEM_CHANNELS = (24, 32, 64)  # channels of its three convolutions
STAGE_CHANNELS = (64, 128, 256, 512)  # channels


def is_plain_config(config: Mapping[str, Any]) -> bool:
    """Whether an open_clip `model_cfg` describes a CLIP that this file can build."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    known = set(config) <= MODEL_KEYS and set(text) <= TEXT_KEYS
    return known and (is_transformer(vision) or is_resnet(vision))


def is_transformer(vision: Mapping[str, Any]) -> bool:
    given = set(vision)
    return VISION_KEYS - {"head_width"} <= given <= VISION_KEYS and isinstance(vision["layers"], int)


def is_resnet(vision: Mapping[str, Any]) -> bool:
    expected = {"timm_model_name": RESNET_NAME, "timm_pool": "avg", "timm_proj": "linear"}
    return {**expected, "image_size": vision.get("image_size")} == dict(vision)


def count_image_heads(vision: Mapping[str, Any]) -> int:
    """0 for a ResNet."""
    return 0 if is_resnet(vision) else int(vision["width"]) // int(vision.get("head_width", HEAD_WIDTH))


class BareLinear(nn.Linear):
    """Its weights are loaded: random ones would take as long as all the rest."""

    def reset_parameters(self) -> None:
        pass


class BareEmbedding(nn.Embedding):
    """As BareLinear."""

    def reset_parameters(self) -> None:
        pass


class PlainClip(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        vision, text, width = config["vision_cfg"], config["text_cfg"], config["text_cfg"]["width"]
        quick = bool(config.get("quick_gelu"))
        self.heads = AttentionHeads(count_image_heads(vision), text["heads"], "quick_gelu" if quick else "gelu")
        self.visual: nn.Module = (
            ResNetTower(config["embed_dim"])
            if is_resnet(vision)
            else PlainVisionTower(config["embed_dim"], vision, quick)
        )
        self.transformer = PlainTransformer(width, text["layers"], text["heads"], quick)
        self.token_embedding = BareEmbedding(text["vocab_size"], width)
        self.positional_embedding = nn.Parameter(torch.empty(text["context_length"], width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, config["embed_dim"]))
        self.logit_scale = nn.Parameter(torch.empty(()))

    def encode_image(self, pixels_b3ss: Tensor) -> Tensor:
        """(B, D), not of unit length."""
        rows: Tensor = self.visual(pixels_b3ss)
        return rows

    def encode_text(self, ids_bt: Tensor) -> Tensor:
        """(B, D), not of unit length; T may be any length up to the context."""
        hidden = self.token_embedding(ids_bt) + self.positional_embedding[: ids_bt.shape[1]]
        hidden = self.ln_final(self.transformer(hidden, causal=True))
        ends = hidden[torch.arange(len(ids_bt), device=ids_bt.device), ids_bt.argmax(1)]
        rows: Tensor = ends @ self.text_projection
        return rows


class PlainVisionTower(nn.Module):
    def __init__(self, embedding: int, config: Mapping[str, Any], quick: bool) -> None:
        super().__init__()
        width, patch = config["width"], config["patch_size"]
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((config["image_size"] // patch) ** 2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = PlainTransformer(
            width, config["layers"], width // config.get("head_width", HEAD_WIDTH), quick
        )
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, embedding))

    def forward(self, pixels_b3ss: Tensor) -> Tensor:
        patches = self.conv1(pixels_b3ss).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(patches.shape[0], 1, -1)
        hidden = self.ln_pre(torch.cat([first, patches], 1) + self.positional_embedding)
        pooled: Tensor = self.ln_post(self.transformer(hidden)[:, 0])
        return pooled @ self.proj


class PlainTransformer(nn.Module):
    def __init__(self, width: int, layers: int, heads: int, quick: bool) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(PlainBlock(width, heads, quick) for _ in range(layers))

    def forward(self, hidden_btd: Tensor, causal: bool = False) -> Tensor:
        for block in self.resblocks:
            hidden_btd = block(hidden_btd, causal)
        return hidden_btd


class PlainBlock(nn.Module):
    def __init__(self, width: int, heads: int, quick: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = PlainAttention(width, heads)
        self.mlp = nn.ModuleDict({"c_fc": BareLinear(width, 4 * width), "c_proj": BareLinear(4 * width, width)})
        self.quick = quick

    def forward(self, hidden_btd: Tensor, causal: bool) -> Tensor:
        hidden_btd = hidden_btd + self.attn(self.ln_1(hidden_btd), causal)
        inner = self.mlp["c_fc"](self.ln_2(hidden_btd))
        inner = inner * torch.sigmoid(1.702 * inner) if self.quick else F.gelu(inner)
        added: Tensor = hidden_btd + self.mlp["c_proj"](inner)
        return added


class PlainAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = BareLinear(width, width)

    def forward(self, hidden_btd: Tensor, causal: bool, attended_b11t: Tensor | None = None) -> Tensor:
        """(B, T, D). `attended_b11t` is True for tokens that others attend to; None: all."""
        joint = F.linear(hidden_btd, self.in_proj_weight, self.in_proj_bias)
        query, key, value = joint.reshape(*joint.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, attended_b11t, is_causal=causal)
        result: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return result


class ResNetTower(nn.Module):
    """(B, 3, S, S) in, (B, D) out, not of unit length."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.trunk = ResNetTrunk()
        self.head = nn.ModuleDict({"proj": nn.Linear(STAGE_CHANNELS[-1], embedding, bias=False)})

    def forward(self, pixels_b3ss: Tensor) -> Tensor:
        rows: Tensor = self.head["proj"](self.trunk(pixels_b3ss))
        return rows


class ResNetTrunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first, second, third = STEM_CHANNELS
        self.conv1 = nn.Sequential(
            *(conv3(3, first, stride=2), nn.BatchNorm2d(first), nn.ReLU()),
            *(conv3(first, second), nn.BatchNorm2d(second), nn.ReLU()),
            conv3(second, third),
        )
        self.bn1 = nn.BatchNorm2d(third)
        self.layer1 = nn.Sequential(BasicBlock(STAGE_CHANNELS[0], STAGE_CHANNELS[0]))
        self.layer2 = nn.Sequential(BasicBlock(STAGE_CHANNELS[0], STAGE_CHANNELS[1]))
        self.layer3 = nn.Sequential(BasicBlock(STAGE_CHANNELS[1], STAGE_CHANNELS[2]))
        self.layer4 = nn.Sequential(BasicBlock(STAGE_CHANNELS[2], STAGE_CHANNELS[3]))

    def forward(self, pixels_b3ss: Tensor) -> Tensor:
        hidden = F.max_pool2d(F.relu(self.bn1(self.conv1(pixels_b3ss))), 3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            hidden = stage(hidden)
        return hidden.mean((2, 3))


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut; where the channels grow, the side halves."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        grows = before != after
        self.conv1, self.bn1 = conv3(before, after, stride=2 if grows else 1), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = conv3(after, after), nn.BatchNorm2d(after)
        halve = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
        projection = nn.Conv2d(before, after, 1, bias=False)
        self.downsample = nn.Sequential(halve, projection, nn.BatchNorm2d(after)) if grows else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(hidden)))
        return F.relu(self.bn2(self.conv2(inner)) + self.downsample(hidden))


def fold_norms(module: ModuleT) -> ModuleT:
    """Return a copy, in eval mode, whose convolutions have the batch norms that follow them in their weights.

    The same function in fewer steps: w' = w g / sqrt(v + e), b' = b - m g / sqrt(v + e) of a norm's gain g, shift b,
    mean m, variance v and epsilon e. In a ResNet here every batch norm comes right after its convolution.
    """
    folded = copy.deepcopy(module).eval()
    leaves = [(name, each) for name, each in folded.named_modules() if not next(each.children(), None)]
    for (name, convolution), (following, norm) in pairwise(leaves):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            folded.set_submodule(name, fuse_conv_bn_eval(convolution, norm))
            folded.set_submodule(following, nn.Identity())
    return folded


def conv3(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
