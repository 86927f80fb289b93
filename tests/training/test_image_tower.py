import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.drawing_store import ArtSet
from clip_vectorizer.training.image_tower import (
    STYLE_SHARES,
    DrawingSampler,
    ImageStage,
    prototype_loss,
    train_image_tower,
)

SIDE = 8


def paint(name: str, owners: list[int]) -> ArtSet:
    """Drawings of one grey each: ten times the concept, plus the place of the style."""
    greys = torch.tensor(owners, dtype=torch.uint8)[:, None, None, None] * 10
    styles = {style: greys.expand(-1, 4, SIDE, SIDE) + place for place, style in enumerate(STYLE_SHARES)}
    return ArtSet(name, torch.tensor(owners), styles)


def test_a_sample_shows_the_chosen_concepts_in_all_styles() -> None:
    sampler, rng = DrawingSampler([paint("first", [0, 1, 2]), paint("second", [2, 0])], 3), random.Random(1)
    drawn = torch.stack([sampler.sample([2, 0, 1], rng)[:, 0, 0, 0] for _ in range(200)])
    assert {tuple(row) for row in (drawn // 10).tolist()} == {(2, 0, 1)}
    shares = torch.bincount((drawn % 10).flatten().long()) / drawn.numel()
    torch.testing.assert_close(shares, torch.tensor(list(STYLE_SHARES.values())), rtol=0, atol=0.07)


def test_a_concept_without_a_drawing_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="1 of 3 concepts have no drawing in first: add an art set"):
        DrawingSampler([paint("first", [0, 2])], 3)


def test_the_loss_is_least_at_the_right_prototype() -> None:
    prototypes = torch.eye(4)
    cosines = prototypes @ prototypes.T
    assert prototype_loss(cosines, torch.arange(4), 30) < prototype_loss(cosines, torch.tensor([1, 0, 3, 2]), 30) / 10


def test_a_tower_learns_the_prototypes_on_small_views_and_then_on_large_ones(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tower = SizeRecorder()
    sampler = DrawingSampler([paint("first", [0, 1, 2, 3])], 4)
    stage = ImageStage(steps=30, peak=0.02, batch=4, warmup=2, average=0.5, sizes=(8, 12))
    prototypes = F.normalize(torch.randn(4, 6), dim=1)
    state = train_image_tower(tower, sampler, prototypes, stage, tmp_path / "image.checkpoint")
    assert tower.sizes == [8] * 15 + [12] * 15
    assert state.keys() == tower.state_dict().keys()
    assert not state["head.weight"].equal(tower.first)


class SizeRecorder(nn.Module):
    """A linear tower over the mean colour, which records the sizes of its views."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 6)
        self.first = self.head.weight.detach().clone()
        self.sizes: list[int] = []

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        self.sizes.append(pixels.shape[-1])
        rows: torch.Tensor = self.head(pixels.mean(dim=(2, 3)))
        return rows
