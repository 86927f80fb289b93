"""From the cosines of phrases and regions to probabilities: the same for a sidecar's regions and for stored ones.

P phrases · N regions · B background prompts
"""

import numpy as np

from clip_vectorizer.boxes import ScoreArray

# What a region is called that is of no phrase: nothing, anything, a part of something.
BACKGROUND = (
    *("", "a picture", "a background", "an empty white background", "a plain surface", "a texture"),
    *("nothing", "something", "a thing", "an object", "a part of something", "several different things"),
)


def calibrate(
    similarities_pn: ScoreArray, background_bn: ScoreArray, logit_scale: float, logit_bias: float | None = None
) -> ScoreArray:
    """(P, N), 0..1: rises with the similarity, across all phrases and regions of one picture.

    `background_bn`: cosines of BACKGROUND. A sigmoid model (SigLIP) has a bias: sigmoid(scale * cosine + bias).
    A softmax model gets the zero-shot classification of Radford et al. 2021, section 3.1.2, of the phrase against the
    prompts of a background: e^(s c) / (e^(s c) + sum over b of e^(s c_b)) = sigmoid(s c - level), level = log of that
    sum. With a level of each region, one of less similarity could win; so the picture's highest level stands for all:
    the best region of a phrase is compared with the best region of the background, out of as many.
    """
    if logit_bias is not None:
        return sigmoid(logit_scale * similarities_pn + logit_bias)
    with np.errstate(invalid="ignore"):  # a vector of NaN makes probabilities of NaN, which the caller refuses
        levels_n = np.logaddexp.reduce(logit_scale * background_bn.astype(np.float64), axis=0)
    return sigmoid(logit_scale * similarities_pn - levels_n.max(initial=-np.inf))


def sigmoid(logits: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> ScoreArray:
    """float32, without overflow: (1 + tanh(x / 2)) / 2."""
    return np.asarray((1 + np.tanh(np.asarray(logits, np.float64) / 2)) / 2, dtype=np.float32)
