"""Trains the image tower: drawings of every artist to the prototypes of their concepts.

B batch · N concepts · D dimensions · S view size
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.training.augment import Augmentation, random_views
from clip_vectorizer.training.contrastive import WeightAverage, build_optimizer, learning_rate
from clip_vectorizer.training.drawing_store import ArtSet
from clip_vectorizer.training.towers import MEAN, STD

STYLE_SHARES = {"drawn": 0.5, "inked": 0.38, "lines": 0.12}  # line art has no colours: more of it reduces colour recall
PULL = 2.0  # weight of 1 - cosine beside the cross-entropy
SMOOTHING = 0.05  # of the targets: some art sets draw two concepts alike
SAVE_EVERY = 100  # steps
LOG_EVERY = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ImageStage:
    """Hyperparameters."""

    steps: int
    peak: float = 2e-3
    batch: int = 256  # distinct concepts
    warmup: int = 100
    weight_decay: float = 0.05
    average: float = 0.995
    scale: float = 30.0  # of cosines in the cross-entropy
    sizes: tuple[int, int] = (48, 64)  # of the views: small ones first
    small_share: float = 0.5  # of the steps are on small views
    seed: int = 7


class DrawingSampler:
    """Random drawings of chosen concepts: any artist who drew it, any style."""

    def __init__(self, sets: Sequence[ArtSet], concepts: int) -> None:
        self._sets = sets
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(concepts)]
        for number, art in enumerate(sets):
            for row, owner in enumerate(art.owners_m.tolist()):
                self._places[owner].append((number, row))

    def sample(self, concepts_b: Sequence[int]) -> Tensor:
        """Return (B, 4, H, H) uint8."""
        styles = random.choices(list(STYLE_SHARES), weights=list(STYLE_SHARES.values()), k=len(concepts_b))
        places = [random.choice(self._places[concept]) for concept in concepts_b]
        return torch.stack(
            [self._sets[number].styles[style][row] for (number, row), style in zip(places, styles, strict=True)]
        )


def train_image_tower(
    tower: nn.Module,
    sampler: DrawingSampler,
    prototypes_nd: Tensor,
    stage: ImageStage,
    checkpoint: Path,
    report: Callable[[int, nn.Module], None] = lambda step, tower: None,
) -> dict[str, Tensor]:
    """Return averaged weights. Continues from `checkpoint` where one is; `report` is called at each checkpoint."""
    optimizer, average = build_optimizer(tower, stage.peak, stage.weight_decay), WeightAverage(tower, stage.average)
    first = restore(checkpoint, tower, optimizer, average) if checkpoint.exists() else 0
    torch.manual_seed(stage.seed + first)
    random.seed(stage.seed + first)
    started, recent = time.monotonic(), 0.0
    for step in range(first, stage.steps):
        tower.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage.steps, stage.warmup, stage.peak)
        chosen = random.sample(range(len(prototypes_nd)), stage.batch)
        size = stage.sizes[step >= stage.small_share * stage.steps]
        loss = prototype_loss(tower, random_views(sampler.sample(chosen), size, Augmentation()), prototypes_nd, chosen, stage)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        average.update(tower, step)
        recent += loss.item()
        if (step + 1) % LOG_EVERY == 0:
            pace = (time.monotonic() - started) / (step + 1 - first)
            log.info("image tower step %d/%d loss %.3f, %.2f s a step", step + 1, stage.steps, recent / LOG_EVERY, pace)
            recent = 0.0
        if (step + 1) % SAVE_EVERY == 0:
            save(checkpoint, tower, optimizer, average, step + 1)
            report(step + 1, tower)
    return average.state


def prototype_loss(
    tower: nn.Module, views_b3ss: Tensor, prototypes_nd: Tensor, chosen: Sequence[int], stage: ImageStage
) -> Tensor:
    """Return cross-entropy over all prototypes, and the distance to the right one."""
    pixels = ((views_b3ss - MEAN) / STD).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        raw = tower(pixels)
    cosines = F.normalize(raw.float(), dim=-1) @ prototypes_nd.T
    target = torch.tensor(chosen)
    right = cosines.gather(1, target[:, None]).mean()
    return F.cross_entropy(stage.scale * cosines, target, label_smoothing=SMOOTHING) + PULL * (1 - right)


def save(
    file: Path, tower: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage, step: int
) -> None:
    draft = file.with_suffix(".draft")
    state = {"tower": tower.state_dict(), "optimizer": optimizer.state_dict(), "average": average.state, "step": step}
    torch.save(state, draft)
    draft.replace(file)


def restore(file: Path, tower: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage) -> int:
    """Return the number of steps that were done."""
    state = torch.load(file, weights_only=True)
    tower.load_state_dict(state["tower"])
    optimizer.load_state_dict(state["optimizer"])
    average.state = state["average"]
    return int(state["step"])
