"""Random views of drawings: placement, colour, background. All on batches of tensors.

B batch · H drawing size · S view size
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

RED_LUMA, GREEN_LUMA, BLUE_LUMA = 0.299, 0.587, 0.114  # ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How much a view may differ from the drawing."""

    degrees: float = 12.0  # rotation either way; never a flip: left and right pointing hands differ
    scale: tuple[float, float] = (0.75, 1.1)  # size of the drawing in the view
    shift: float = 0.08  # of the view's width, either way
    stretch: float = 0.08  # change of the aspect ratio, either way
    saturation: tuple[float, float] = (0.6, 1.4)
    hue_degrees: float = 12.0
    brightness: float = 0.12
    grey_share: float = 0.05
    white_share: float = 0.7  # of the views have a white background, the others a random colour


def random_views(drawings_b4hh: Tensor, size: int, augmentation: Augmentation) -> Tensor:
    """Return (B, 3, S, S) float32 in 0..1, from (B, 4, H, H) uint8 straight RGBA."""
    premultiplied, alpha = place_drawings(drawings_b4hh, size, augmentation)
    coloured = recolour_views(premultiplied, alpha, augmentation)
    return (coloured + draw_backgrounds(len(alpha), augmentation) * (1 - alpha)).clamp(0, 1)


def place_drawings(drawings_b4hh: Tensor, size: int, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
    """Rotate, scale, stretch and shift; return premultiplied colour (B, 3, S, S) and alpha (B, 1, S, S)."""
    rgba = drawings_b4hh.float() / 255
    premultiplied = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
    grid = F.affine_grid(draw_placements(len(rgba), augmentation), [len(rgba), 4, size, size], align_corners=False)
    placed = F.grid_sample(premultiplied, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return placed[:, :3], placed[:, 3:]


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


def draw_backgrounds(count: int, augmentation: Augmentation) -> Tensor:
    """Return (count, 3, 1, 1) background colours."""
    white = (torch.rand(count) < augmentation.white_share)[:, None, None, None]
    return torch.where(white, torch.ones(count, 3, 1, 1), torch.rand(count, 3, 1, 1))


def draw_uniform(count: int, low: float, high: float) -> Tensor:
    return torch.empty(count).uniform_(low, high)
