"""Regions of any CLIP: square tiles of several sizes, each with the vector of its crop.

Tiles show the place of a thing and hardly its box: their sizes are given, not found (docs/grounding.md has figures).

N tiles · P phrases · D dimensions
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from clip_vectorizer.boxes import WHOLE, BoxArray, place, spans, suppress
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, Regions
from clip_vectorizer.models.grounding.phrases import PhraseScorer
from clip_vectorizer.models.grounding.scores import measure_contrast
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.vectors import Vectors

NAME, VERSION = "tiles", 1
SCALES = (1, 2, 3, 4)  # tiles along the shorter side, beside those half a tile further
MOST_ALONG = 12  # along the longer side: a panorama would have thousands
LEAST_PIXELS = 8  # of a tile's side
MOST_OVERLAP = 0.5  # of two proposals
PASS_TILES = 32  # encoded at once; then others may use the device


class TileGrounder:
    """Needs no weights of its own. A picture costs as much as its tiles: 84 images where it is square."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._scorer = encoder, PhraseScorer(encoder)

    @property
    def info(self) -> GrounderInfo:
        revision = f"{self._encoder.info.revision}-{NAME}-{VERSION}"
        return GrounderInfo(NAME, revision, fused=False, own_vectors=True)

    def propose(self, image: Image.Image, limit: int) -> Regions:
        """At most `limit` tiles, the most unlike the picture's other tiles first; the whole picture is none."""
        regions = self._regions(image)
        some = choose_proposals(regions, limit)
        assert regions.vectors_nd is not None
        return Regions(regions.boxes_n4[some], regions.objectness_n[some], regions.vectors_nd[some])

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        """All tiles, the whole picture included, against all phrases."""
        return self._scorer.compare(self._regions(image), phrases)

    def _regions(self, image: Image.Image) -> Regions:
        tiles_n4 = cut_tiles(*image.size)
        vectors_nd = encode_boxes(self._encoder, image, tiles_n4)
        objectness_n = measure_contrast(vectors_nd)
        order = np.argsort(-objectness_n, kind="stable")
        return Regions(tiles_n4[order], objectness_n[order], vectors_nd[order])


def choose_proposals(regions: Regions, limit: int) -> list[int]:
    """The indexes of at most `limit` tiles that overlap little; the whole picture only where it is the one tile."""
    kept = suppress(regions.boxes_n4, regions.objectness_n, MOST_OVERLAP).tolist()
    parts = [index for index in kept if tuple(regions.boxes_n4[index]) != WHOLE]
    return (parts or kept)[:limit]


def cut_tiles(width: int, height: int) -> BoxArray:
    """(N, 4): the whole picture, then tiles that are square in pixels or nearly so, each half a tile from the next.

    >>> len(cut_tiles(640, 640)), cut_tiles(1, 1).tolist()
    (84, [[0.0, 0.0, 1.0, 1.0]])
    """
    shorter = min(width, height)
    boxes = [WHOLE]
    for scale in SCALES:
        along, across = (min(MOST_ALONG, max(1, round(scale * side / shorter))) for side in (width, height))
        if (along, across) != (1, 1) and shorter / scale >= LEAST_PIXELS:
            boxes += [(x0, y0, x1, y1) for y0, y1 in half_steps(across) for x0, x1 in half_steps(along)]
    return np.array(boxes, dtype=np.float32)


def half_steps(count: int) -> list[tuple[float, float]]:
    """Spans of 1/`count`, each half a span from the next.

    >>> half_steps(2)
    [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0)]
    """
    steps = 2 * count - 1
    return spans(steps, overlap=steps / count - 1)


def encode_boxes(encoder: Encoder, image: Image.Image, boxes_n4: BoxArray) -> Vectors:
    """(N, D): the unit vectors of the crops, in several passes with breaks between."""
    pixels = [place(box, *image.size) for box in boxes_n4]
    passes = []
    for start in range(0, len(pixels), PASS_TILES):
        crops = [encoder.prepare_image(image, box) for box in pixels[start : start + PASS_TILES]]
        passes.append(encoder.encode_images(crops))
        run_break_work()
    return np.concatenate(passes)
