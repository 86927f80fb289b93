"""Where the scenes of a training come from: without end, or a pool of which some have captions only.

The pool is for GLIP's experiment of self-training (Li et al. 2022, section 3.3): a head that was trained on scenes with
boxes finds boxes for the phrases of captions, and another head learns from both.

K regions · P phrases
"""

import logging
import random
from collections import Counter
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch

from clip_vectorizer.boxes import BoxArray, overlaps, suppress
from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.training.grounding.lessons import normalise_scenes
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import ScenePlan, SelfTraining
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene, list_shown

SIDES = (160, 192, 192, 224)  # pixels of scenes without end, width and height each
CANDIDATES = 40  # regions of a scene that a teacher compares with the phrases
MOST_OVERLAP = 0.6  # of two of them
ENOUGH = 0.5  # overlap with a true box, below which a label is wrong

log = logging.getLogger(__name__)


class SceneSource(Protocol):
    def draw(self, count: int, rng: random.Random) -> list[Scene]:
        """Return scenes of one size."""


class EndlessScenes:
    """Each scene is a new one."""

    def __init__(self, art: SceneArt, plan: ScenePlan) -> None:
        self._art, self._plan = art, plan

    def draw(self, count: int, rng: random.Random) -> list[Scene]:
        sized = replace(self._plan, size=(rng.choice(SIDES), rng.choice(SIDES)))
        return [compose_scene(self._art, sized, rng) for _ in range(count)]


class Teacher:
    """Finds boxes for the phrases of captions. `labels` counts its labels, `right` and `wrong`."""

    def __init__(self, network: RegionNetwork, phrases: PhraseVectors, threshold: float) -> None:
        self._network, self._phrases, self._threshold = network.eval(), phrases, threshold
        self.labels: Counter[str] = Counter()

    def label(self, scene: Scene, rng: random.Random) -> Scene | None:
        """Return the scene with boxes of its own making, of which the scores reach the threshold; None without any."""
        shown = list_shown(scene)
        boxes_k4, scores_pk = self._compare(scene, shown, rng)
        found = [(concept, int(scores_k.argmax())) for concept, scores_k in zip(shown, scores_pk, strict=True)]
        kept = [(each, box) for (each, box), row in zip(found, scores_pk, strict=True) if row[box] >= self._threshold]
        if not kept:
            return None
        concepts, places = zip(*kept, strict=True)
        taught = replace(scene, boxes_n4=boxes_k4[list(places)], concepts=concepts)
        self._count(scene, taught)
        return taught

    def _compare(self, scene: Scene, concepts: list[int], rng: random.Random) -> tuple[BoxArray, BoxArray]:
        """Return (K, 4) boxes in pixels and (P, K) scores in 0..1: of the phrase, times objectness."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            maps = self._network(normalise_scenes([scene]))
            objectness_l = maps.objectness_bl[0].sigmoid().numpy()
            best = np.argsort(-objectness_l, kind="stable")[: 4 * CANDIDATES]
            boxes_l4 = maps.boxes_bl4[0].numpy().clip(0, np.array([*scene.image.size, *scene.image.size], np.float32))
            kept = best[suppress(boxes_l4[best], objectness_l[best], MOST_OVERLAP)][:CANDIDATES]
            vectors_kd = self._network.embed(maps, torch.from_numpy(boxes_l4[kept])[None])[0]
            logits_pk = self._network.compare(self._phrases.draw(concepts, rng) @ vectors_kd.T)
        return boxes_l4[kept], logits_pk.sigmoid().float().numpy() * objectness_l[kept]

    def _count(self, scene: Scene, taught: Scene) -> None:
        of_concept = np.array(taught.concepts)[:, None] == np.array(scene.concepts)
        right = ((overlaps(taught.boxes_n4, scene.boxes_n4) >= ENOUGH) & of_concept).any(axis=1)
        self.labels.update(right=int(right.sum()), wrong=int((~right).sum()))


class ScenePool:
    """A number of scenes, each from its own seed; boxes are known of the first ones, of the others only captions.

    Without a teacher, the others are left out.
    """

    def __init__(self, art: SceneArt, plan: ScenePlan, pool: SelfTraining, teacher: Teacher | None) -> None:
        self._art, self._plan, self._teacher = art, plan, teacher
        self._labelled = max(1, round(pool.scenes * pool.labels_share))
        self._used = pool.scenes if teacher else self._labelled

    def draw(self, count: int, rng: random.Random) -> list[Scene]:
        scenes: list[Scene] = []
        while len(scenes) < count:
            number = rng.randrange(self._used)
            scene = compose_scene(self._art, self._plan, random.Random(f"scene {number}"))
            labelled = scene if number < self._labelled or self._teacher is None else self._teacher.label(scene, rng)
            scenes += [labelled] if labelled else []
        return scenes
