"""Drawings to compose scenes of: files of rendered art sets, mapped into memory.

M drawings · H drawing size
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.drawing_store import DRAWING_SIZE, store_art_set
from clip_vectorizer.training.drawings import RESTYLED, Concept, DrawingPixels

OPAQUE = 25  # of 255: a paler rim is no part of the drawing
RESTYLED_SHARE_OF_SCENES = 0.5
SCENE_STYLES = {
    **{"drawn": 0.33, "inked": 0.12, "lines": 0.05},
    **dict.fromkeys(RESTYLED, RESTYLED_SHARE_OF_SCENES / len(RESTYLED)),
}


@dataclass(frozen=True, slots=True)
class MappedSet:
    """Rows of one art set by concept, and the pixels of each style: (M, H, H, 4) uint8 RGBA."""

    rows: Mapping[int, int]
    styles: Mapping[str, DrawingPixels]


class SceneArt:
    """Draws a concept by any artist who drew it, in any of the styles."""

    def __init__(self, sets: Sequence[MappedSet], concepts: int, shares: Mapping[str, float], degrees: float) -> None:
        """`shares`: of each style; `degrees`: drawings are turned by up to so many, either way.

        Raises TrainingDataError where a concept has no drawing.
        """
        self._shares, self._degrees, self.concepts = shares, degrees, concepts
        self._sets = [[each for each in sets if concept in each.rows] for concept in range(concepts)]
        if missing := sum(not artists for artists in self._sets):
            raise TrainingDataError(f"{missing} of {concepts} concepts have no drawing: add an art set")

    def draw(self, concept: int, rng: random.Random) -> Image.Image:
        """Return an RGBA drawing without empty margins."""
        artist = rng.choice(self._sets[concept])
        style = rng.choices(list(self._shares), weights=list(self._shares.values()))[0]
        drawing = Image.fromarray(np.asarray(artist.styles[style][artist.rows[concept]]))
        if self._degrees:
            drawing = drawing.rotate(rng.uniform(-self._degrees, self._degrees), Image.Resampling.BILINEAR)
        return drawing.crop(find_content(drawing))


def resize_drawing(drawing: Image.Image, size: int) -> Image.Image:
    """Return the drawing with a longer side of `size` pixels."""
    scale = size / max(drawing.size)
    return drawing.resize((max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale))))


def find_content(drawing: Image.Image) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of what is opaque; the whole drawing where nothing is."""
    opaque_hh = np.asarray(drawing.getchannel("A")) > OPAQUE
    rows, columns = (np.flatnonzero(opaque_hh.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return (0, 0, *drawing.size)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def map_art(
    work: Path,
    packages: Path,
    concepts: Sequence[Concept],
    names: Sequence[str],
    shares: Mapping[str, float],
    degrees: float = 0.0,
    size: int = DRAWING_SIZE,
) -> SceneArt:
    """Return the drawings of the art sets `names`, rendered into the work folder unless they are there."""
    return SceneArt(
        [map_set(work, packages, concepts, name, tuple(shares), size) for name in names],
        len(concepts),
        shares,
        degrees,
    )


def map_set(
    work: Path, packages: Path, concepts: Sequence[Concept], name: str, styles: Sequence[str], size: int
) -> MappedSet:
    owners, files = store_art_set(work, packages, concepts, name, styles, size)
    pixels = {style: np.load(file, mmap_mode="r", allow_pickle=False) for style, file in files.items()}
    return MappedSet({owner: row for row, owner in enumerate(owners)}, pixels)
