"""Values for `classify(boost=...)`: better results than plain CLIP, without training.

    search.classify(None, labels, boost=few_shot("label", shots=16))

Mean removal moves the images and the texts of a CLIP, which lie in two narrow cones, to the origin:

    image' = unit(image - mean of images)    text' = unit(text - mean of texts)

What all texts share distinguishes none of them, and what all images share favours the label that is near it by chance
(Liang et al. 2022 describe the gap). It helps if the prompts have much in common, such as templates that the model was
not trained with; with the templates of its training, the difference is within chance (benchmarks/adapting.py).

N images · L labels · D dimensions
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.database.schema import LABEL
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.few_shot import FewShotCache, tune_cache
from clip_vectorizer.query.adapt.linear_probe import LinearProbe
from clip_vectorizer.query.adapt.probe_file import TrainedProbe
from clip_vectorizer.query.adapt.regression import import_regression
from clip_vectorizer.query.adapt.shots import read_shots, require_shot_collection, sample_vectors
from clip_vectorizer.query.choices import DEFAULT_SHOTS
from clip_vectorizer.query.search.calls import SearchableCollection
from clip_vectorizer.query.zeroshot.scores import Boost, CosineScorer, Scorer
from clip_vectorizer.vectors import Vectors, unit

MAX_MEAN_VECTORS = 10_000  # the mean of more images is the same


def few_shot(property: str = LABEL, shots: int = DEFAULT_SHOTS) -> Boost:
    """Let stored images vote: up to `shots` per label whose `property` is that label (Tip-Adapter).

    An image that is a shot itself is classified without its own vote. A label without shots is compared by its text.
    `classify` raises InputError if there are no shots, no such property, or no collection.
    """
    return FewShotBoost(property, shots)


def linear_probe(property: str = LABEL, shots: int = DEFAULT_SHOTS) -> Boost:
    """Fit a logistic regression on the same shots and the labels' texts. Needs scikit-learn: the extra `eval`.

    Results for the shots themselves are better than for other images, because the probe was fitted on them.
    """
    return LinearProbeBoost(property, shots)


def trained_probe(probe: TrainedProbe) -> Boost:
    """Classify by a probe of `clip-vectorizer train linear-probe`, with its own labels, `probe.labels`, in their order.

    `classify` raises InputError for other labels, and where the vectors have another dimension.
    """
    return TrainedProbeBoost(probe)


def remove_means() -> Boost:
    """Subtract the mean of the collection's images from the images, and the mean of the labels from the labels."""
    return MeanRemovalBoost()


@dataclass(frozen=True, slots=True)
class FewShotBoost:
    property: str
    shots: int

    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: SearchableCollection | None
    ) -> Scorer:
        shots = read_shots(labels, self.property, self.shots, images)
        plain = CosineScorer(labels_ld, logit_scale)
        texts_ml = plain.logits(shots.vectors_md, shots.ids_m)
        return FewShotScorer(plain, tune_cache(shots.vectors_md, shots.classes_m, shots.ids_m, texts_ml))


@dataclass(frozen=True, slots=True)
class FewShotScorer:
    plain: CosineScorer
    cache: FewShotCache
    cosines: bool = False

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        return self.cache.logits(images_nd, ids, self.plain.logits(images_nd, ids))


@dataclass(frozen=True, slots=True)
class LinearProbeBoost:
    property: str
    shots: int

    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: SearchableCollection | None
    ) -> Scorer:
        import_regression()  # fails before anything is read
        shots = read_shots(labels, self.property, self.shots, images)
        return LinearProbeScorer(LinearProbe.fit(shots.vectors_md, shots.classes_m, labels_ld))


@dataclass(frozen=True, slots=True)
class LinearProbeScorer:
    probe: LinearProbe
    cosines: bool = False

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        return self.probe.logits(images_nd)


@dataclass(frozen=True, slots=True)
class TrainedProbeBoost:
    trained: TrainedProbe

    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: SearchableCollection | None
    ) -> Scorer:
        if tuple(labels) != self.trained.labels:
            raise InputError(f"the probe has labels of its own; classify by these: {', '.join(self.trained.labels)}")
        if labels_ld.shape[1] != self.trained.model.dimension:
            raise InputError(
                f"the probe is for vectors of {self.trained.model}; these have {labels_ld.shape[1]} numbers"
            )
        return LinearProbeScorer(self.trained.probe)


@dataclass(frozen=True, slots=True)
class MeanRemovalBoost:
    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: SearchableCollection | None
    ) -> Scorer:
        plain = CosineScorer(remove_mean(labels_ld, compute_mean([labels_ld])), logit_scale)
        return MeanRemovedScorer(plain, compute_mean(sample_vectors(require_shot_collection(images))))


@dataclass(frozen=True, slots=True)
class MeanRemovedScorer:
    plain: CosineScorer
    mean_d: Vectors  # (D,) of the collection's images
    cosines: bool = True

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        return self.plain.logits(remove_mean(images_nd, self.mean_d), ids)


def remove_mean(vectors_nd: Vectors, mean_d: Vectors) -> Vectors:
    """(N, D) unit rows in and out. A vector that equals the mean becomes zero."""
    return unit(vectors_nd - mean_d)


def compute_mean(parts: Iterable[Vectors]) -> Vectors:
    """Return the mean (D,) float32 of the rows of all parts, (N, D) each. Stops after MAX_MEAN_VECTORS rows.

    Raises InputError for fewer than two rows.
    """
    total, count = np.zeros(1), 0
    for part_nd in parts:
        total = total + part_nd.sum(axis=0, dtype=np.float64)
        count += len(part_nd)
        if count >= MAX_MEAN_VECTORS:
            break
    if count < 2:
        raise InputError(f"mean removal needs at least two stored images; there are {count}")
    mean: Vectors = (total / count).astype(np.float32)
    return mean
