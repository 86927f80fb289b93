"""Views of pages: where ink goes, what never changes, and that a seed decides all."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clip_vectorizer.training.simclr.views import JPEG_STEPS, Dice, ViewOptions, build_cosines, draw_views

SIZE = 96
# Nothing at all: the whole page, upright.
PLAIN = ViewOptions(
    area=(1.0, 1.0),
    stretch=0,
    degrees=0,
    contrast=(1.0, 1.0),
    shade=0,
    **{field.name: 0.0 for field in fields(ViewOptions) if field.name.endswith("_share")},
)


def corner_page(count: int = 1, side: int = 144) -> Tensor:
    """White, with a black box at the lower right: a title block."""
    pages = torch.full((count, side, side), 255, dtype=torch.uint8)
    pages[:, side - 36 : side - 12, side - 60 : side - 12] = 0
    return pages


def view(pages: Tensor, seed: int = 1, **changes: Any) -> Tensor:
    return draw_views(pages, SIZE, Dice(seed), replace(PLAIN, **changes))


def middle(views_b1ss: Tensor) -> tuple[float, float]:
    """Of the ink of the first view: x and y as shares."""
    ink = 1 - views_b1ss[0, 0]
    places = (torch.arange(SIZE) + 0.5) / SIZE
    return float((ink.sum(0) * places).sum() / ink.sum()), float((ink.sum(1) * places).sum() / ink.sum())


def test_without_any_change_a_view_is_the_page_scaled() -> None:
    found = view(corner_page())
    assert found.shape == (1, 1, SIZE, SIZE) and found.dtype == torch.float32
    assert middle(found) == pytest.approx((108 / 144, 120 / 144), abs=0.005)
    assert (1 - found).sum().item() == pytest.approx(24 * 48 * (SIZE / 144) ** 2, rel=0.03)


def test_a_block_at_the_lower_right_is_never_mirrored() -> None:
    """Views without quarter turns and of the whole page keep it there, whatever else changes."""
    usual = replace(ViewOptions(), area=(0.9, 1.0), quarter_share=0.0, erase_share=0.0, shade=0.0, noise_share=0.0)
    for seed in range(40):
        x, y = middle(draw_views(corner_page(), SIZE, Dice(seed), usual))
        assert x > 0.6 and y > 0.65, seed


def test_quarters_turn_a_page_and_do_not_mirror_it() -> None:
    seen = {tuple(round(each) for each in middle(view(corner_page(), seed, quarter_share=1.0))) for seed in range(30)}
    assert seen == {(0, 0), (0, 1), (1, 0)}  # never where it was: that is no turn


def test_a_crop_keeps_its_share_of_the_page() -> None:
    """A grid of lines every 12 pixels shows how much of the page a view has."""
    lines = torch.full((200, 144, 144), 255, dtype=torch.uint8)
    lines[:, :, ::12] = 0
    found = view(lines, area=(0.3, 1.0))
    ink = (1 - found[:, 0, SIZE // 2]).gt(0.2).int()
    counts = ((ink[:, 1:] - ink[:, :-1]) == 1).sum(1).float() / 12
    assert counts.min() >= 0.4 and counts.max() <= 1.1 and counts.std() > 0.1


def test_thicker_lines_have_more_ink_and_thinner_ones_less() -> None:
    lines = torch.full((60, 144, 144), 255, dtype=torch.uint8)
    lines[:, ::24] = 0
    before, after = (1 - view(lines)).sum((1, 2, 3)), (1 - view(lines, thickness_share=1.0)).sum((1, 2, 3))
    assert (after > 1.2 * before).any() and (after < 0.8 * before).any()


def test_a_blur_keeps_the_ink_and_spreads_it() -> None:
    sharp, soft = view(corner_page()), view(corner_page(), blur_share=1.0, blur=(1.0, 1.0))
    assert (1 - soft).sum().item() == pytest.approx((1 - sharp).sum().item(), rel=1e-3)
    assert (soft - sharp).abs().max() > 0.2


def test_a_fade_takes_ink_and_leaves_the_paper() -> None:
    faded = view(corner_page(), fade_share=1.0, fade=0.5)
    assert faded.min() > 0.02 and faded[0, 0, :40].min() == 1


def test_erased_parts_are_white() -> None:
    black = torch.zeros(50, 144, 144, dtype=torch.uint8)
    white = (view(black, erase_share=1.0)[:, :, 2:-2, 2:-2] == 1).float().mean((1, 2, 3))
    assert white.min() >= 0.1**2 and white.max() <= 0.45**2


def test_jpeg_leaves_flat_blocks_and_rounds_lines() -> None:
    pages = corner_page(20)
    pages[:, 100:102, 72:] = 0
    found, plain = view(pages, blocks_share=1.0), view(pages)
    assert (found - plain).abs().max() > 0.03
    assert (found - plain)[:, :, :48, :48].abs().max() < 1e-6
    assert torch.allclose(build_cosines() @ build_cosines().T, torch.eye(8), atol=1e-6)
    assert len(JPEG_STEPS) == 64 and sum(JPEG_STEPS) == 3688


def test_views_are_grey_levels_of_all_shares_and_follow_from_the_seed() -> None:
    pages = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (16, 144, 144), np.uint8))
    first, again, other = (draw_views(pages, SIZE, Dice(seed)) for seed in (5, 5, 6))
    assert first.min() >= 0 and first.max() <= 1 and torch.isfinite(first).all()
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_the_global_random_numbers_are_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    draw_views(corner_page(), SIZE, Dice(2))
    assert torch.equal(torch.rand(3), expected)
