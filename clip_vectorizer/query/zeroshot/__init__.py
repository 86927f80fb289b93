"""Zero-shot classification through the database: the nearest label, softmax over all of them. numpy, no torch.

What others need is named here; `flow.classify` is where it begins.
"""

from clip_vectorizer.query.zeroshot.results import Classification, ImageBatch
from clip_vectorizer.query.zeroshot.scores import Boost, CosineScorer, Scorer, softmax

__all__ = ["Boost", "Classification", "CosineScorer", "ImageBatch", "Scorer", "softmax"]
