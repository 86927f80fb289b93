"""The trained head: boxes from the maps of the image tower of `emoji`, and the vectors of regions that it pools there.

As in GLIP (Li et al. 2022), S = O P^T, where P are rows of the frozen text tower. A row of O is not read at one place
of a map, but pooled over the box (RoIAlign, He et al. 2017): small and large things look alike to what follows.

B pictures · h, w rows and columns of places, eight pixels apart · L = h w places · K regions · D dimensions
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.models.plain import STAGE_CHANNELS, ResNetTrunk

STRIDE = 8  # pixels between places
EXTENT = 16.0  # pixels from a place to a side of its box where the network returns 0
LONGEST_EXTENT = 4.0  # of the logarithm: 870 pixels
GROUPS = 16  # of channels that are normalised together
PRIOR = 0.01  # probability of a region for a phrase before any training, as in RetinaNet and GLIP
FIRST_SCALE = 20.0  # of cosines, before any training
BINS = 7  # across and down, of what is pooled in a box
POOLED_CHANNELS = 192


@dataclass(frozen=True, slots=True)
class RegionMaps:
    """Maps of each picture, and what the network returns for each place."""

    fine: Tensor  # of the trunk, four pixels apart
    coarse: Tensor  # its last one, 32 pixels apart
    neck: Tensor  # eight pixels apart
    boxes_bl4: Tensor  # x0, y0, x1, y1 in pixels of the input
    objectness_bl: Tensor  # logits


class RegionNetwork(nn.Module):
    """Shape of the head. `channels`: of the neck."""

    def __init__(self, dimension: int, channels: int = 128) -> None:
        super().__init__()
        self.trunk = ResNetTrunk()
        self.laterals = nn.ModuleList(nn.Conv2d(before, channels, 1) for before in STAGE_CHANNELS[1:])
        self.shared, self.box_layer = NeckLayer(channels), NeckLayer(channels)
        self.box = nn.Conv2d(channels, 5, 1)
        self.pooled = NeckLayer(channels + STAGE_CHANNELS[0], POOLED_CHANNELS)
        self.bins = nn.Conv2d(POOLED_CHANNELS, POOLED_CHANNELS, BINS, groups=POOLED_CHANNELS)
        self.vector = nn.Linear(POOLED_CHANNELS, dimension)
        self.direct = nn.Linear(STAGE_CHANNELS[-1], dimension, bias=False)  # starts as the tower's own projection
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))
        unlikely = -math.log((1 - PRIOR) / PRIOR)
        self.shift = nn.Parameter(torch.tensor(unlikely))
        for layer in (self.box, self.vector):  # at first a region's vector is what the tower makes of its last map
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.vector.bias)
        self.box.bias = nn.Parameter(torch.tensor([0.0, 0.0, 0.0, 0.0, unlikely]))

    def forward(self, pixels_b3hw: Tensor) -> RegionMaps:
        """Sides are multiples of 32 pixels."""
        fine, *stages = self.compute_stages(pixels_b3hw)
        neck = self.shared(sum_maps([layer(stage) for layer, stage in zip(self.laterals, stages, strict=True)]))
        box_b5hw = self.box(self.box_layer(neck)).float()
        return RegionMaps(fine, stages[-1], neck, decode_boxes(box_b5hw[:, :4]), box_b5hw[:, 4].flatten(1))

    def compute_stages(self, pixels_b3hw: Tensor) -> list[Tensor]:
        """Return the maps of the trunk at strides of 4, 8, 16 and 32 pixels."""
        trunk = self.trunk
        hidden = F.max_pool2d(F.relu(trunk.bn1(trunk.conv1(pixels_b3hw))), 3, stride=2, padding=1)
        stages: list[Tensor] = []
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            hidden = stage(hidden)
            stages.append(hidden)
        return stages

    def embed(self, maps: RegionMaps, boxes_bk4: Tensor) -> Tensor:
        """Return (B, K, D) unit rows of boxes in pixels."""
        joined = torch.cat([pool(maps.neck, boxes_bk4, STRIDE), pool(maps.fine, boxes_bk4, STRIDE // 2)], dim=1)
        rows = F.silu(self.bins(self.pooled(joined))).flatten(1)
        whole = pool(maps.coarse, boxes_bk4, STRIDE * 4).mean((2, 3))
        return F.normalize((self.vector(rows) + self.direct(whole)).float(), dim=-1).view(*boxes_bk4.shape[:2], -1)

    def compare(self, cosines: Tensor) -> Tensor:
        """Return logits of cosines between regions and phrases."""
        return self.log_scale.exp() * cosines + self.shift


def pool(hidden: Tensor, boxes_bk4: Tensor, stride: int) -> Tensor:
    """Return (B * K, C, BINS, BINS): the map at the middle of each of BINS x BINS parts of each box."""
    high, wide = hidden.shape[-2:]
    sides = boxes_bk4.new_tensor([wide, high]) * stride
    middles = (torch.arange(BINS, device=hidden.device) + 0.5) / BINS
    left_top, size = boxes_bk4[..., None, :2], boxes_bk4[..., None, 2:] - boxes_bk4[..., None, :2]
    points_bkn2 = 2 * (left_top + middles[:, None] * size) / sides - 1  # -1..1 over the picture, as grid_sample has it
    xs, ys = points_bkn2.unbind(-1)
    grid = torch.stack([xs[:, :, None, :].expand(-1, -1, BINS, -1), ys[..., None].expand(-1, -1, -1, BINS)], dim=-1)
    picked = F.grid_sample(hidden.float(), grid.flatten(1, 2), padding_mode="border", align_corners=False)
    rows: Tensor = picked.reshape(*picked.shape[:2], -1, BINS, BINS).transpose(1, 2).flatten(0, 1)
    return rows


class NeckLayer(nn.Module):
    def __init__(self, before: int, after: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after or before, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, after or before)

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
