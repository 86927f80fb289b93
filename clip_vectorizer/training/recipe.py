"""The two stages of the emoji model: a convolutional teacher learns from captions, a transformer learns from the teacher."""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from open_clip.model import CLIP
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.training.augment import Augmentation, random_views
from clip_vectorizer.training.captions import chinese_caption, english_caption, token_ids
from clip_vectorizer.training.contrastive import (
    MAX_LOGIT_SCALE,
    Average,
    NameBank,
    adamw,
    contrastive_loss,
    learning_rate,
)
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.towers import IMAGE_SIZE, image_vectors, text_vectors

STYLE_SHARES = {"drawn": 0.5, "inked": 0.38, "lines": 0.12}  # line art has no colours: too much of it unlearns them
LOG_EVERY = 50  # steps


@dataclass(frozen=True, slots=True)
class Stage:
    """How long and how fast one stage learns."""

    steps: int
    peak: float  # highest learning rate
    batch: int = 256  # distinct concepts: no drawing is ever a false negative of another
    warmup: int = 100
    weight_decay: float = 0.05
    average: float = 0.995
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Drawings:
    """All training art: (A, N, 4, H, H) uint8 for each style; A art sets, N concepts."""

    concepts: Sequence[Concept]
    styles: dict[str, Tensor]

    def sample(self, chosen_b: Tensor) -> Tensor:
        """(B, 4, H, H): one random art set and style for each chosen concept."""
        arts = torch.randint(len(self.styles["drawn"]), (len(chosen_b),))
        names = random.choices(list(STYLE_SHARES), weights=list(STYLE_SHARES.values()), k=len(chosen_b))
        picked = zip(names, arts.tolist(), chosen_b.tolist(), strict=True)
        return torch.stack([self.styles[style][art, index] for style, art, index in picked])


def train_teacher(model: CLIP, drawings: Drawings, tokenizer: Tokenizer, stage: Stage) -> Average:
    """Both towers by contrastive learning, each drawing with an English and a Chinese caption."""
    banks = [NameBank(len(drawings.concepts), model.text_projection.shape[1]) for _ in range(2)]
    rng = random.Random(stage.seed)

    def loss_of(chosen_b: Tensor) -> Tensor:
        images = image_vectors(model, random_views(drawings.sample(chosen_b), IMAGE_SIZE, Augmentation()))
        concepts = [drawings.concepts[index] for index in chosen_b.tolist()]
        captions = [english_caption(item, rng) for item in concepts] + [chinese_caption(item, rng) for item in concepts]
        texts = text_vectors(model, token_ids(tokenizer, captions)).chunk(2)
        scale = model.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
        losses = [contrastive_loss(images, words, bank.others(chosen_b), scale) for words, bank in zip(texts, banks, strict=True)]
        for words, bank in zip(texts, banks, strict=True):
            bank.store(chosen_b, words)
        return (losses[0] + losses[1]) / 2

    return run("teacher", model, len(drawings.concepts), stage, loss_of)


def distil(student: CLIP, teacher: CLIP, drawings: Drawings, names: Sequence[Tensor], stage: Stage) -> Average:
    """The student's image vectors follow the teacher's on the same views; `names`: (N, D) frozen name vectors a language."""

    def loss_of(chosen_b: Tensor) -> Tensor:
        views = random_views(drawings.sample(chosen_b), IMAGE_SIZE, Augmentation())
        with torch.no_grad():
            targets = image_vectors(teacher, views)
        images = image_vectors(student, views)
        apart = (1 - (images * targets).sum(-1)).mean()
        scale = student.logit_scale.exp()
        others = torch.ones(len(drawings.concepts), dtype=torch.bool).scatter(0, chosen_b, False)
        named = sum((contrastive_loss(images, words[chosen_b], words[others], scale) for words in names), torch.zeros(()))
        return 4 * apart + 0.3 * named / len(names)

    return run("student", student, len(drawings.concepts), stage, loss_of)


def run(name: str, model: CLIP, concepts: int, stage: Stage, loss_of: "LossOf") -> Average:
    """The loop both stages share; returns the averaged weights."""
    torch.manual_seed(stage.seed)
    random.seed(stage.seed)
    optimizer, average = adamw(model, stage.peak, stage.weight_decay), Average(model, stage.average)
    started, recent = time.monotonic(), 0.0
    model.train()
    for step, chosen_b in enumerate(batches(concepts, stage)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, stage.steps, stage.warmup, stage.peak)
        loss = loss_of(chosen_b)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update(model, step)
        recent += loss.item()
        if (step + 1) % LOG_EVERY == 0:
            seconds = time.monotonic() - started
            print(f"{name} step {step + 1}/{stage.steps} loss {recent / LOG_EVERY:.3f} {seconds / (step + 1):.2f} s a step", file=sys.stderr, flush=True)
            recent = 0.0
    return average


def batches(concepts: int, stage: Stage) -> Iterator[Tensor]:
    """`stage.steps` batches of distinct concepts, every concept equally often."""
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(stage.steps):
        if len(order) < stage.batch:
            rest = torch.randperm(concepts)
            order = torch.cat([order, rest[~torch.isin(rest, order)]]) if len(order) else rest
        yield order[: stage.batch]
        order = order[stage.batch :]
