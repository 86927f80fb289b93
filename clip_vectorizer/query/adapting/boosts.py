"""What `classify(boost=...)` takes: better than plain CLIP, and nothing is trained.

    search.classify(None, labels, boost=few_shot("label", shots=16))

N images · L labels · D dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clip_vectorizer.query.adapting.few_shot import FewShot, chosen
from clip_vectorizer.query.adapting.means import mean_of, remove
from clip_vectorizer.query.adapting.probe import LinearProbe, regression
from clip_vectorizer.query.adapting.shots import connected, sample, shots_of
from clip_vectorizer.query.searching.answering import ImageStore
from clip_vectorizer.query.zeroshot.scoring import Boost, Plain, Scorer
from clip_vectorizer.schema import LABEL
from clip_vectorizer.vectors import Vectors

SHOTS = 16  # as in the papers; more help further


def few_shot(property: str = LABEL, shots: int = SHOTS) -> Boost:
    """A cache of stored images whose `property` is one of the labels, up to `shots` of each (Tip-Adapter).

    An image that is a shot itself is judged without its own vote. A label without shots goes by its text.
    """
    return FewShotBoost(property, shots)


def linear_probe(property: str = LABEL, shots: int = SHOTS) -> Boost:
    """Logistic regression on the same shots and the labels' texts. Needs scikit-learn: the extra `eval`.

    It knows the shots by heart: what it says about them is better than what it says about others.
    """
    return ProbeBoost(property, shots)


def remove_means() -> Boost:
    """The mean of the collection's images is taken off the images, that of the labels' texts off the labels."""
    return MeansBoost()


@dataclass(frozen=True, slots=True)
class FewShotBoost:
    property: str
    shots: int

    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: ImageStore | None
    ) -> Scorer:
        shots = shots_of(labels, self.property, self.shots, images)
        plain = Plain(labels_ld, logit_scale)
        texts_ml = plain.logits(shots.vectors_md, shots.ids_m)
        return WithCache(plain, chosen(shots.vectors_md, shots.classes_m, shots.ids_m, texts_ml))


@dataclass(frozen=True, slots=True)
class WithCache:
    plain: Plain
    cache: FewShot
    cosines: bool = False

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        return self.cache.logits(images_nd, ids, self.plain.logits(images_nd, ids))


@dataclass(frozen=True, slots=True)
class ProbeBoost:
    property: str
    shots: int

    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: ImageStore | None
    ) -> Scorer:
        regression()  # before anything is read
        shots = shots_of(labels, self.property, self.shots, images)
        return ByProbe(LinearProbe.fit(shots.vectors_md, shots.classes_m, labels_ld))


@dataclass(frozen=True, slots=True)
class ByProbe:
    probe: LinearProbe
    cosines: bool = False

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        return self.probe.logits(images_nd)


@dataclass(frozen=True, slots=True)
class MeansBoost:
    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: ImageStore | None
    ) -> Scorer:
        plain = Plain(remove(labels_ld, mean_of([labels_ld])), logit_scale)
        return WithoutMean(plain, mean_of(sample(connected(images))))


@dataclass(frozen=True, slots=True)
class WithoutMean:
    plain: Plain
    mean_d: Vectors  # (D,) of the collection's images
    cosines: bool = True

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        return self.plain.logits(remove(images_nd, self.mean_d), ids)
