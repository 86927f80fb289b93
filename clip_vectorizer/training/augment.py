"""Random views of drawings: placement, colour, ground. All on a batch of tensors, no loop over images.

B batch · H drawing size · S view size
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RED_LUMA, GREEN_LUMA, BLUE_LUMA = 0.299, 0.587, 0.114  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a view may stray from the drawing."""

    degrees: float = 12.0  # rotation either way; never a flip: left and right pointing hands differ
    scale: tuple[float, float] = (0.75, 1.1)  # size of the drawing in the view
    shift: float = 0.08  # of the view's width, either way
    stretch: float = 0.08  # change of the aspect ratio, either way
    saturation: tuple[float, float] = (0.6, 1.4)
    hue_degrees: float = 12.0
    brightness: float = 0.12
    grey_share: float = 0.05
    white_share: float = 0.7  # of the views stand on white, the others on a random colour


def random_views(drawings_b4hh: Tensor, size: int, how: Augmentation) -> Tensor:
    """(B, 4, H, H) uint8 straight RGBA in, (B, 3, S, S) float32 in 0..1 out."""
    premultiplied, alpha = place_drawings(drawings_b4hh, size, how)
    coloured = recolour_views(premultiplied, alpha, how)
    return (coloured + draw_backgrounds(len(alpha), how) * (1 - alpha)).clamp(0, 1)


def place_drawings(drawings_b4hh: Tensor, size: int, how: Augmentation) -> tuple[Tensor, Tensor]:
    """Rotated, scaled, stretched and shifted; premultiplied colour (B, 3, S, S) and alpha (B, 1, S, S)."""
    rgba = drawings_b4hh.float() / 255
    premultiplied = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
    grid = F.affine_grid(draw_placements(len(rgba), how), [len(rgba), 4, size, size], align_corners=False)
    placed = F.grid_sample(premultiplied, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return placed[:, :3], placed[:, 3:]


def draw_placements(count: int, how: Augmentation) -> Tensor:
    """(count, 2, 3) affine maps from view to drawing."""
    angle = draw_uniform(count, -how.degrees, how.degrees).deg2rad()
    zoom = 1 / draw_uniform(count, *how.scale)
    across, down = zoom * (1 + draw_uniform(count, -how.stretch, how.stretch)), zoom
    cos, sin = angle.cos(), angle.sin()
    shift_x, shift_y = (
        draw_uniform(count, -2 * how.shift, 2 * how.shift),
        draw_uniform(count, -2 * how.shift, 2 * how.shift),
    )
    rows = [torch.stack([cos * across, -sin * down, shift_x], 1), torch.stack([sin * across, cos * down, shift_y], 1)]
    return torch.stack(rows, 1)


def recolour_views(premultiplied_b3ss: Tensor, alpha_b1ss: Tensor, how: Augmentation) -> Tensor:
    """One 3 x 3 colour matrix and one offset an image: hue, saturation, brightness."""
    count = len(alpha_b1ss)
    matrix = draw_saturations(count, how) @ draw_hues(count, how)
    mixed = torch.einsum("bij,bjhw->bihw", matrix, premultiplied_b3ss)
    offset = draw_uniform(count, -how.brightness, how.brightness)[:, None, None, None]
    return (mixed + offset * alpha_b1ss).clamp(0, 1)


def draw_saturations(count: int, how: Augmentation) -> Tensor:
    """(count, 3, 3): s * identity + (1 - s) * luma."""
    amount = draw_uniform(count, *how.saturation)
    amount = torch.where(torch.rand(count) < how.grey_share, torch.zeros(count), amount)[:, None, None]
    luma = torch.tensor([[RED_LUMA, GREEN_LUMA, BLUE_LUMA]]).expand(3, 3)
    return amount * torch.eye(3) + (1 - amount) * luma


def draw_hues(count: int, how: Augmentation) -> Tensor:
    """(count, 3, 3): rotation about the grey axis, by Rodrigues' formula."""
    angle = draw_uniform(count, -how.hue_degrees, how.hue_degrees).deg2rad()[:, None, None]
    axis = 3**-0.5
    cross = torch.tensor([[0, -axis, axis], [axis, 0, -axis], [-axis, axis, 0]])
    return angle.cos() * torch.eye(3) + angle.sin() * cross + (1 - angle.cos()) / 3 * torch.ones(3, 3)


def draw_backgrounds(count: int, how: Augmentation) -> Tensor:
    """(count, 3, 1, 1) background colours."""
    white = (torch.rand(count) < how.white_share)[:, None, None, None]
    return torch.where(white, torch.ones(count, 3, 1, 1), torch.rand(count, 3, 1, 1))


def draw_uniform(count: int, low: float, high: float) -> Tensor:
    return torch.empty(count).uniform_(low, high)
