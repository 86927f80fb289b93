"""Random views of drawings: placement, colour, background. All on batches of tensors.

B batch · H drawing size · S view size
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RED_LUMA, GREEN_LUMA, BLUE_LUMA = 0.299, 0.587, 0.114  # ITU-R BT.601
WARP_GRID = 4  # points on a side of the grid that moves
TEXTURE_GRID = 6  # spots on a side of a ground
CORNERS = 0.62  # of half the width: where a second drawing is
NEIGHBOUR_SIZE = 0.3  # of the view


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much a view may differ from the drawing."""

    degrees: float = 15.0  # rotation either way; never a flip: left and right pointing hands differ
    scale: tuple[float, float] = (0.65, 1.12)  # size of the drawing in the view
    shift: float = 0.1  # of the view's width, either way
    stretch: float = 0.15  # change of the aspect ratio, either way
    warp: float = 0.07  # of the view's width: how far points of a coarse grid move, either way
    saturation: tuple[float, float] = (0.3, 1.6)
    hue_degrees: float = 20.0
    brightness: float = 0.15
    grey_share: float = 0.1
    white_share: float = 0.6  # of the views have a white ground, the others a random colour
    texture_share: float = 0.15  # have a ground of soft spots
    neighbour_share: float = 0.1  # have a second, smaller drawing in a corner
    coarse_share: float = 0.15  # were enlarged from half the size


def random_views(drawings_b4hh: Tensor, size: int, augmentation: Augmentation) -> Tensor:
    """Return (B, 3, S, S) float32 in 0..1, from (B, 4, H, H) uint8 straight RGBA."""
    rgba = premultiply(drawings_b4hh)
    premultiplied, alpha = place_drawings(rgba, size, augmentation)
    coloured = recolour_views(premultiplied, alpha, augmentation)
    views = coloured + draw_backgrounds(len(alpha), size, augmentation) * (1 - alpha)
    views = add_neighbours(views, rgba, augmentation)
    return coarsen(views, augmentation).clamp(0, 1)


def premultiply(drawings_b4hh: Tensor) -> Tensor:
    """Return (B, 4, H, H) float32 in 0..1, colour times alpha."""
    rgba = drawings_b4hh.float() / 255
    return torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)


def place_drawings(premultiplied_b4hh: Tensor, size: int, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
    """Rotate, scale, stretch, shift and warp; return premultiplied colour (B, 3, S, S) and alpha (B, 1, S, S)."""
    count = len(premultiplied_b4hh)
    grid = F.affine_grid(draw_placements(count, augmentation), [count, 4, size, size], align_corners=False)
    placed = F.grid_sample(
        premultiplied_b4hh, grid + draw_warps(count, size, augmentation), mode="bilinear", align_corners=False
    )
    return placed[:, :3], placed[:, 3:]


def draw_warps(count: int, size: int, augmentation: Augmentation) -> Tensor:
    """Return (count, S, S, 2) smooth displacements: another artist's proportions."""
    reach = 2 * augmentation.warp * torch.rand(count, 1, 1, 1)
    coarse = (2 * torch.rand(count, 2, WARP_GRID, WARP_GRID) - 1) * reach
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def add_neighbours(views_b3ss: Tensor, premultiplied_b4hh: Tensor, augmentation: Augmentation) -> Tensor:
    """Put the next drawing of the batch into a corner of some views."""
    chosen = torch.rand(len(views_b3ss)) < augmentation.neighbour_share
    count, size = int(chosen.sum()), views_b3ss.shape[-1]
    if not count:
        return views_b3ss
    zoom = 1 / NEIGHBOUR_SIZE
    corner = CORNERS * (2.0 * torch.randint(2, (count, 2)) - 1)
    placement = torch.zeros(count, 2, 3)
    placement[:, 0, 0] = placement[:, 1, 1] = zoom
    placement[:, :, 2] = -corner * zoom
    grid = F.affine_grid(placement, [count, 4, size, size], align_corners=False)
    placed = F.grid_sample(premultiplied_b4hh.roll(1, 0)[chosen], grid, mode="bilinear", align_corners=False)
    covered = views_b3ss.clone()
    covered[chosen] = placed[:, :3] + views_b3ss[chosen] * (1 - placed[:, 3:])
    return covered


def coarsen(views_b3ss: Tensor, augmentation: Augmentation) -> Tensor:
    """Lose the fine detail of some views, as an enlarged thumbnail does."""
    chosen = torch.rand(len(views_b3ss)) < augmentation.coarse_share
    if not chosen.any():
        return views_b3ss
    small = F.interpolate(views_b3ss[chosen], scale_factor=0.5, mode="area")
    blurred = views_b3ss.clone()
    blurred[chosen] = F.interpolate(small, size=views_b3ss.shape[-1], mode="bilinear", align_corners=False)
    return blurred


def draw_placements(count: int, augmentation: Augmentation) -> Tensor:
    """Return (count, 2, 3) affine maps from view to drawing."""
    angle = draw_uniform(count, -augmentation.degrees, augmentation.degrees).deg2rad()
    zoom = 1 / draw_uniform(count, *augmentation.scale)
    across, down = zoom * (1 + draw_uniform(count, -augmentation.stretch, augmentation.stretch)), zoom
    cos, sin = angle.cos(), angle.sin()
    shift_x, shift_y = (
        draw_uniform(count, -2 * augmentation.shift, 2 * augmentation.shift),
        draw_uniform(count, -2 * augmentation.shift, 2 * augmentation.shift),
    )
    rows = [torch.stack([cos * across, -sin * down, shift_x], 1), torch.stack([sin * across, cos * down, shift_y], 1)]
    return torch.stack(rows, 1)


def recolour_views(premultiplied_b3ss: Tensor, alpha_b1ss: Tensor, augmentation: Augmentation) -> Tensor:
    """Apply one 3 x 3 colour matrix and one offset per image: hue, saturation, brightness."""
    count = len(alpha_b1ss)
    matrix = draw_saturations(count, augmentation) @ draw_hues(count, augmentation)
    mixed = torch.einsum("bij,bjhw->bihw", matrix, premultiplied_b3ss)
    offset = draw_uniform(count, -augmentation.brightness, augmentation.brightness)[:, None, None, None]
    return (mixed + offset * alpha_b1ss).clamp(0, 1)


def draw_saturations(count: int, augmentation: Augmentation) -> Tensor:
    """Return (count, 3, 3): s * identity + (1 - s) * luma."""
    amount = draw_uniform(count, *augmentation.saturation)
    amount = torch.where(torch.rand(count) < augmentation.grey_share, torch.zeros(count), amount)[:, None, None]
    luma = torch.tensor([[RED_LUMA, GREEN_LUMA, BLUE_LUMA]]).expand(3, 3)
    return amount * torch.eye(3) + (1 - amount) * luma


def draw_hues(count: int, augmentation: Augmentation) -> Tensor:
    """Return (count, 3, 3): rotation about the grey axis, by Rodrigues' formula."""
    angle = draw_uniform(count, -augmentation.hue_degrees, augmentation.hue_degrees).deg2rad()[:, None, None]
    axis = 3**-0.5
    cross = torch.tensor([[0, -axis, axis], [axis, 0, -axis], [-axis, axis, 0]])
    return angle.cos() * torch.eye(3) + angle.sin() * cross + (1 - angle.cos()) / 3 * torch.ones(3, 3)


def draw_backgrounds(count: int, size: int, augmentation: Augmentation) -> Tensor:
    """Return (count, 3, S, S) grounds: white, one colour, or soft spots."""
    draw = torch.rand(count)[:, None, None, None]
    plain = torch.where(draw < augmentation.white_share, torch.ones(count, 3, 1, 1), torch.rand(count, 3, 1, 1))
    spots = F.interpolate(torch.rand(count, 3, TEXTURE_GRID, TEXTURE_GRID), size=size, mode="bilinear")
    return torch.where(draw > 1 - augmentation.texture_share, spots, plain.expand(-1, -1, size, size))


def draw_uniform(count: int, low: float, high: float) -> Tensor:
    return torch.empty(count).uniform_(low, high)
