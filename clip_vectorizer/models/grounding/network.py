"""The trained head: the image tower of `emoji` up to its last maps, a neck, and per place a box and a region's vector.

A fully convolutional GLIP (Li et al. 2022) of one level: S = O P^T, where P are rows of the frozen text tower.

B pictures · h, w rows and columns of places, eight pixels apart · L = h w places · D dimensions
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.models.plain import STAGE_CHANNELS, ResNetTrunk

STRIDE = 8  # pixels between places
EXTENT = 16.0  # pixels from a place to a side of its box where the network says 0
LONGEST_EXTENT = 4.0  # of the logarithm: 870 pixels
GROUPS = 16  # of channels that are normalised together
PRIOR = 0.01  # probability of a region for a phrase before any training, as in RetinaNet and GLIP
FIRST_SCALE = 20.0  # of cosines, before any training


@dataclass(frozen=True, slots=True)
class RegionMaps:
    """What the network says of each place of each picture."""

    vectors_bld: Tensor  # unit rows
    boxes_bl4: Tensor  # x0, y0, x1, y1 in pixels of the input
    objectness_bl: Tensor  # logits


class RegionNetwork(nn.Module):
    """Shape of the head. `channels`: of the neck."""

    def __init__(self, dimension: int, channels: int = 128) -> None:
        super().__init__()
        self.trunk = ResNetTrunk()
        self.laterals = nn.ModuleList(nn.Conv2d(before, channels, 1) for before in STAGE_CHANNELS[1:])
        self.shared = NeckLayer(channels)
        self.box_layer, self.vector_layer = NeckLayer(channels), NeckLayer(channels)
        self.box = nn.Conv2d(channels, 5, 1)
        self.vector = nn.Conv2d(channels, dimension, 1)
        self.direct = nn.Conv2d(STAGE_CHANNELS[-1], dimension, 1, bias=False)  # starts as the tower's own projection
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        unlikely = -math.log((1 - PRIOR) / PRIOR)
        self.shift = nn.Parameter(torch.tensor(unlikely))
        nn.init.zeros_(self.box.weight)
        nn.init.zeros_(self.vector.weight)  # at first the vector is the tower's own
        self.box.bias = nn.Parameter(torch.tensor([0.0, 0.0, 0.0, 0.0, unlikely]))

    def forward(self, pixels_b3hw: Tensor) -> RegionMaps:
        """Sides are multiples of 32 pixels."""
        stages = self.compute_stages(pixels_b3hw)
        side = stages[0].shape[-2:]
        joined = sum_maps([layer(stage) for layer, stage in zip(self.laterals, stages, strict=True)])
        hidden = self.shared(joined)
        vectors = self.vector(self.vector_layer(hidden)) + enlarge(self.direct(stages[-1]), side)
        box_b5hw = self.box(self.box_layer(hidden)).float()
        return RegionMaps(
            F.normalize(vectors.float().flatten(2).transpose(1, 2), dim=-1),
            decode_boxes(box_b5hw[:, :4]),
            box_b5hw[:, 4].flatten(1),
        )

    def compute_stages(self, pixels_b3hw: Tensor) -> list[Tensor]:
        """Return the maps of the trunk at strides of 8, 16 and 32 pixels."""
        trunk = self.trunk
        hidden = F.max_pool2d(F.relu(trunk.bn1(trunk.conv1(pixels_b3hw))), 3, stride=2, padding=1)
        stages: list[Tensor] = []
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            hidden = stage(hidden)
            stages.append(hidden)
        return stages[1:]

    def compare(self, cosines: Tensor) -> Tensor:
        """Return logits of cosines between regions and phrases."""
        return self.log_scale.exp() * cosines + self.shift


class NeckLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, channels)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.silu(self.norm(self.conv(hidden)))


def sum_maps(maps: list[Tensor]) -> Tensor:
    """Return the sum at the size of the first."""
    total = maps[0]
    for each in maps[1:]:
        total = total + enlarge(each, total.shape[-2:])
    return total


def enlarge(hidden: Tensor, side: torch.Size) -> Tensor:
    return F.interpolate(hidden, size=side, mode="bilinear", align_corners=False)


def decode_boxes(extents_b4hw: Tensor) -> Tensor:
    """Return (B, L, 4) boxes in pixels from logarithms of the distances to left, top, right and bottom."""
    _, _, high, wide = extents_b4hw.shape
    places_l2 = locate_places(high, wide, extents_b4hw.device)
    distances_bl4 = EXTENT * extents_b4hw.clamp(max=LONGEST_EXTENT).exp().flatten(2).transpose(1, 2)
    return torch.cat([places_l2 - distances_bl4[..., :2], places_l2 + distances_bl4[..., 2:]], dim=-1)


def locate_places(high: int, wide: int, device: torch.device) -> Tensor:
    """Return (L, 2) x and y of the places in pixels, row by row."""
    rows, columns = (STRIDE * (torch.arange(count, device=device) + 0.5) for count in (high, wide))
    return torch.stack([columns.repeat(high), rows.repeat_interleave(wide)], dim=1)
