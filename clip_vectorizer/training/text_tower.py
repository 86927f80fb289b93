"""Trains the text tower: texts in general to the projection of their e5 vectors, texts about concepts to prototypes.

T texts · B batch · N concepts · D dimensions
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.model import CLIP
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.training.concept_texts import ConceptTexts
from clip_vectorizer.training.tokenizer import encode_token_ids
from clip_vectorizer.training.tower_training import StepLoss, TowerStage, train_tower
from clip_vectorizer.training.towers import embed_token_ids

IMITATION = 6.0  # weight of 1 - cosine to e5's projection beside the cross-entropy


@dataclass(frozen=True, slots=True)
class TextStage(TowerStage):
    """Hyperparameters of the text tower."""

    peak: float = 1.5e-3
    weight_decay: float = 0.02
    general: int = 256  # texts of each step with e5's vectors; 0: none
    owned: int = 256  # texts of each step with the concepts that they fit
    scale: float = 20.0  # of cosines in the cross-entropy
    naming: float = 0.0  # weight of 1 - cosine of a concept's own texts, such as its names, to its prototype


def plan_naming_part(steps: int) -> TextStage:
    """Return the stage in which names move from their e5 vectors to the prototypes, where the drawings are."""
    return TextStage(steps, peak=1e-3, general=128, owned=384, naming=8.0)


@dataclass(frozen=True, slots=True)
class TextLessons:
    """What the tower learns from."""

    texts: Sequence[str]  # in general
    targets_td: Tensor  # their projected e5 vectors, unit rows
    owned: ConceptTexts
    prototypes_nd: Tensor


def train_text_tower(
    model: CLIP, tokenizer: Tokenizer, lessons: TextLessons, stage: TextStage, checkpoint: Path
) -> dict[str, Tensor]:
    """Return averaged weights of the model; its image tower is left alone.

    Continues from the file `checkpoint` where there is one.
    """

    def compute_loss(step: int, rng: random.Random) -> StepLoss:
        rows = torch.randint(len(lessons.texts), (stage.general,))
        concepts = rng.sample(range(len(lessons.prototypes_nd)), stage.owned)
        drawn = [lessons.owned.draw(concept, rng) for concept in concepts]
        batch = [*(lessons.texts[row] for row in rows.tolist()), *(item.text for item in drawn)]
        with torch.autocast("cpu", torch.bfloat16):
            vectors = embed_token_ids(model, encode_token_ids(tokenizer, batch)).float()
        owned, owners = vectors[stage.general :], [item.owners for item in drawn]
        missed = owners_loss(owned, owners, lessons.prototypes_nd, stage.scale)
        total, parts = missed, {"concepts": missed}
        if stage.general:
            parts["1 - cos"] = 1 - (vectors[: stage.general] * lessons.targets_td[rows]).sum(-1).mean()
            total = total + IMITATION * parts["1 - cos"]
        if stage.naming:
            parts["names"] = naming_loss(owned, owners, lessons.prototypes_nd)
            total = total + stage.naming * parts["names"]
        return StepLoss(total, parts)

    model.visual.requires_grad_(False)
    return train_tower("text tower", model, stage, checkpoint, compute_loss)


def owners_loss(vectors_bd: Tensor, owners: Sequence[Sequence[int]], prototypes_nd: Tensor, scale: float) -> Tensor:
    """Return the mean cross-entropy over concepts; a text of several counts for each in equal parts."""
    log_shares = (scale * vectors_bd @ prototypes_nd.T).log_softmax(1)
    return -torch.stack([log_shares[row, list(own)].mean() for row, own in enumerate(owners)]).mean()


def naming_loss(vectors_bd: Tensor, owners: Sequence[Sequence[int]], prototypes_nd: Tensor) -> Tensor:
    """Return the mean of 1 - cosine to the prototype over texts that fit one concept only; 0 where there is none."""
    rows = [row for row, own in enumerate(owners) if len(own) == 1]
    targets_rd = prototypes_nd[[owners[row][0] for row in rows]]
    return (1 - (vectors_bd[rows] * targets_rd).sum(-1)).sum() / max(1, len(rows))
