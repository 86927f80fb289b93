"""The loop that trains a tower: learning rate, averaged weights, checkpoints, log."""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from clip_vectorizer.training.contrastive import WeightAverage, build_optimizer, learning_rate

LOG_EVERY = 50  # steps
LONGEST_GRADIENT = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TowerStage:
    """Hyperparameters that both towers have."""

    steps: int
    peak: float = 2e-3  # highest learning rate
    warmup: int = 100  # steps
    weight_decay: float = 0.05
    average: float = 0.995  # decay of the averaged weights
    seed: int = 7
    checkpoint_steps: int = 100  # steps between checkpoints


@dataclass(frozen=True, slots=True)
class StepLoss:
    """The loss of one step, and its parts, which are logged by name."""

    total: Tensor
    parts: Mapping[str, Tensor]


def train_tower(
    name: str,
    model: nn.Module,
    stage: TowerStage,
    checkpoint: Path,
    compute_loss: Callable[[int, random.Random], StepLoss],
) -> dict[str, Tensor]:
    """Return averaged weights of the model. Continues from the file `checkpoint` where there is one.

    `compute_loss` maps the number of a step to its loss; whatever it draws comes from the generator, or from torch's.
    """
    optimizer, average = build_optimizer(model, stage.peak, stage.weight_decay), WeightAverage(model, stage.average)
    first = restore_checkpoint(checkpoint, model, optimizer, average) if checkpoint.exists() else 0
    torch.manual_seed(stage.seed + first)
    rng, losses = random.Random(stage.seed + first), LossLog(name, first, stage.steps)
    model.train()
    for step in range(first, stage.steps):
        set_learning_rate(optimizer, learning_rate(step, stage.steps, stage.warmup, stage.peak))
        loss = compute_loss(step, rng)
        descend(model, optimizer, loss.total)
        average.update(model, step)
        losses.add(step, loss.parts)
        if (step + 1) % stage.checkpoint_steps == 0:
            save_checkpoint(checkpoint, model, optimizer, average, step + 1)
    return average.state


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def descend(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), LONGEST_GRADIENT)
    optimizer.step()


class LossLog:
    """Logs the mean of each part of the loss, and the time of a step."""

    def __init__(self, name: str, first: int, steps: int) -> None:
        self._name, self._first, self._steps = name, first, steps
        self._started = time.monotonic()
        self._recent: list[Mapping[str, float]] = []

    def add(self, step: int, parts: Mapping[str, Tensor]) -> None:
        self._recent.append({part: value.item() for part, value in parts.items()})
        if (step + 1) % LOG_EVERY == 0:
            pace = (time.monotonic() - self._started) / (step + 1 - self._first)
            means = ", ".join(f"{part} {self._compute_mean(part):.3f}" for part in parts)
            log.info("%s step %d/%d: %s, %.2f s a step", self._name, step + 1, self._steps, means, pace)
            self._recent.clear()

    def _compute_mean(self, part: str) -> float:
        return sum(each[part] for each in self._recent) / len(self._recent)


def save_checkpoint(
    file: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage, step: int
) -> None:
    """Replace the file at once: a kill leaves the old one or the new one."""
    draft = file.with_suffix(".draft")
    state = {"tower": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average.state, "step": step}
    torch.save(state, draft)
    draft.replace(file)


def restore_checkpoint(file: Path, model: nn.Module, optimizer: torch.optim.Optimizer, average: WeightAverage) -> int:
    """Return the number of steps that were done."""
    state = torch.load(file, weights_only=True)
    model.load_state_dict(state["tower"])
    optimizer.load_state_dict(state["optimizer"])
    average.state = state["average"]
    return int(state["step"])
