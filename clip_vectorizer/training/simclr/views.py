"""Random views of pages: what a scanner, a printer and a crop change, and never what a page is. On batches of tensors.

No flips: text has a direction and a title block a corner. Everything is computed in ink, 0 for white paper, so that
what lies outside of a page is paper.

B batch · C side of a drawn page · S side of a view
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 8  # pixels: JPEG's
BLUR_REACH = 3  # pixels either way: three sigmas of the widest blur
COARSE = 4  # points on a side of a smooth map
# The table of luminance in annex K.1 of JPEG's standard (ITU-T T.81): steps of the 64 frequencies, of 255.
JPEG_STEPS = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """How much a view may differ from its page. `..._share`: of the views."""

    area: tuple[float, float] = (0.3, 1.0)  # of the square page; less cuts all that surrounds a detail
    stretch: float = 0.1  # change of the aspect ratio, either way
    degrees: float = 3.0  # rotation either way: a page that lay askew
    quarter_share: float = 0.1  # rotated by 90, 180 or 270 degrees
    thickness_share: float = 0.4  # lines thicker or thinner, by up to a pixel either way
    blur_share: float = 0.5
    blur: tuple[float, float] = (0.1, 1.0)  # sigma in pixels
    fade_share: float = 0.3
    fade: float = 0.5  # of the ink, at most, that fades in a part of the page
    contrast: tuple[float, float] = (0.7, 1.3)
    shade: float = 0.1  # grey of the paper, at most
    noise_share: float = 0.5
    noise: float = 0.05  # standard deviation, at most
    blocks_share: float = 0.2
    blocks: tuple[float, float] = (0.5, 2.0)  # factor of JPEG's steps: qualities of about 50 to 25
    erase_share: float = 0.25
    erased: tuple[float, float] = (0.15, 0.4)  # sides of the white rectangle, of the view's


class Dice:
    """Random numbers of one generator, on its device."""

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self.generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.generator.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.generator.device)

    def chance(self, share: float, count: int) -> Tensor:
        """(count, 1, 1, 1): 1 for `share` of them, else 0."""
        return (self.uniform(0, 1, count, 1, 1, 1) < share).float()


def draw_views(pages_bcc: Tensor, size: int, dice: Dice, options: ViewOptions = ViewOptions()) -> Tensor:
    """Return (B, 1, S, S) float32 grey in 0..1, from (B, C, C) uint8, of which 255 is white. S: a multiple of 8."""
    ink = place(1 - pages_bcc[:, None].float() / 255, size, dice, options)
    for change in (thicken, blur, fade, erase, add_noise, compress):
        ink = change(ink, dice, options)
    return 1 - ink.clamp(0, 1)


def place(ink_b1cc: Tensor, size: int, dice: Dice, options: ViewOptions) -> Tensor:
    """Crop, stretch and rotate, in one sampling."""
    count = len(ink_b1cc)
    grid = F.affine_grid(draw_placements(count, dice, options), [count, 1, size, size], align_corners=False)
    return F.grid_sample(ink_b1cc, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def draw_placements(count: int, dice: Dice, options: ViewOptions) -> Tensor:
    """Return (count, 2, 3) affine maps from view to page."""
    side = dice.uniform(*options.area, count).sqrt()
    stretch = (1 + dice.uniform(-options.stretch, options.stretch, count)).sqrt()
    across, down = side * stretch, side / stretch
    quarters = dice.uniform(1, 4, count).floor() * dice.chance(options.quarter_share, count).flatten()
    angle = dice.uniform(-options.degrees, options.degrees, count).deg2rad() + quarters * math.pi / 2
    shift_x, shift_y = (dice.uniform(-1, 1, count) * (1 - side) for _ in range(2))
    rows = [
        torch.stack([angle.cos() * across, -angle.sin() * down, shift_x], 1),
        torch.stack([angle.sin() * across, angle.cos() * down, shift_y], 1),
    ]
    return torch.stack(rows, 1)


def thicken(ink_b1ss: Tensor, dice: Dice, options: ViewOptions) -> Tensor:
    """Spread or shrink lines towards the darkest or lightest of the neighbours of each pixel."""
    count = len(ink_b1ss)
    amount = dice.uniform(-0.7, 0.7, count, 1, 1, 1) * dice.chance(options.thickness_share, count)
    darkest, lightest = F.max_pool2d(ink_b1ss, 3, 1, 1), -F.max_pool2d(-ink_b1ss, 3, 1, 1)
    return torch.where(amount > 0, ink_b1ss.lerp(darkest, amount.clamp_min(0)), ink_b1ss.lerp(lightest, -amount))


def blur(ink_b1ss: Tensor, dice: Dice, options: ViewOptions) -> Tensor:
    """A Gaussian of its own width for each view; the least width leaves a view as it is."""
    count, size = len(ink_b1ss), ink_b1ss.shape[-1]
    drawn = dice.uniform(*options.blur, count, 1, 1, 1)
    sigma = torch.where(dice.chance(options.blur_share, count) > 0, drawn, options.blur[0])
    reach = torch.arange(-BLUR_REACH, BLUR_REACH + 1, device=ink_b1ss.device)
    kernel = torch.exp(-reach.square() / (2 * sigma.square()))
    kernel = kernel / kernel.sum(dim=-1, keepdim=True)  # (B, 1, 1, 7)
    views = ink_b1ss.view(1, count, size, size)
    views = F.conv2d(views, kernel, padding=(0, BLUR_REACH), groups=count)
    return F.conv2d(views, kernel.mT, padding=(BLUR_REACH, 0), groups=count).view(count, 1, size, size)


def fade(ink_b1ss: Tensor, dice: Dice, options: ViewOptions) -> Tensor:
    """Lighten the ink of a part of the page, change the contrast, and shade the paper."""
    count, size = len(ink_b1ss), ink_b1ss.shape[-1]
    lost = options.fade * dice.chance(options.fade_share, count) * draw_smooth(count, size, dice)
    contrast = dice.uniform(*options.contrast, count, 1, 1, 1)
    shade = dice.uniform(0, options.shade, count, 1, 1, 1) * draw_smooth(count, size, dice)
    return ink_b1ss * (1 - lost) * contrast + shade


def draw_smooth(count: int, size: int, dice: Dice) -> Tensor:
    """(count, 1, S, S) in 0..1, without sharp changes."""
    coarse = dice.uniform(0, 1, count, 1, COARSE, COARSE)
    return F.interpolate(coarse, size=size, mode="bilinear", align_corners=True)


def erase(ink_b1ss: Tensor, dice: Dice, options: ViewOptions) -> Tensor:
    """Cover a rectangle with white paper (random erasing, Zhong et al. 2020)."""
    count, size = len(ink_b1ss), ink_b1ss.shape[-1]
    middle = (torch.arange(size, device=ink_b1ss.device) + 0.5) / size
    inside = []
    for axis in ((1, 1, 1, size), (1, 1, size, 1)):
        length = dice.uniform(*options.erased, count, 1, 1, 1)
        start = dice.uniform(0, 1, count, 1, 1, 1) * (1 - length)
        place = middle.view(axis)
        inside.append((place >= start) & (place < start + length))
    chosen = dice.chance(options.erase_share, count) > 0
    return ink_b1ss.masked_fill(inside[0] & inside[1] & chosen, 0.0)


def add_noise(ink_b1ss: Tensor, dice: Dice, options: ViewOptions) -> Tensor:
    """The grain of a scanner."""
    count, size = len(ink_b1ss), ink_b1ss.shape[-1]
    spread = dice.uniform(0, options.noise, count, 1, 1, 1) * dice.chance(options.noise_share, count)
    return ink_b1ss + spread * dice.normal(count, 1, size, size)


def compress(ink_b1ss: Tensor, dice: Dice, options: ViewOptions) -> Tensor:
    """Round the frequencies of 8 x 8 blocks of some views, as JPEG does."""
    count, size = len(ink_b1ss), ink_b1ss.shape[-1]
    factor = dice.uniform(*options.blocks, count, 1, 1, 1, 1)
    chosen = dice.chance(options.blocks_share, count).flatten() > 0
    if not chosen.any():
        return ink_b1ss
    cosines, along = build_cosines().to(ink_b1ss.device), size // BLOCK
    blocks = ink_b1ss[chosen].view(-1, along, BLOCK, along, BLOCK).transpose(2, 3)
    steps = factor[chosen] * torch.tensor(JPEG_STEPS, device=ink_b1ss.device).view(BLOCK, BLOCK) / 255
    rounded = (cosines @ blocks @ cosines.T / steps).round() * steps
    compressed = ink_b1ss.clone()
    compressed[chosen] = (cosines.T @ rounded @ cosines).transpose(2, 3).reshape(-1, 1, size, size)
    return compressed


def build_cosines() -> Tensor:
    """(8, 8): the orthonormal discrete cosine transform (DCT-II), a frequency a row."""
    places = torch.arange(BLOCK)
    rows = torch.cos(math.pi / BLOCK * (places + 0.5) * places[:, None]) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return rows
