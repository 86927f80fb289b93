"""Regions that a scene is learned from: true boxes that are moved a little, and what the head itself proposes.

B scenes · K regions · L places · N things · M boxes of which nothing is known
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clip_vectorizer.models.grounding.network import RegionMaps
from clip_vectorizer.training.grounding.losses import measure_pairs
from clip_vectorizer.training.grounding.targets import NOTHING, UNSURE

REGIONS = 16  # of a scene
SHIFT = 0.06  # of a box's sides: standard deviation of how far they are moved
ENOUGH = 0.5  # overlap, from which a region is of a thing


@dataclass(frozen=True, slots=True)
class RegionBatch:
    boxes_bk4: Tensor  # pixels
    things_bk: Tensor  # number of the thing among those of all scenes, NOTHING or UNSURE


def choose_regions(maps: RegionMaps, truths: Sequence[Tensor], unsure: Sequence[Tensor]) -> RegionBatch:
    """Return REGIONS regions of each scene; `truths` has the true boxes of each, REGIONS at most.

    `unsure`: boxes of each scene; a region of one of them that is of no thing is UNSURE.
    """
    boxes, things, first = [], [], 0
    for scene, (truth_n4, unsure_m4) in enumerate(zip(truths, unsure, strict=True)):
        best = maps.objectness_bl[scene].detach().topk(REGIONS - len(truth_n4)).indices
        boxes_k4 = torch.cat([move_boxes(truth_n4), maps.boxes_bl4[scene].detach()[best]])
        overlap_k, thing_k = measure_pairs(boxes_k4, truth_n4).max(1)
        boxes.append(boxes_k4)
        other_k = torch.where((measure_pairs(boxes_k4, unsure_m4) >= ENOUGH).any(1), UNSURE, NOTHING)
        things.append(torch.where(overlap_k >= ENOUGH, thing_k + first, other_k))
        first += len(truth_n4)
    return RegionBatch(torch.stack(boxes), torch.stack(things))


def move_boxes(boxes_n4: Tensor) -> Tensor:
    sides_n2 = boxes_n4[:, 2:] - boxes_n4[:, :2]
    return boxes_n4 + SHIFT * sides_n2.repeat(1, 2) * torch.randn_like(boxes_n4)
