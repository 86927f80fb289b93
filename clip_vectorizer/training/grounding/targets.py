"""Which place of the maps answers for which thing of a scene.

N things · L places
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from clip_vectorizer.models.grounding.network import STRIDE, locate_places

REACH = 1.5 * STRIDE  # pixels from the centre of a thing, across and down: nine to sixteen places; ATSS takes nine
NOTHING = -1


@dataclass(frozen=True, slots=True)
class SceneTargets:
    """`things_l`: the thing of each place, or NOTHING."""

    things_l: Tensor
    boxes_l4: Tensor  # pixels; zeros where there is nothing


def assign_places(boxes_n4: Tensor, high: int, wide: int) -> SceneTargets:
    """Give each thing the places near its centre and inside its box; of two things the one on top, which is later.

    `high` and `wide`: of the maps. A thing that is smaller than the distance between places gets the nearest one.
    """
    places_l2 = locate_places(high, wide, boxes_n4.device)
    centres_n2 = (boxes_n4[:, :2] + boxes_n4[:, 2:]) / 2
    reach_n2 = ((boxes_n4[:, 2:] - boxes_n4[:, :2]) / 2).clamp(max=REACH)
    distance_nl2 = (places_l2[None] - centres_n2[:, None]).abs()
    near_nl = (distance_nl2 <= reach_n2[:, None]).all(-1)
    near_nl[torch.arange(len(boxes_n4)), distance_nl2.sum(-1).argmin(1)] = True
    numbers_n1 = torch.arange(len(boxes_n4))[:, None]
    things_l = torch.where(near_nl, numbers_n1, NOTHING).amax(0)
    boxes_l4 = torch.where(things_l[:, None] == NOTHING, 0.0, boxes_n4[things_l.clamp(min=0)])
    return SceneTargets(things_l, boxes_l4)
