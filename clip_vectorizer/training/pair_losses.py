"""The losses of contrastive training, as their papers have them, and the recall that validates it.

B batch · N images · M captions · D dimensions
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.vectors import Vectors

CaptionNumbers = npt.NDArray[np.intp]
RECALL_DEPTHS = (1, 5, 10)
BLOCK = 1024  # rows of the similarity matrix at a time
PairLoss = Callable[[Tensor, Tensor], Tensor]  # of (B, D) images and (B, D) texts, unit rows


def softmax_loss(images_bd: Tensor, texts_bd: Tensor, scale: Tensor) -> Tensor:
    """Return symmetric cross-entropy over the B x B similarities of unit rows (Radford et al. 2021, figure 3).

    `scale` is exp(t) of the paper's learned temperature t.

    >>> rows = torch.eye(2)
    >>> round(softmax_loss(rows, rows, torch.tensor(1.0)).item(), 4)
    0.3133
    """
    logits_bb = scale * images_bd @ texts_bd.T
    own = torch.arange(len(logits_bb), device=logits_bb.device)
    return (F.cross_entropy(logits_bb, own) + F.cross_entropy(logits_bb.T, own)) / 2


def sigmoid_loss(images_bd: Tensor, texts_bd: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Return the sigmoid loss of unit rows: each of the B x B pairs matches or not (Zhai et al. 2023, algorithm 1)."""
    logits_bb = scale * images_bd @ texts_bd.T + bias
    signs_bb = 2 * torch.eye(len(logits_bb), device=logits_bb.device, dtype=logits_bb.dtype) - 1
    return -F.logsigmoid(signs_bb * logits_bb).sum() / len(logits_bb)


@dataclass(frozen=True, slots=True)
class PairRecall:
    """The share of queries whose own answer is among the first k, for each k of RECALL_DEPTHS."""

    image_to_text: tuple[float, ...]
    text_to_image: tuple[float, ...]

    @property
    def first(self) -> float:
        """Mean of recall@1 of both directions."""
        return (self.image_to_text[0] + self.text_to_image[0]) / 2


def measure_pair_recall(
    images_nd: Vectors, texts_md: Vectors, owners_n: CaptionNumbers, block: int = BLOCK
) -> PairRecall:
    """Measure recall among N images and M different captions; `owners_n` is the caption of each image.

    Any image of a caption is right for it. Ties with a wrong answer count as errors.

    >>> rows = np.eye(2, dtype=np.float32)
    >>> measure_pair_recall(rows, rows, np.array([0, 1])).first
    1.0
    """
    images, texts = range(0, len(images_nd), block), range(0, len(texts_md), block)
    by_image = [rank_captions(images_nd[at : at + block] @ texts_md.T, owners_n[at : at + block]) for at in images]
    by_text = [rank_images(texts_md[at : at + block] @ images_nd.T, owners_n, at) for at in texts]
    return PairRecall(shares_within(np.concatenate(by_image)), shares_within(np.concatenate(by_text)))


def rank_captions(similarity_bm: Vectors, owners_b: CaptionNumbers) -> CaptionNumbers:
    own = np.take_along_axis(similarity_bm, owners_b[:, None], axis=1)
    ranks: CaptionNumbers = (similarity_bm >= own).sum(axis=1)
    return ranks


def rank_images(similarity_bn: Vectors, owners_n: CaptionNumbers, first: int) -> CaptionNumbers:
    """Rank of the best own image of the captions `first`, `first` + 1, ..."""
    is_own = owners_n[None] == np.arange(first, first + len(similarity_bn))[:, None]
    best = np.where(is_own, similarity_bn, -np.inf).max(axis=1, keepdims=True)
    ranks: CaptionNumbers = ((similarity_bn >= best) & ~is_own).sum(axis=1) + 1
    return ranks


def shares_within(ranks_q: CaptionNumbers) -> tuple[float, ...]:
    return tuple(float((ranks_q <= depth).mean()) for depth in RECALL_DEPTHS)
