import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.drawing_store import ArtSet
from clip_vectorizer.training.drawings import RESTYLED
from clip_vectorizer.training.image_tower import (
    RESTYLED_SHARE,
    STYLES_AT_FIRST,
    STYLES_THEN,
    DrawingSampler,
    ImageStage,
    plan_second_part,
    prototype_loss,
    train_image_tower,
)

SIDE = 8


def paint(name: str, owners: list[int], styles: Iterable[str] = STYLES_AT_FIRST) -> ArtSet:
    """Drawings of one grey each: ten times the concept, plus the place of the style."""
    greys = torch.tensor(owners, dtype=torch.uint8)[:, None, None, None] * 10
    pixels = {style: greys.expand(-1, 4, SIDE, SIDE) + place for place, style in enumerate(styles)}
    return ArtSet(name, torch.tensor(owners), pixels)


@pytest.mark.parametrize("shares", [STYLES_AT_FIRST, STYLES_THEN], ids=["at first", "then"])
def test_a_sample_shows_the_chosen_concepts_in_all_styles(shares: dict[str, float]) -> None:
    sets, rng = [paint("first", [0, 1, 2], shares), paint("second", [2, 0], shares)], random.Random(1)
    drawn = torch.stack([DrawingSampler(sets, 3).sample([2, 0, 1], shares, rng)[:, 0, 0, 0] for _ in range(200)])
    assert {tuple(row) for row in (drawn // 10).tolist()} == {(2, 0, 1)}
    found = torch.bincount((drawn % 10).flatten().long()) / drawn.numel()
    torch.testing.assert_close(found, torch.tensor(list(shares.values())), rtol=0, atol=0.07)


def test_the_shares_of_styles_are_of_all_drawings() -> None:
    assert sum(STYLES_AT_FIRST.values()) == pytest.approx(1)
    assert sum(STYLES_THEN.values()) == pytest.approx(1)
    assert sum(STYLES_THEN[style] for style in RESTYLED) == pytest.approx(RESTYLED_SHARE)


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


def train_second_part(stage: ImageStage, checkpoint: Path) -> "SizeRecorder":
    """A tower after a training of the stage."""
    torch.manual_seed(0)
    tower = SizeRecorder()
    sampler = DrawingSampler([paint("first", [0, 1, 2, 3], STYLES_THEN)], 4)
    train_image_tower(tower, sampler, torch.eye(4, 6), stage, checkpoint)
    return tower


def test_an_interrupted_second_part_continues_from_its_checkpoint(tmp_path: Path) -> None:
    stage = replace(plan_second_part(steps=4), batch=4, warmup=1, sizes=(8, 12), checkpoint_steps=2)
    train_second_part(replace(stage, steps=2), tmp_path / "two")
    assert torch.load(tmp_path / "two", weights_only=True)["step"] == 2
    (tmp_path / "again").write_bytes((tmp_path / "two").read_bytes())
    first, again = (train_second_part(stage, tmp_path / name) for name in ("two", "again"))
    assert first.sizes == again.sizes == [12, 12]  # the second half of four steps
    assert first.head.weight.equal(again.head.weight)


class SizeRecorder(nn.Module):
    """A linear tower over the mean colour, which records the sizes of its views."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 6)
        self.first = self.head.weight.detach().clone()
        self.sizes: list[int] = []

    def forward(self, pixels: Tensor) -> Tensor:
        self.sizes.append(pixels.shape[-1])
        rows: Tensor = self.head(pixels.mean(dim=(2, 3)))
        return rows
