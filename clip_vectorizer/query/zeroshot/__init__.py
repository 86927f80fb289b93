"""Zero-shot classification through the database: the nearest label, softmax over all of them. numpy, no torch.

What others need is named here; `flow.classify` is where it begins.
"""

from clip_vectorizer.query.zeroshot.results import IMAGES_A_BATCH, Block, Classification, Embedded
from clip_vectorizer.query.zeroshot.scoring import Boost, Plain, Scorer, softmax

__all__ = ["IMAGES_A_BATCH", "Block", "Boost", "Classification", "Embedded", "Plain", "Scorer", "softmax"]
