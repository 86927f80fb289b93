"""What a step of the head learns from: a batch of scenes, the places that answer, and phrases that are there or not.

B scenes · L places · K places that answer for a thing · P phrases · N concepts · D dimensions
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.models.grounding.network import STRIDE, RegionNetwork
from clip_vectorizer.training.grounding.losses import (
    align_loss,
    measure_overlaps,
    naming_loss_of_places,
    objectness_loss,
)
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import LossWeights, ScenePlan
from clip_vectorizer.training.grounding.scene_art import SceneArt, resize_drawing
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene
from clip_vectorizer.training.grounding.targets import NOTHING, SceneTargets, assign_places
from clip_vectorizer.training.tower_training import StepLoss
from clip_vectorizer.training.towers import IMAGE_SIZE, MEAN, STD
from clip_vectorizer.vectors import Pixels

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
    def numbers_bl(self) -> Tensor:
        """Return the thing of each place, counted through all scenes, or NOTHING."""
        firsts = np.cumsum([0, *(len(scene.concepts) for scene in self.scenes)])[:-1]
        moved = self.things_bl + torch.from_numpy(firsts)[:, None]
        return torch.where(self.things_bl == NOTHING, NOTHING, moved)

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
    return normalise_pixels(np.stack([np.asarray(scene.image) for scene in scenes]))


def normalise_pixels(pixels_nhw3: Pixels) -> Tensor:
    """Return (N, 3, h, w); the channels stay last in memory, as convolutions like it."""
    return (torch.from_numpy(pixels_nhw3).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD


def view_drawings(scenes: Sequence[Scene]) -> Tensor:
    """Return (N, 3, S, S) normalised views of all things of all scenes: alone and on white."""
    views = [view_drawing(drawing) for scene in scenes for drawing in scene.drawings]
    return normalise_pixels(np.stack([np.asarray(view) for view in views]))


def view_drawing(drawing: Image.Image) -> Image.Image:
    sized = resize_drawing(drawing, IMAGE_SIZE)
    view = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), "white")
    view.paste(sized, ((IMAGE_SIZE - sized.width) // 2, (IMAGE_SIZE - sized.height) // 2), sized)
    return view


def embed_drawings(tower: nn.Module, views_n3ss: Tensor) -> Tensor:
    """Return (N, D) unit rows."""
    with torch.autocast("cpu", torch.bfloat16):
        rows: Tensor = tower(views_n3ss)
    return F.normalize(rows.float(), dim=-1)


def compute_lesson(
    network: RegionNetwork,
    tower: nn.Module,
    batch: SceneBatch,
    phrases: PhraseVectors,
    absent: int,
    weights: LossWeights,
    rng: random.Random,
) -> StepLoss:
    """Return the loss of a batch. `tower`: the frozen image tower; `absent`: concepts beside those of the batch."""
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
    with torch.inference_mode():
        drawn_nd = embed_drawings(tower, view_drawings(batch.scenes))
    imitated_kd = drawn_nd.clone()[batch.numbers_bl[answers_bl]]
    return weigh(
        {
            "align": align_loss(network.compare(cosines_blp), truth_blp, count),
            "naming": named,
            "imitation": (1 - (maps.vectors_bld[answers_bl] * imitated_kd).sum(-1)).mean(),
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
