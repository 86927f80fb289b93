"""The loss of SimCLR, and what shows whether a training is healthy without any label.

B pages · D dimensions
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(first_bd: Tensor, second_bd: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy of two views of each page (Chen et al. 2020, equation 1).

    Each of the 2 B views is to be recognised by the other view of its page among the 2 B - 1 other views; the mean
    over all of them. Rows need not be of unit length.
    """
    views_vd = F.normalize(torch.cat([first_bd, second_bd]), dim=1)
    count = len(first_bd)
    logits_vv = views_vd @ views_vd.T / temperature
    itself_vv = torch.eye(2 * count, dtype=torch.bool, device=logits_vv.device)
    partners_v = torch.arange(2 * count, device=logits_vv.device).roll(count)
    return F.cross_entropy(logits_vv.masked_fill(itself_vv, -torch.inf), partners_v)


@dataclass(frozen=True, slots=True)
class ViewHealth:
    """Of one batch. Collapsed vectors show as an alignment and a uniformity near 0, and a top-1 at chance."""

    alignment: float  # mean squared distance of the two views of a page, 0..4: lower is better
    uniformity: float  # log of the mean of exp(-2 d^2) over the other pairs: lower is better, 0 is one point
    top1: float  # share of views whose nearest other view is of the same page


@torch.no_grad()
def measure_health(first_bd: Tensor, second_bd: Tensor) -> ViewHealth:
    """Alignment and uniformity by Wang and Isola 2020, equations 7 and 8 with alpha = 2 and t = 2."""
    first_bd, second_bd = F.normalize(first_bd, dim=1), F.normalize(second_bd, dim=1)
    views_vd, count = torch.cat([first_bd, second_bd]), len(first_bd)
    distances_vv = (2 - 2 * views_vd @ views_vd.T).clamp_min(0)
    itself_vv = torch.eye(2 * count, dtype=torch.bool, device=views_vd.device)
    partners_v = torch.arange(2 * count, device=views_vd.device).roll(count)
    others_vv = ~(itself_vv | itself_vv.roll(count, 0))
    nearest_v = distances_vv.masked_fill(itself_vv, torch.inf).argmin(dim=1)
    return ViewHealth(
        alignment=(first_bd - second_bd).square().sum(dim=1).mean().item(),
        uniformity=distances_vv[others_vv].mul(-2).exp().mean().log().item(),
        top1=(nearest_v == partners_v).float().mean().item(),
    )
