"""What a step of the head learns from: a batch of scenes, the places that answer, and phrases that are there or not.

B scenes · L places · K places that answer for a thing · P phrases · N concepts · D dimensions
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from clip_vectorizer.models.grounding.network import STRIDE, RegionNetwork
from clip_vectorizer.training.grounding.losses import (
    align_loss,
    measure_overlaps,
    naming_loss_of_places,
    objectness_loss,
)
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import LossWeights, ScenePlan
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene
from clip_vectorizer.training.grounding.targets import NOTHING, SceneTargets, assign_places
from clip_vectorizer.training.tower_training import StepLoss
from clip_vectorizer.training.towers import MEAN, STD

SIDES = (160, 192, 192, 224)  # pixels of scenes, width and height each
NAMING_SCALE = 30.0  # of cosines over all names: that of the image tower's training


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
    def concepts_bl(self) -> Tensor:
        """Return the concept of each place, or NOTHING."""
        rows = [
            torch.where(each.things_l == NOTHING, NOTHING, torch.tensor(scene.concepts)[each.things_l.clamp(min=0)])
            for scene, each in zip(self.scenes, self.targets, strict=True)
        ]
        return torch.stack(rows)


def compose_batch(art: SceneArt, plan: ScenePlan, count: int, rng: random.Random) -> SceneBatch:
    """Return scenes of one random size."""
    sized = replace(plan, size=(rng.choice(SIDES), rng.choice(SIDES)))
    scenes = [compose_scene(art, sized, rng) for _ in range(count)]
    high, wide = sized.size[1] // STRIDE, sized.size[0] // STRIDE
    targets = [assign_places(torch.from_numpy(scene.boxes_n4), high, wide) for scene in scenes]
    return SceneBatch(normalise_scenes(scenes), scenes, targets)


def normalise_scenes(scenes: Sequence[Scene]) -> Tensor:
    pixels_bhw3 = torch.from_numpy(np.stack([np.asarray(scene.image) for scene in scenes]))
    return (pixels_bhw3.permute(0, 3, 1, 2).float() / 255 - MEAN) / STD  # channels last in memory, as convolutions like


def compute_lesson(
    network: RegionNetwork,
    batch: SceneBatch,
    phrases: PhraseVectors,
    absent: int,
    weights: LossWeights,
    rng: random.Random,
) -> StepLoss:
    """Return the loss of a batch. `absent`: random concepts that are phrases beside those of the batch."""
    with torch.autocast("cpu", torch.bfloat16):
        maps = network(batch.pixels_b3hw)
    concepts_bl = batch.concepts_bl
    answers_bl = concepts_bl != NOTHING
    count = int(answers_bl.sum())
    overlap_k, generalized_k = measure_overlaps(maps.boxes_bl4[answers_bl], batch.boxes_bl4[answers_bl])
    overlaps_bl = torch.zeros_like(maps.objectness_bl)
    overlaps_bl[answers_bl] = overlap_k.detach()
    asked = choose_phrases(batch, phrases.concepts, absent, rng)
    cosines_blp = maps.vectors_bld @ phrases.draw(asked, rng).T
    truth_blp = (concepts_bl[..., None] == torch.tensor(asked)).float()
    named = naming_loss_of_places(
        maps.vectors_bld[answers_bl], phrases.draw_all(rng), concepts_bl[answers_bl], NAMING_SCALE
    )
    return weigh(
        {
            "align": align_loss(network.compare(cosines_blp), truth_blp, count),
            "naming": named,
            "box": (1 - generalized_k).mean(),
            "objectness": objectness_loss(maps.objectness_bl, overlaps_bl, count),
        },
        weights,
    )


def weigh(parts: Mapping[str, Tensor], weights: LossWeights) -> StepLoss:
    return StepLoss(torch.stack([getattr(weights, name) * part for name, part in parts.items()]).sum(), parts)


def choose_phrases(batch: SceneBatch, concepts: int, absent: int, rng: random.Random) -> list[int]:
    """Return distinct concepts: all of the batch, and random others."""
    shown = dict.fromkeys(concept for scene in batch.scenes for concept in scene.concepts)
    return list(shown) + [each for each in rng.sample(range(concepts), min(absent, concepts)) if each not in shown]
