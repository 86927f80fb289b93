"""Regions of scenes as a trained head finds them, computed once and stored: what is learned on top of a frozen head.

S scenes · N regions of a scene, MOST_COMPARED at most · M things of a scene · D dimensions
"""

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from clip_vectorizer.boxes import BoxArray, ScoreArray, overlaps
from clip_vectorizer.models.grounding.head import MOST_COMPARED, HeadGrounder
from clip_vectorizer.query.evaluation.statistics import IntegerArray
from clip_vectorizer.training.grounding.plan import ScenePlan
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene
from clip_vectorizer.training.grounding.targets import NOTHING
from clip_vectorizer.vectors import Vectors

PART = 250  # scenes of a file: an interrupted run continues from the last one
MOST_THINGS = 8  # of a scene

Number = TypeVar("Number", np.float32, np.int64)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SceneRegions:
    """Padded to MOST_COMPARED regions and MOST_THINGS things: objectness 0 is no region, concept NOTHING no thing."""

    boxes_sn4: BoxArray
    objectness_sn: ScoreArray
    heads_snd: Vectors  # the head's own vectors of the regions
    compared_snd: Vectors  # those that are compared with phrases: the mean of the head's and the crop's
    names_sn: ScoreArray  # what common names reach at the region, as `Vocabulary.measure` returns it
    overlaps_snm: ScoreArray  # of each region and each thing
    concepts_sm: IntegerArray

    def __len__(self) -> int:
        return len(self.boxes_sn4)

    @classmethod
    def join(cls, parts: Sequence["SceneRegions"]) -> "SceneRegions":
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def load_training_regions(
    work: Path, grounder: HeadGrounder, art: SceneArt, plan: ScenePlan, scenes: int
) -> SceneRegions:
    """Return the regions of so many random scenes, computed unless they are in the work folder.

    Files are named by the head, their scenes and their part, so another head has other files.
    """
    sizes = [min(PART, scenes - first) for first in range(0, scenes, PART)]
    return SceneRegions.join(
        [
            load_regions(work, f"training-{size}-{number}", grounder, partial(compose_part, art, plan, size, number))
            for number, size in enumerate(sizes)
        ]
    )


def compose_part(art: SceneArt, plan: ScenePlan, scenes: int, number: int) -> Iterator[Scene]:
    rng = random.Random(f"fusion {number}")
    return (compose_scene(art, plan, rng) for _ in range(scenes))


def load_regions(work: Path, name: str, grounder: HeadGrounder, compose: Callable[[], Iterable[Scene]]) -> SceneRegions:
    """Return the regions of the scenes of that name, computed unless they are in the work folder."""
    file = work / f"regions-{grounder.info.revision}-{name}.npz"
    if not file.exists():
        save_regions(file, find_regions(grounder, compose()))
        log.info("%s: done", file.name)
    with np.load(file, allow_pickle=False) as stored:
        return SceneRegions(**{key: stored[key] for key in stored.files})


def save_regions(file: Path, regions: SceneRegions) -> None:
    """Replace the file at once."""
    draft = file.with_suffix(".draft")
    with draft.open("wb") as stream:
        np.savez(stream, **{field.name: getattr(regions, field.name) for field in fields(regions)})
    draft.replace(file)


def find_regions(grounder: HeadGrounder, scenes: Iterable[Scene]) -> SceneRegions:
    return SceneRegions.join([find_scene_regions(grounder, scene) for scene in scenes])


def find_scene_regions(grounder: HeadGrounder, scene: Scene) -> SceneRegions:
    """Return arrays of one scene."""
    regions, vectors_nd = grounder.embed_best(scene.image)
    assert regions.vectors_nd is not None
    nothing_pd = np.zeros((0, vectors_nd.shape[1]), dtype=np.float32)
    return SceneRegions(
        pad(regions.boxes_n4, MOST_COMPARED),
        pad(regions.objectness_n, MOST_COMPARED),
        pad(regions.vectors_nd, MOST_COMPARED),
        pad(vectors_nd, MOST_COMPARED),
        pad(grounder.compare_regions(regions.objectness_n, vectors_nd, nothing_pd).names_n, MOST_COMPARED),
        pad(pad(overlaps(regions.boxes_n4, scene.shares_n4), MOST_COMPARED)[0].T, MOST_THINGS).transpose(0, 2, 1),
        pad(np.array(scene.concepts), MOST_THINGS, NOTHING),
    )


def pad(rows: npt.NDArray[Number], count: int, value: int = 0) -> npt.NDArray[Number]:
    """Return (1, count, ...): the rows, and rows of `value`."""
    missing = [(0, count - len(rows)), *[(0, 0)] * (rows.ndim - 1)]
    return np.pad(rows, missing, constant_values=value)[None]
