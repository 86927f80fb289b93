"""The training loop that both stages share, and the order in which concepts come."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from open_clip.model import CLIP
from torch import Tensor

from clip_vectorizer.training.contrastive import WeightAverage, build_optimizer, learning_rate

EASY_SHARE = 0.3  # of the steps draw their concepts at random
HARD_RUN = 8  # neighbours in a batch after that
LOG_EVERY = 50  # steps

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingStage:
    """Hyperparameters of one stage."""

    steps: int
    peak: float  # highest learning rate
    batch: int = 256  # distinct concepts: no drawing is ever a false negative of another
    warmup: int = 100
    weight_decay: float = 0.05
    average: float = 0.995
    seed: int = 7


def run_stage(
    name: str, model: CLIP, concepts: int, stage: TrainingStage, loss_of: Callable[[Tensor], Tensor]
) -> WeightAverage:
    """Train one stage; return the averaged weights."""
    torch.manual_seed(stage.seed)
    random.seed(stage.seed)
    optimizer, average = build_optimizer(model, stage.peak, stage.weight_decay), WeightAverage(model, stage.average)
    started, recent = time.monotonic(), 0.0
    model.train()
    for step, chosen_b in enumerate(draw_batches(concepts, stage)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage.steps, stage.warmup, stage.peak)
        loss = loss_of(chosen_b)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model, step)
        recent += loss.item()
        if (step + 1) % LOG_EVERY == 0:
            pace = (time.monotonic() - started) / (step + 1)
            log.info("%s step %d/%d loss %.3f, %.2f s a step", name, step + 1, stage.steps, recent / LOG_EVERY, pace)
            recent = 0.0
    return average


def draw_batches(concepts: int, stage: TrainingStage) -> Iterator[Tensor]:
    """Yield `stage.steps` batches of distinct concepts.

    Batches consist of runs in the order of Unicode, in which look-alikes are neighbours (clock faces, hearts, a man,
    a woman and a person of the same trade): after the easy part, each batch contains hard negatives.
    """
    for step in range(stage.steps):
        run_length = 1 if step < stage.steps * EASY_SHARE else HARD_RUN
        yield torch.cat(list(shuffle_runs(concepts, run_length)))[: stage.batch]


def shuffle_runs(concepts: int, length: int) -> Iterator[Tensor]:
    """Yield all concepts, cut at a random offset into runs of `length`, the runs in random order."""
    turned = torch.arange(concepts).roll(random.randrange(concepts))
    runs = torch.split(turned, length)
    for index in torch.randperm(len(runs)).tolist():
        yield runs[index]
