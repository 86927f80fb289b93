import pytest
import torch
from torch import Tensor

from clip_vectorizer.training.augment import Augmentation, random_views

SIZE = 24
STILL = Augmentation(
    degrees=0, scale=(1, 1), shift=0, stretch=0, warp=0, saturation=(1, 1), hue_degrees=0, brightness=0,
    grey_share=0, white_share=1, texture_share=0, neighbour_share=0, coarse_share=0,
)  # fmt: skip


def replace(**changes: object) -> Augmentation:
    values = {name: getattr(STILL, name) for name in Augmentation.__dataclass_fields__}
    return Augmentation(**{**values, **changes})


def draw_views(augmentation: Augmentation, seed: int = 0) -> Tensor:
    """Views of eight red, green and blue discs on transparent ground."""
    torch.manual_seed(seed)
    across = torch.linspace(-1, 1, 32)
    disc = (across.square() + across[:, None].square() < 0.4).to(torch.uint8) * 255
    drawings = torch.zeros(8, 4, 32, 32, dtype=torch.uint8)
    drawings[:, 3] = disc
    for row in range(8):
        drawings[row, row % 3] = disc
    return random_views(drawings, SIZE, augmentation)


def test_without_changes_a_view_is_the_drawing_on_white() -> None:
    views = draw_views(STILL)
    middle = views[:, :, SIZE // 2, SIZE // 2]
    torch.testing.assert_close(middle[:3], torch.eye(3))
    torch.testing.assert_close(views[:, :, 0, 0], torch.ones(8, 3))


@pytest.mark.parametrize(
    "augmentation",
    [
        replace(warp=0.1),
        replace(neighbour_share=1.0),
        replace(texture_share=1.0),
        replace(coarse_share=1.0),
        replace(white_share=0.0),
        replace(degrees=20, scale=(0.5, 0.9), shift=0.1),
        replace(hue_degrees=30, saturation=(0.3, 0.5)),
        Augmentation(),
    ],
    ids=["warp", "neighbours", "textures", "coarse", "grounds", "placement", "colours", "all"],
)
def test_each_change_alters_pixels_and_neither_shape_nor_range(augmentation: Augmentation) -> None:
    still, views = draw_views(STILL), draw_views(augmentation)
    assert views.shape == still.shape == (8, 3, SIZE, SIZE)
    assert views.dtype == torch.float32
    assert views.min() >= 0 and views.max() <= 1
    assert (views - still).abs().amax(dim=(1, 2, 3)).min() > 0.02


def test_a_warp_moves_the_outline_and_keeps_colours() -> None:
    views = draw_views(replace(warp=0.1))
    torch.testing.assert_close(views[:, :, 0, 0], torch.ones(8, 3))  # the ground stays white
    torch.testing.assert_close(views[:3, :, SIZE // 2, SIZE // 2], torch.eye(3), rtol=0, atol=0.05)


def test_a_neighbour_is_the_drawing_before_it_in_a_corner() -> None:
    views = draw_views(replace(neighbour_share=1.0))
    changed = (views - draw_views(STILL)).abs().sum(1) > 0.5
    assert not changed[:, 8:16, 8:16].any()
    assert changed.flatten(1).sum(1).min() > 5
    blue = views[3].permute(1, 2, 0)[changed[3]]  # the drawing before the fourth is the third, which is blue
    assert (blue[:, 2] > blue[:, 0]).all()


def test_shares_are_of_the_views() -> None:
    views = torch.cat([draw_views(replace(neighbour_share=0.25), seed) for seed in range(40)])
    still = draw_views(STILL).repeat(40, 1, 1, 1)
    assert 0.17 < (views - still).abs().amax(dim=(1, 2, 3)).gt(0.1).float().mean() < 0.33


def test_views_are_the_same_for_a_seed() -> None:
    assert draw_views(Augmentation(), 3).equal(draw_views(Augmentation(), 3))
    assert not draw_views(Augmentation(), 3).equal(draw_views(Augmentation(), 4))
