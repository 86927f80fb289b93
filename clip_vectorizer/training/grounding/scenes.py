"""Scenes composed of drawings, with boxes and captions that are known: whatever they show, a seed gives the same one.

N things in a scene · M boxes of which nothing is known
"""

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from clip_vectorizer.boxes import BoxArray
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.grounding.captions import SceneCaption, Thing, caption_things
from clip_vectorizer.training.grounding.grounds import draw_ground
from clip_vectorizer.training.grounding.plan import ScenePlan
from clip_vectorizer.training.grounding.scene_art import SceneArt, resize_drawing
from clip_vectorizer.training.knowledge import LANGUAGES

DrawingBox = tuple[int, int, int, int]  # left, top, right, bottom
NO_BOXES: BoxArray = np.zeros((0, 4), dtype=np.float32)

PLACES = 30  # tries to place a drawing before the scene goes without it


@dataclass(frozen=True, slots=True)
class Scene:
    """One composed picture. Boxes are in pixels; `concepts` has the number of each thing's concept.

    `unsure_m4`: where there may be a thing, or not: neither is learned from them.
    """

    image: Image.Image
    ground: str
    boxes_n4: BoxArray
    concepts: tuple[int, ...]
    unsure_m4: BoxArray = field(default_factory=lambda: NO_BOXES)

    @property
    def shares_n4(self) -> BoxArray:
        """Return the boxes as shares of the picture."""
        return np.divide(self.boxes_n4, (*self.image.size, *self.image.size), dtype=np.float32)


def compose_scene(art: SceneArt, plan: ScenePlan, rng: random.Random) -> Scene:
    """Return a scene with one thing at least; later drawings lie over earlier ones, as long as they leave them seen."""
    kind = rng.choices(list(plan.grounds), weights=list(plan.grounds.values()))[0]
    image = draw_ground(kind, plan.size, art, rng)
    boxes: list[DrawingBox] = []
    concepts: list[int] = []
    for _ in range(rng.randint(*plan.counts)):
        concept = (
            rng.choice(concepts) if concepts and rng.random() < plan.repeated_share else rng.randrange(art.concepts)
        )
        drawing = resize_drawing(art.draw(concept, rng), round(draw_size(plan, rng)))
        if box := find_place(drawing.size, plan, boxes, rng):
            image.paste(drawing, box[:2], drawing)
            boxes.append(box)
            concepts.append(concept)
    return Scene(image, kind, np.array(boxes, dtype=np.float32), tuple(concepts))


def draw_size(plan: ScenePlan, rng: random.Random) -> float:
    least, most = plan.sizes
    return math.exp(rng.uniform(math.log(least), math.log(min(most, min(plan.size)))))


def find_place(
    size: tuple[int, int], plan: ScenePlan, taken: Sequence[DrawingBox], rng: random.Random
) -> DrawingBox | None:
    """Return a random box that covers, and is covered, little enough; None where none was found."""
    wide, high = size
    for _ in range(PLACES):
        left, top = rng.randint(0, plan.size[0] - wide), rng.randint(0, plan.size[1] - high)
        box = (left, top, left + wide, top + high)
        if all(cover(box, other) <= plan.overlap for other in taken):
            return box
    return None


def cover(first: DrawingBox, second: DrawingBox) -> float:
    """Return the share of the smaller box that both have in common.

    >>> cover((0, 0, 4, 4), (2, 2, 4, 4))
    1.0
    """
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return max(0, wide) * max(0, high) / smaller


def caption_scene(scene: Scene, concepts: Sequence[Concept], language: str, rng: random.Random) -> SceneCaption:
    """Return a caption that names each concept once, with its count; spans are in the order of `list_shown`."""
    assert language in LANGUAGES
    counts = Counter(scene.concepts)
    names = {index: getattr(concepts[index], f"name_{language}") for index in counts}
    return caption_things([Thing(names[index], counts[index]) for index in list_shown(scene)], language, rng)


def list_shown(scene: Scene) -> list[int]:
    """Return the concepts of a scene, each once, in the order of their first drawing."""
    return list(dict.fromkeys(scene.concepts))
