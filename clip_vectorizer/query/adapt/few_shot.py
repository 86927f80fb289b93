"""A cache of labelled images that votes together with the texts: Tip-Adapter (Zhang et al. 2022), without training.

    logits = temperature * (logit scale * cosine to the label + alpha * affinity to the label's shots)
    affinity = mean over a label's shots of exp(-beta * (1 - cosine to the shot))

With the same number of shots per label the mean is the paper's sum, except for a factor that alpha includes. With
different numbers a sum would favour the labels that have more. N images · M shots · L labels · D dimensions
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Vectors

TWIN_DISTANCE = (
    3e-6  # 1 - cosine of the same file, embedded twice: below 1e-6, and the rounding of two float32 products
)
MAX_AFFINITIES = 4_000_000  # affinities in memory at a time: 16 MB
MAX_JUDGES = 4_096  # shots left out in turn at most, evenly spread: more do not change the choice
ALPHAS = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
BETAS = (1.0, 2.0, 4.0, 8.0, 16.0)
TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
# The paper's values, for one shot per label, which leaves no validation data: alpha 1 for a sum of sixteen.
DEFAULT_ALPHA, DEFAULT_BETA = 16.0, 5.5

ClassIndices = npt.NDArray[np.intp]
BoolMask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FewShotCache:
    """`classes_m`: the label of each shot, as a row of the labels, ascending."""

    shots_md: Vectors  # (M, D) unit rows
    classes_m: ClassIndices
    ids_m: Sequence[str]  # of the shots' objects; an image that is a shot itself gets no vote from itself
    alpha: float = DEFAULT_ALPHA
    beta: float = DEFAULT_BETA
    temperature: float = 1.0

    def logits(self, images_nd: Vectors, ids: Sequence[str], text_logits_nl: Vectors) -> Vectors:
        """Return (N, L) float32. A label without shots gets the mean affinity of the others: only its text counts."""
        rows = [
            self.temperature * (text_logits_nl[part] + self.alpha * self.affinities(images_nd[part], ids[part], labels))
            for labels in [text_logits_nl.shape[1]]
            for part in split_rows(len(images_nd), len(self.shots_md))
        ]
        joined: Vectors = np.concatenate(rows).astype(np.float32) if rows else text_logits_nl
        return joined

    def affinities(self, images_nd: Vectors, ids: Sequence[str], labels: int) -> Vectors:
        """Return (N, L). The image's own shot, with the same id or the same vector (same bytes), is left out."""
        cosines_nm = images_nd @ self.shots_md.T
        votes_nm = (cosines_nm < 1 - TWIN_DISTANCE) & ~match_ids(ids, self.ids_m)
        return compute_class_means(np.exp(-self.beta * (1 - cosines_nm)) * votes_nm, votes_nm, self.classes_m, labels)


def split_rows(images: int, shots: int) -> Iterator[slice]:
    step = max(1, MAX_AFFINITIES // max(1, shots))
    return (slice(start, start + step) for start in range(0, images, step))


def match_ids(ids: Sequence[str], shot_ids: Sequence[str]) -> BoolMask:
    """Return (N, M): whether an image is that shot. An empty id matches nothing."""
    places = {id: place for place, id in enumerate(shot_ids) if id}
    same_nm = np.zeros((len(ids), len(shot_ids)), dtype=bool)
    for row, id in enumerate(ids):
        if (place := places.get(id)) is not None:
            same_nm[row, place] = True
    return same_nm


def compute_class_means(values_nm: Vectors, votes_nm: BoolMask, classes_m: ClassIndices, labels: int) -> Vectors:
    """Return (N, L), means over the shots that vote. A label without votes gets the mean of the labels with votes."""
    present, starts = np.unique(classes_m, return_index=True)  # ascending, so each class is one run
    counts = np.add.reduceat(votes_nm, starts, axis=1, dtype=np.intp)
    means = np.add.reduceat(values_nm, starts, axis=1) / np.maximum(counts, 1)
    has_votes = counts > 0
    neutral_n1 = (means * has_votes).sum(axis=1, keepdims=True) / np.maximum(has_votes.sum(axis=1, keepdims=True), 1)
    result: Vectors = np.repeat(neutral_n1, labels, axis=1).astype(np.float32)
    result[:, present] = np.where(has_votes, means, neutral_n1)
    return result


def tune_cache(
    shots_md: Vectors, classes_m: ClassIndices, ids_m: Sequence[str], text_logits_ml: Vectors
) -> FewShotCache:
    """Return a cache with the alpha, beta and temperature that are best when each shot in turn is left out.

    `text_logits_ml`: (M, L) of the shots themselves. The best has most shots right, then the least cross-entropy. The
    temperature is chosen by cross-entropy alone, which calibrates the scores. With one shot per label nothing can be
    left out: the paper's alpha and beta.
    """
    order = np.argsort(classes_m, kind="stable")
    cache = FewShotCache(shots_md[order], classes_m[order], [ids_m[place] for place in order])
    judges = choose_judges(cache.classes_m)
    if not len(judges):
        return cache
    texts, truth = text_logits_ml[order][judges], cache.classes_m[judges]
    attempts = [attempt for beta in BETAS for attempt in try_alphas(replace(cache, beta=beta), judges, texts, truth)]
    *_, best = max(attempts, key=lambda each: each[:2])  # the first of equals: the smallest beta, then alpha
    return best


def choose_judges(classes_m: ClassIndices) -> ClassIndices:
    """Return the indices of shots whose class has another shot."""
    counts = np.bincount(classes_m)
    several: ClassIndices = np.flatnonzero(counts[classes_m] > 1)
    return several[:: max(1, -(-len(several) // MAX_JUDGES))]


def try_alphas(
    cache: FewShotCache, judges: ClassIndices, texts_jl: Vectors, truth_j: ClassIndices
) -> Iterator[tuple[float, float, FewShotCache]]:
    """Yield share of right shots, negative cross-entropy and cache for each alpha, at its best temperature."""
    ids = [cache.ids_m[place] for place in judges]
    affinities_jl = np.concatenate(
        [
            cache.affinities(cache.shots_md[judges[part]], ids[part], texts_jl.shape[1])
            for part in split_rows(len(judges), len(cache.shots_md))
        ]
    )
    for alpha in ALPHAS:
        logits_jl = (texts_jl + alpha * affinities_jl).astype(np.float64)
        right = float((logits_jl.argmax(axis=1) == truth_j).mean())
        loss, temperature = min((cross_entropy(each * logits_jl, truth_j), each) for each in TEMPERATURES)
        yield right, -loss, replace(cache, alpha=alpha, temperature=temperature)


def cross_entropy(logits_jl: npt.NDArray[np.float64], truth_j: ClassIndices) -> float:
    """Return the mean of -log softmax at the true label, in nats."""
    shifted = logits_jl - logits_jl.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(truth_j)), truth_j]
    return float((np.log(np.exp(shifted).sum(axis=1)) - own).mean())
