"""Fits how likely a region is what a phrase names, on scenes of the training with phrases that are there and not.

P phrases · N regions · F features
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from clip_vectorizer.boxes import BoxArray, overlaps
from clip_vectorizer.models.grounding.comparison import (
    ALONE,
    BOTH,
    CROPPED,
    KINDS,
    UNKNOWN_OBJECTNESS,
    UNRATED,
    Calibration,
)
from clip_vectorizer.models.grounding.grounder import Regions
from clip_vectorizer.models.grounding.head import MOST_COMPARED, HeadGrounder
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.grounding.captions import Thing, name_things
from clip_vectorizer.training.grounding.plan import ScenePlan
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene, list_shown
from clip_vectorizer.training.knowledge import LANGUAGES
from clip_vectorizer.vectors import Vectors, unit

ABSENT = 10  # phrases of a scene that name nothing in it
SEED = 20261129
STEPS = 25  # of Newton's method
RIDGE = 1e-3
ENOUGH = 0.5  # overlap with a true box, from which a region is right: that of AP50

FeatureMatrix = npt.NDArray[np.float64]
Examples = tuple[FeatureMatrix, FeatureMatrix]  # features (P * N, F), and 1 where the region is of the phrase


def fit_calibrations(
    grounder: HeadGrounder, art: SceneArt, plan: ScenePlan, concepts: Sequence[Concept], scenes: int
) -> dict[str, Calibration]:
    """Return the logistic regression of all regions and phrases of random scenes, for each kind of vectors."""
    rng = random.Random(SEED)
    examples: dict[str, list[Examples]] = {kind: [] for kind in KINDS}
    for _ in range(scenes):
        for kind, found in compare_scene(grounder, compose_scene(art, plan, rng), concepts, rng):
            examples[kind].append(found)
    return {kind: fit_examples(found) for kind, found in examples.items()}


def fit_examples(examples: Sequence[Examples]) -> Calibration:
    features, right = zip(*examples, strict=True)
    *weights, shift = fit_logistic(np.concatenate(features), np.concatenate(right))
    return Calibration((weights[0], weights[1], weights[2]), shift)


def compare_scene(
    grounder: HeadGrounder, scene: Scene, concepts: Sequence[Concept], rng: random.Random
) -> Iterator[tuple[str, Examples]]:
    """Yield, for each kind of vectors, features (P * N, F), and whether the region is of the phrase."""
    shown = list_shown(scene)
    asked = shown + [each for each in rng.sample(range(len(concepts)), min(ABSENT, len(concepts))) if each not in shown]
    language = rng.choice(LANGUAGES)
    phrases_pd = grounder.encode_phrases(
        [[name_things(Thing(getattr(concepts[each], f"name_{language}"), 1), language)] for each in asked]
    )
    for kind, regions, vectors_nd in embed_scene(grounder, scene):
        found = grounder.compare_regions(regions.objectness_n, vectors_nd, phrases_pd)
        right_pn = find_right(scene, asked, regions.boxes_n4)
        yield kind, (found.features_pn3.reshape(-1, 3).astype(np.float64), right_pn.reshape(-1).astype(np.float64))


def find_right(scene: Scene, asked: Sequence[int], boxes_n4: BoxArray) -> npt.NDArray[np.bool_]:
    """Return (P, N): whether a box covers enough of a thing of the concept."""
    owned_pm = np.array(asked)[:, None] == np.array(scene.concepts)
    right_nm = overlaps(boxes_n4, scene.shares_n4) >= ENOUGH
    return np.asarray((right_nm[None] & owned_pm[:, None]).any(-1))


def embed_scene(grounder: HeadGrounder, scene: Scene) -> Iterator[tuple[str, Regions, Vectors]]:
    """Yield the regions of a scene with each kind of vectors."""
    regions = grounder.propose(scene.image, MOST_COMPARED)
    assert regions.vectors_nd is not None
    crops_nd = grounder.encode_crops(scene.image, regions.boxes_n4)
    yield ALONE, regions, regions.vectors_nd
    yield BOTH, regions, unit(regions.vectors_nd + crops_nd)
    yield CROPPED, regions, crops_nd
    yield UNRATED, replace(regions, objectness_n=np.full_like(regions.objectness_n, UNKNOWN_OBJECTNESS)), crops_nd


def fit_logistic(features_nf: FeatureMatrix, truth_n: FeatureMatrix) -> list[float]:
    """Return a weight for each feature, and the shift, by Newton's method; a feature that is always 0 gets 0."""
    inputs = np.concatenate([features_nf, np.ones((len(features_nf), 1))], axis=1)
    weights = np.zeros(inputs.shape[1])
    ridge = RIDGE * np.eye(len(weights))
    for _ in range(STEPS):
        share_n = 1 / (1 + np.exp(-inputs @ weights))
        slope = inputs.T @ (truth_n - share_n) - ridge @ weights
        curve = (inputs * (share_n * (1 - share_n))[:, None]).T @ inputs + ridge
        weights = weights + np.linalg.solve(curve, slope)
    return [float(each) for each in weights]
