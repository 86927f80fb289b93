"""Fits how likely a region is what a phrase names, on scenes of the training with phrases that are there and not.

P phrases · N regions · F features
"""

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clip_vectorizer.boxes import overlaps
from clip_vectorizer.models.grounding.head import Calibration, HeadGrounder
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.grounding.captions import Thing, name_things
from clip_vectorizer.training.grounding.plan import ScenePlan
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene, list_shown
from clip_vectorizer.training.knowledge import LANGUAGES

ABSENT = 10  # phrases of a scene that name nothing in it
SEED = 20261129
STEPS = 25  # of Newton's method
RIDGE = 1e-3
ENOUGH = 0.5  # overlap with a true box, from which a region is right: that of AP50

FeatureMatrix = npt.NDArray[np.float64]


def fit_calibration(
    grounder: HeadGrounder, art: SceneArt, plan: ScenePlan, concepts: Sequence[Concept], scenes: int
) -> Calibration:
    """Return the logistic regression of all regions and phrases of random scenes."""
    rng = random.Random(SEED)
    features, right = zip(
        *(compare_scene(grounder, compose_scene(art, plan, rng), concepts, rng) for _ in range(scenes)), strict=True
    )
    *weights, shift = fit_logistic(np.concatenate(features), np.concatenate(right))
    return Calibration((weights[0], weights[1], weights[2]), shift)


def compare_scene(
    grounder: HeadGrounder, scene: Scene, concepts: Sequence[Concept], rng: random.Random
) -> tuple[FeatureMatrix, FeatureMatrix]:
    """Return features (P * N, F), and whether the region is of the phrase."""
    shown = list_shown(scene)
    asked = shown + [each for each in rng.sample(range(len(concepts)), min(ABSENT, len(concepts))) if each not in shown]
    language = rng.choice(LANGUAGES)
    prompts = [[name_things(Thing(getattr(concepts[each], f"name_{language}"), 1), language)] for each in asked]
    found = grounder.compare(scene.image, prompts)
    overlaps_nm = overlaps(found.regions.boxes_n4, scene.shares_n4)
    owned_pm = np.array(asked)[:, None] == np.array(scene.concepts)
    right_pn = ((overlaps_nm >= ENOUGH)[None] & owned_pm[:, None]).any(-1)
    return found.features_pn3.reshape(-1, 3).astype(np.float64), right_pn.reshape(-1).astype(np.float64)


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
