"""Losses of the head: alignment with the phrases, boxes, objectness.

B scenes · L places · K regions, or places that answer for a thing · P phrases · N concepts · D dimensions
"""

import torch
from torch import Tensor
from torch.nn import functional as F

FOCAL_SHARE, FOCAL_POWER = 0.25, 2.0  # alpha and gamma of Lin et al. 2017, table 1b
OBJECTNESS_POWER = 2.0  # beta of quality focal loss, Li et al. 2020, "Generalized Focal Loss", equation 4
SMALLEST = 1e-6


def align_loss(logits_kp: Tensor, truth_kp: Tensor, count: int) -> Tensor:
    """Return the sigmoid focal loss of all regions and phrases, a share of `count`, as in RetinaNet and GLIP."""
    missed = F.binary_cross_entropy_with_logits(logits_kp, truth_kp, reduction="none")
    right = torch.exp(-missed)  # probability of what is true
    share = FOCAL_SHARE * truth_kp + (1 - FOCAL_SHARE) * (1 - truth_kp)
    return (share * (1 - right) ** FOCAL_POWER * missed).sum() / count


def name_loss(vectors_kd: Tensor, names_nd: Tensor, concepts_k: Tensor, scale: float) -> Tensor:
    """Return the cross-entropy of each region over the names of all concepts, as the image tower learned it."""
    return F.cross_entropy(scale * vectors_kd @ names_nd.T, concepts_k)


def measure_overlaps(first_k4: Tensor, second_k4: Tensor) -> tuple[Tensor, Tensor]:
    """Return (K,) intersection over union of boxes in pairs, and generalized IoU (Rezatofighi et al. 2019)."""
    common = area(torch.maximum(first_k4[:, :2], second_k4[:, :2]), torch.minimum(first_k4[:, 2:], second_k4[:, 2:]))
    hull = area(torch.minimum(first_k4[:, :2], second_k4[:, :2]), torch.maximum(first_k4[:, 2:], second_k4[:, 2:]))
    union = area(first_k4[:, :2], first_k4[:, 2:]) + area(second_k4[:, :2], second_k4[:, 2:]) - common
    overlap = common / union.clamp(min=SMALLEST)
    return overlap, overlap - (hull - union) / hull.clamp(min=SMALLEST)


def measure_pairs(first_k4: Tensor, second_n4: Tensor) -> Tensor:
    """Return (K, N) intersection over union of all pairs."""
    rows, columns = first_k4.repeat_interleave(len(second_n4), 0), second_n4.repeat(len(first_k4), 1)
    return measure_overlaps(rows, columns)[0].view(len(first_k4), len(second_n4))


def area(left_top_k2: Tensor, right_bottom_k2: Tensor) -> Tensor:
    return (right_bottom_k2 - left_top_k2).clamp(min=0).prod(-1)


def objectness_loss(logits_l: Tensor, overlaps_l: Tensor, count: int) -> Tensor:
    """Return the quality focal loss: the target of a place is the overlap of its box, 0 where there is nothing."""
    missed = F.binary_cross_entropy_with_logits(logits_l, overlaps_l, reduction="none")
    return ((logits_l.sigmoid() - overlaps_l).abs() ** OBJECTNESS_POWER * missed).sum() / count
