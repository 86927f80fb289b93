"""What the detectors of transformers share: how their answers become regions.

N regions · P phrases
"""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.models.grounding.grounder import Groundings, Regions

MOST_REGIONS = 300  # of one picture in an answer: the best of up to 3,600 boxes, most of which hold nothing
LEAST_SIDE = 16  # pixels: smaller pictures are enlarged, for some processors take a side of 1 to 4 for the colours


def enlarge_tiny(image: Image.Image) -> Image.Image:
    """Return a picture whose sides are at least LEAST_SIDE."""
    width, height = image.size
    if min(width, height) >= LEAST_SIDE:
        return image
    return image.resize((max(width, LEAST_SIDE), max(height, LEAST_SIDE)))


def to_corners(boxes_n4: Tensor) -> BoxArray:
    """Return x0, y0, x1, y1 within 0..1 of middles and sides."""
    middles_n2, halves_n2 = boxes_n4[:, :2], boxes_n4[:, 2:] / 2
    corners_n4 = torch.cat([middles_n2 - halves_n2, middles_n2 + halves_n2], dim=1)
    return corners_n4.float().cpu().numpy().clip(0, 1)


def select_best(found: Groundings) -> Groundings:
    """Return the MOST_REGIONS regions of the highest probability for any phrase, the most object-like first."""
    regions, best_n = found.regions, found.probabilities_pn.max(axis=0)
    some = np.argsort(-best_n, kind="stable")[:MOST_REGIONS]
    some = some[np.argsort(-regions.objectness_n[some], kind="stable")]
    vectors_nd = None if regions.vectors_nd is None else regions.vectors_nd[some]
    return Groundings(
        Regions(regions.boxes_n4[some], regions.objectness_n[some], vectors_nd),
        found.similarities_pn[:, some],
        found.probabilities_pn[:, some],
        found.truncated,
    )


def average_prompts(rows_qn: ScoreArray, phrases: Sequence[Sequence[str]]) -> ScoreArray:
    """Return (P, N): the mean over the prompts of each phrase, from a row for each prompt of all phrases."""
    ends = np.cumsum([len(prompts) for prompts in phrases])[:-1]
    return np.stack([rows.mean(axis=0) for rows in np.split(rows_qn, ends)])
