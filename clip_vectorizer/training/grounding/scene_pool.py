"""Where the scenes of a training come from: without end, or a pool of which some have captions only.

The pool is for GLIP's experiment of self-training (Li et al. 2022, section 3.3): a head that was trained on scenes with
boxes finds boxes for the phrases of captions, and another head learns from both.

K regions · P phrases · N labels · M boxes of which nothing is known
"""

import logging
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
import torch

from clip_vectorizer.boxes import BoxArray, ScoreArray, overlaps, suppress
from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.training.grounding.lessons import normalise_scenes
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import ScenePlan, SelfTraining
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scenes import NO_BOXES, Scene, compose_scene, list_shown

SIDES = (160, 192, 192, 224)  # pixels of scenes without end, width and height each
CANDIDATES = 40  # regions of a scene that a teacher compares with the phrases
MOST_OVERLAP = 0.6  # of two of them
SAME = 0.5  # overlap from which two boxes are of one thing
SEEN = 0.1  # objectness from which a box without a label may be a thing that the caption names
ENOUGH = 0.5  # overlap with a true box, below which a label is wrong
KEPT = 2000  # scenes of a pool that are composed once, of 110 KB each at 192 pixels

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


@dataclass(frozen=True, slots=True)
class TeacherLabels:
    """Boxes in pixels, each with the number of its concept; `unsure_m4`: where a thing without a label may be."""

    boxes_n4: BoxArray
    concepts: tuple[int, ...]
    unsure_m4: BoxArray


class Teacher:
    """Finds boxes for the phrases of captions. `labels` counts the right, the wrong and the missing ones."""

    def __init__(self, network: RegionNetwork, phrases: PhraseVectors, threshold: float) -> None:
        self._network, self._phrases, self._threshold = network.eval(), phrases, threshold
        self.labels: Counter[str] = Counter()

    def label(self, scene: Scene, rng: random.Random) -> TeacherLabels:
        """Return boxes whose scores reach the threshold, for each phrase as many at most as its caption counts.

        Where labels are missing, other boxes that may be of what is missing are unsure.
        """
        shown, counts = list_shown(scene), Counter(scene.concepts)
        boxes_k4, objectness_k, scores_pk = self._compare(scene, shown, rng)
        chosen = choose_labels(boxes_k4, scores_pk, [counts[each] for each in shown], self._threshold)
        labelled = boxes_k4[[box for _, box in chosen]]
        apart_k = (overlaps(boxes_k4, labelled) <= SAME).all(axis=1)
        is_short = len(chosen) < len(scene.concepts)
        unsure_m4 = boxes_k4[apart_k & (objectness_k >= SEEN)] if is_short else NO_BOXES
        labels = TeacherLabels(labelled, tuple(shown[phrase] for phrase, _ in chosen), unsure_m4)
        self._count(scene, labels)
        return labels

    def _compare(
        self, scene: Scene, concepts: list[int], rng: random.Random
    ) -> tuple[BoxArray, ScoreArray, ScoreArray]:
        """Return (K, 4) boxes in pixels, (K,) objectness and (P, K) scores in 0..1: of the phrase, times objectness."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            maps = self._network(normalise_scenes([scene]))
            objectness_l = maps.objectness_bl[0].sigmoid().numpy()
            best = np.argsort(-objectness_l, kind="stable")[: 4 * CANDIDATES]
            boxes_l4 = maps.boxes_bl4[0].numpy().clip(0, np.array([*scene.image.size, *scene.image.size], np.float32))
            kept = best[suppress(boxes_l4[best], objectness_l[best], MOST_OVERLAP)][:CANDIDATES]
            vectors_kd = self._network.embed(maps, torch.from_numpy(boxes_l4[kept])[None])[0]
            logits_pk = self._network.compare(self._phrases.draw(concepts, rng) @ vectors_kd.T)
        return boxes_l4[kept], objectness_l[kept], logits_pk.sigmoid().float().numpy() * objectness_l[kept]

    def _count(self, scene: Scene, labels: TeacherLabels) -> None:
        of_concept = np.array(labels.concepts, int)[:, None] == np.array(scene.concepts)
        right = ((overlaps(labels.boxes_n4, scene.boxes_n4) >= ENOUGH) & of_concept).any(axis=1)
        missing = len(scene.concepts) - len(right)
        self.labels.update(right=int(right.sum()), wrong=int((~right).sum()), missing=missing)


def choose_labels(
    boxes_k4: BoxArray, scores_pk: ScoreArray, counts: Sequence[int], threshold: float
) -> list[tuple[int, int]]:
    """Return pairs of phrase and box, best score first; `counts`: most boxes of each phrase.

    No two boxes are of one thing: what fits two phrases is a label of the one that it fits better.
    """
    left, overlaps_kk = list(counts), overlaps(boxes_k4, boxes_k4)
    chosen: list[tuple[int, int]] = []
    for place in np.argsort(-scores_pk, axis=None, kind="stable"):
        phrase, box = divmod(int(place), len(boxes_k4))
        if scores_pk[phrase, box] < threshold:
            break
        if left[phrase] and all(overlaps_kk[box, other] <= SAME for _, other in chosen):
            chosen.append((phrase, box))
            left[phrase] -= 1
    return chosen


class ScenePool:
    """A number of scenes, each from its own seed; boxes are known of the first ones, of the others only captions.

    Without a teacher, the others are left out, as are those for which it finds no box. It labels a scene once.
    """

    def __init__(self, art: SceneArt, plan: ScenePlan, pool: SelfTraining, teacher: Teacher | None) -> None:
        self._teacher = teacher
        self._labelled = max(1, round(pool.scenes * pool.labels_share))
        self._used = pool.scenes if teacher else self._labelled
        self._labels: dict[int, TeacherLabels] = {}
        self._compose = lru_cache(KEPT)(
            lambda number: compose_scene(art, plan, random.Random(f"scene {pool.first + number}"))
        )

    def draw(self, count: int, rng: random.Random) -> list[Scene]:
        scenes: list[Scene] = []
        while len(scenes) < count:
            scene = self._open(rng.randrange(self._used))
            scenes += [scene] if scene.concepts else []
        return scenes

    def _open(self, number: int) -> Scene:
        """Return a scene with true boxes, or with those of the teacher."""
        scene = self._compose(number)
        if number < self._labelled or self._teacher is None:
            return scene
        if number not in self._labels:
            self._labels[number] = self._teacher.label(scene, random.Random(f"label {number}"))
        labels = self._labels[number]
        return replace(scene, boxes_n4=labels.boxes_n4, concepts=labels.concepts, unsure_m4=labels.unsure_m4)
