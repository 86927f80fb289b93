"""Which place of the maps answers for which thing of a scene.

N things · M boxes of which nothing is known · L places
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from clip_vectorizer.models.grounding.network import STRIDE, locate_places

REACH = 1.5 * STRIDE  # pixels from the centre of a thing, across and down: nine to sixteen places; ATSS takes nine
NOTHING, UNSURE = -1, -2


@dataclass(frozen=True, slots=True)
class SceneTargets:
    """`things_l`: the thing of each place, NOTHING or UNSURE."""

    things_l: Tensor
    boxes_l4: Tensor  # pixels; zeros where there is nothing


def assign_places(boxes_n4: Tensor, unsure_m4: Tensor, high: int, wide: int) -> SceneTargets:
    """Give each thing the places near its centre and inside its box; of two things the one on top, which is later.

    `high` and `wide`: of the maps. Places near what is unsure, and of no thing, are UNSURE.
    """
    places_l2 = locate_places(high, wide, boxes_n4.device)
    numbers_n1 = torch.arange(len(boxes_n4))[:, None]
    things_l = torch.where(find_near(boxes_n4, places_l2), numbers_n1, NOTHING).amax(0)
    unsure_l = find_near(unsure_m4, places_l2).any(0) & (things_l == NOTHING)
    boxes_l4 = torch.where(things_l[:, None] == NOTHING, 0.0, boxes_n4[things_l.clamp(min=0)])
    return SceneTargets(things_l.masked_fill(unsure_l, UNSURE), boxes_l4)


def find_near(boxes_n4: Tensor, places_l2: Tensor) -> Tensor:
    """Return (N, L): whether a place is near the centre of a box and inside it; the nearest one always is."""
    centres_n2 = (boxes_n4[:, :2] + boxes_n4[:, 2:]) / 2
    reach_n2 = ((boxes_n4[:, 2:] - boxes_n4[:, :2]) / 2).clamp(max=REACH)
    distance_nl2 = (places_l2[None] - centres_n2[:, None]).abs()
    near_nl = (distance_nl2 <= reach_n2[:, None]).all(-1)
    near_nl[torch.arange(len(boxes_n4)), distance_nl2.sum(-1).argmin(1)] = True
    return near_nl
