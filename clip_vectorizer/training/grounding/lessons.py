"""What a step of the head learns from: a batch of scenes, the places that answer, and phrases that are there or not.

B scenes · L places · K regions or places · P phrases · N concepts · D dimensions
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clip_vectorizer.models.grounding.comparison import NAMING_SCALE
from clip_vectorizer.models.grounding.network import STRIDE, RegionMaps, RegionNetwork
from clip_vectorizer.training.grounding.losses import (
    align_loss,
    measure_overlaps,
    name_loss,
    objectness_loss,
)
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import LossWeights
from clip_vectorizer.training.grounding.regions import choose_regions
from clip_vectorizer.training.grounding.scenes import Scene
from clip_vectorizer.training.grounding.targets import NOTHING, UNSURE, SceneTargets, assign_places
from clip_vectorizer.training.tower_training import StepLoss
from clip_vectorizer.training.towers import MEAN, STD


@dataclass(frozen=True, slots=True)
class SceneBatch:
    pixels_b3hw: Tensor  # normalised
    scenes: Sequence[Scene]
    targets: Sequence[SceneTargets]

    @property
    def things_bl(self) -> Tensor:
        return torch.stack([each.things_l for each in self.targets])

    @property
    def boxes_bl4(self) -> Tensor:
        return torch.stack([each.boxes_l4 for each in self.targets])

    @property
    def concepts_n(self) -> Tensor:
        """Return the concepts of all things of all scenes."""
        return torch.tensor([concept for scene in self.scenes for concept in scene.concepts])


def make_batch(scenes: Sequence[Scene]) -> SceneBatch:
    """Return scenes of one size with their targets."""
    wide, high = (side // STRIDE for side in scenes[0].image.size)
    targets = [
        assign_places(torch.from_numpy(scene.boxes_n4), torch.from_numpy(scene.unsure_m4), high, wide)
        for scene in scenes
    ]
    return SceneBatch(normalise_scenes(scenes), scenes, targets)


def normalise_scenes(scenes: Sequence[Scene]) -> Tensor:
    """Return (B, 3, h, w); the channels stay last in memory, as convolutions like it."""
    pixels_bhw3 = torch.from_numpy(np.stack([np.asarray(scene.image) for scene in scenes]))
    return (pixels_bhw3.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def compute_lesson(
    network: RegionNetwork,
    batch: SceneBatch,
    phrases: PhraseVectors,
    absent: int,
    weights: LossWeights,
    rng: random.Random,
) -> StepLoss:
    """Return the loss of a batch. `absent`: concepts beside those of the batch."""
    with torch.autocast("cpu", torch.bfloat16):
        maps = network(batch.pixels_b3hw)
        truths, unsure = (
            [torch.from_numpy(getattr(scene, name)) for scene in batch.scenes] for name in ("boxes_n4", "unsure_m4")
        )
        regions = choose_regions(maps, truths, unsure)
        vectors_bkd = network.embed(maps, regions.boxes_bk4)
    named, sure = regions.things_bk >= 0, regions.things_bk != UNSURE
    concepts_bk = torch.where(named, batch.concepts_n[regions.things_bk.clamp(min=0)], NOTHING)
    asked = choose_phrases(batch, phrases.concepts, absent, rng)
    truth_bkp = (concepts_bk[..., None] == torch.tensor(asked)).float()
    logits_bkp = network.compare(vectors_bkd @ phrases.draw(asked, rng).T)
    return weigh(
        {
            "align": align_loss(logits_bkp[sure], truth_bkp[sure], int(named.sum())),
            "naming": name_loss(vectors_bkd[named], phrases.draw_all(rng), concepts_bk[named], NAMING_SCALE),
            **compute_box_losses(maps, batch),
        },
        weights,
    )


def compute_box_losses(maps: RegionMaps, batch: SceneBatch) -> dict[str, Tensor]:
    answers_bl, sure_bl = batch.things_bl >= 0, batch.things_bl != UNSURE
    overlap_k, generalized_k = measure_overlaps(maps.boxes_bl4[answers_bl], batch.boxes_bl4[answers_bl])
    overlaps_bl = torch.zeros_like(maps.objectness_bl)
    overlaps_bl[answers_bl] = overlap_k.detach()
    count = int(answers_bl.sum())
    return {
        "box": (1 - generalized_k).mean(),
        "objectness": objectness_loss(maps.objectness_bl[sure_bl], overlaps_bl[sure_bl], count),
    }


def weigh(parts: Mapping[str, Tensor], weights: LossWeights) -> StepLoss:
    return StepLoss(torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum(), parts)


def choose_phrases(batch: SceneBatch, concepts: int, absent: int, rng: random.Random) -> list[int]:
    """Return distinct concepts: all of the batch, and random others."""
    shown = dict.fromkeys(concept for scene in batch.scenes for concept in scene.concepts)
    return list(shown) + [each for each in rng.sample(range(concepts), min(absent, concepts)) if each not in shown]
