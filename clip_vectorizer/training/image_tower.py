"""Trains the image tower: drawings of every artist to the prototypes of their concepts; then the same ones restyled.

B batch · N concepts · D dimensions · H drawing size · S view size
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.augment import Augmentation, random_views
from clip_vectorizer.training.drawing_store import ArtSet
from clip_vectorizer.training.drawings import RESTYLED
from clip_vectorizer.training.tower_training import StepLoss, TowerStage, train_tower
from clip_vectorizer.training.towers import MEAN, STD

STYLES_AT_FIRST = {"drawn": 0.5, "inked": 0.38, "lines": 0.12}  # line art has no colours: more reduces colour recall
RESTYLED_SHARE = 0.6  # of the drawings in the second part
STYLES_THEN = {"drawn": 0.2, "inked": 0.12, "lines": 0.08, **dict.fromkeys(RESTYLED, RESTYLED_SHARE / len(RESTYLED))}
PULL = 2.0  # weight of 1 - cosine beside the cross-entropy
SMOOTHING = 0.05  # of the targets: some art sets draw two concepts alike


@dataclass(frozen=True, slots=True)
class ImageStage(TowerStage):
    """Hyperparameters of the image tower."""

    batch: int = 256  # distinct concepts
    scale: float = 30.0  # of cosines in the cross-entropy
    sizes: tuple[int, int] = (48, 64)  # of the views: small ones first
    small_share: float = 0.5  # of the steps are on small views
    augmentation: Augmentation = field(default_factory=Augmentation)
    styles: Mapping[str, float] = field(default_factory=lambda: STYLES_AT_FIRST)  # share of each style


def plan_second_part(steps: int) -> ImageStage:
    """Return the stage in which the tower, which knows the drawings, learns to know them in any hand."""
    return ImageStage(steps, peak=1.5e-3, styles=STYLES_THEN)


class DrawingSampler:
    """Random drawings of chosen concepts: any artist who drew it, any style."""

    def __init__(self, sets: Sequence[ArtSet], concepts: int) -> None:
        """Raises TrainingDataError where a concept has no drawing."""
        self._sets = sets
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(concepts)]
        for number, art in enumerate(sets):
            for row, owner in enumerate(art.owners_m.tolist()):
                self._places[owner].append((number, row))
        if missing := sum(not places for places in self._places):
            names = ", ".join(art.name for art in sets)
            raise TrainingDataError(f"{missing} of {concepts} concepts have no drawing in {names}: add an art set")

    def sample(self, concepts_b: Sequence[int], shares: Mapping[str, float], rng: random.Random) -> Tensor:
        """Return (B, 4, H, H) uint8 RGBA. `shares`: of each style."""
        styles = rng.choices(list(shares), weights=list(shares.values()), k=len(concepts_b))
        places = [rng.choice(self._places[concept]) for concept in concepts_b]
        return torch.stack(
            [self._sets[number].styles[style][row] for (number, row), style in zip(places, styles, strict=True)]
        )


def train_image_tower(
    tower: nn.Module, sampler: DrawingSampler, prototypes_nd: Tensor, stage: ImageStage, checkpoint: Path
) -> dict[str, Tensor]:
    """Return averaged weights. Continues from the file `checkpoint` where there is one."""

    def compute_loss(step: int, rng: random.Random) -> StepLoss:
        chosen = rng.sample(range(len(prototypes_nd)), stage.batch)
        size = stage.sizes[step >= stage.small_share * stage.steps]
        views = random_views(sampler.sample(chosen, stage.styles, rng), size, stage.augmentation)
        loss = prototype_loss(embed_views(tower, views) @ prototypes_nd.T, torch.tensor(chosen), stage.scale)
        return StepLoss(loss, {"loss": loss})

    return train_tower("image tower", tower, stage, checkpoint, compute_loss)


def embed_views(tower: nn.Module, views_b3ss: Tensor) -> Tensor:
    """Return (B, D) unit rows from views in 0..1."""
    pixels = ((views_b3ss - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        raw: Tensor = tower(pixels)
    return F.normalize(raw.float(), dim=-1)


def prototype_loss(cosines_bn: Tensor, target_b: Tensor, scale: float) -> Tensor:
    """Return cross-entropy over all prototypes, plus the distance to the right one."""
    right = cosines_bn.gather(1, target_b[:, None]).mean()
    return F.cross_entropy(scale * cosines_bn, target_b, label_smoothing=SMOOTHING) + PULL * (1 - right)
