"""Trains the text tower: texts in general to the projection of their e5 vectors, texts about concepts to prototypes.

B batch · N concepts · D dimensions
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.model import CLIP
from tokenizers import Tokenizer
from torch import Tensor, nn

from clip_vectorizer.training.captions import encode_token_ids
from clip_vectorizer.training.concept_texts import ConceptTexts
from clip_vectorizer.training.contrastive import WeightAverage, build_optimizer, learning_rate
from clip_vectorizer.training.image_tower import restore, save
from clip_vectorizer.training.towers import embed_token_ids

IMITATION = 6.0  # weight of 1 - cosine to e5's projection beside the cross-entropy
SAVE_EVERY = 100  # steps
LOG_EVERY = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TextStage:
    """Hyperparameters."""

    steps: int
    peak: float = 1.5e-3
    general: int = 256  # texts of each step with e5's vectors
    owned: int = 256  # texts of each step with the concepts that they fit
    warmup: int = 100
    weight_decay: float = 0.02
    average: float = 0.995
    scale: float = 20.0
    seed: int = 7


def train_text_tower(
    model: CLIP,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    targets_td: Tensor,
    owned: ConceptTexts,
    prototypes_nd: Tensor,
    stage: TextStage,
    checkpoint: Path,
    report: Callable[[int, CLIP], None] = lambda step, model: None,
) -> dict[str, Tensor]:
    """Return averaged weights of the model; its image tower is left alone. Continues from `checkpoint`."""
    optimizer, average = build_optimizer(model, stage.peak, stage.weight_decay), WeightAverage(model, stage.average)
    first = restore(checkpoint, model, optimizer, average) if checkpoint.exists() else 0
    torch.manual_seed(stage.seed + first)
    rng = random.Random(stage.seed + first)
    started, recent = time.monotonic(), torch.zeros(2)
    for step in range(first, stage.steps):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage.steps, stage.warmup, stage.peak)
        rows = torch.randint(len(texts), (stage.general,))
        drawn = [owned.draw(concept, rng) for concept in rng.sample(range(len(prototypes_nd)), stage.owned)]
        asked = [*(texts[row] for row in rows.tolist()), *(item.text for item in drawn)]
        with torch.autocast("cpu", torch.bfloat16):
            vectors = embed_token_ids(model, encode_token_ids(tokenizer, asked)).float()
        apart = 1 - (vectors[: stage.general] * targets_td[rows]).sum(-1).mean()
        missed = owners_loss(vectors[stage.general :], [item.owners for item in drawn], prototypes_nd, stage.scale)
        optimizer.zero_grad()
        torch.autograd.backward(IMITATION * apart + missed)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model, step)
        recent += torch.stack([apart.detach(), missed.detach()])
        if (step + 1) % LOG_EVERY == 0:
            pace = (time.monotonic() - started) / (step + 1 - first)
            values = (recent / LOG_EVERY).tolist()
            log.info("text tower step %d/%d: 1 - cos %.3f, concepts %.3f, %.2f s a step", step + 1, stage.steps, *values, pace)
            recent = torch.zeros(2)
        if (step + 1) % SAVE_EVERY == 0:
            save(checkpoint, model, optimizer, average, step + 1)
            report(step + 1, model)
    return average.state


def owners_loss(vectors_bd: Tensor, owners: Sequence[Sequence[int]], prototypes_nd: Tensor, scale: float) -> Tensor:
    """Return the mean cross-entropy over concepts; a text of several counts for each in equal parts."""
    log_shares = (scale * vectors_bd @ prototypes_nd.T).log_softmax(1)
    return -torch.stack([log_shares[row, list(own)].mean() for row, own in enumerate(owners)]).mean()
