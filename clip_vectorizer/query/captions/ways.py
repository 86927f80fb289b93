"""Ways to a caption: the nearest labels, the captions of neighbours, the labels of regions, a model of the sidecar.

L labels · N regions · B background prompts · D dimensions
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from clip_vectorizer.boxes import ScoreArray, suppress
from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.phrase_probability import calibrate
from clip_vectorizer.query.captions.captioned import CaptionStore, CaptionSubject, ImageRegions
from clip_vectorizer.query.captions.words import JOINTS, list_things
from clip_vectorizer.query.choices import CAPTION_LEAST
from clip_vectorizer.vectors import Vectors, unit

VECTOR_BATCH = 256  # images of one step, by their vectors
REGION_BATCH = 50  # of at most 100 regions each
PARALLEL_QUERIES = 4
NO_VECTOR = "stored without a vector; run clip-ingest on it again"
NO_REGIONS = "no regions are stored; make them with clip-ingest SOURCE --regions objects"
NO_THING = "no region is of any label"
NO_NEIGHBOUR = "no image of the collection has a caption"
NO_PICTURE = "stored without a picture"
NO_WORDS = "the model wrote nothing"
SPOILT = (500, 503)  # by one picture: the captioner failed, or the request took too long


@dataclass(frozen=True, slots=True)
class CaptionFailure:
    """Why an image gets no caption."""

    reason: str


CaptionOutcome = str | CaptionFailure


class CaptionWay(Protocol):
    @property
    def by(self) -> str:
        """The way, the model and its revision, as stored."""

    @property
    def batch(self) -> int:
        """Images of one call of `write`."""

    def write(self, images: Sequence[CaptionSubject], store: CaptionStore) -> list[CaptionOutcome]:
        """A caption for each image, or why there is none. Raises Unreachable, SidecarRefused."""


@dataclass(frozen=True, slots=True)
class LabelWay:
    """The names of the `count` nearest labels."""

    by: str
    names: Sequence[str]
    labels_ld: Vectors
    count: int = 1
    batch: int = VECTOR_BATCH

    def write(self, images: Sequence[CaptionSubject], store: CaptionStore) -> list[CaptionOutcome]:
        read = {each.id: each.vector for each in store.add_vectors(images)}
        return [self._name(read.get(each.id)) for each in images]

    def _name(self, vector_d: Vectors | None) -> CaptionOutcome:
        if vector_d is None:
            return CaptionFailure(NO_VECTOR)
        nearest = np.argsort(-(self.labels_ld @ unit(vector_d)), kind="stable")[: self.count]
        return JOINTS[0].join(self.names[index] for index in nearest)


@dataclass(frozen=True, slots=True)
class NeighbourWay:
    """The caption of the nearest image that has one; of several, the one most like the others (Devlin et al. 2015)."""

    by: str
    count: int = 1
    batch: int = VECTOR_BATCH

    def write(self, images: Sequence[CaptionSubject], store: CaptionStore) -> list[CaptionOutcome]:
        read = {each.id: each.vector for each in store.add_vectors(images)}

        def find(image: CaptionSubject) -> CaptionOutcome:
            vector_d = read.get(image.id)
            if vector_d is None:
                return CaptionFailure(NO_VECTOR)
            captions = store.find_captions(vector_d, self.count)
            return choose_consensus(captions) if captions else CaptionFailure(NO_NEIGHBOUR)

        with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
            return list(pool.map(find, images))


def choose_consensus(captions: Sequence[str]) -> str:
    """Return the caption that shares most words with the others, the first of equal ones.

    >>> choose_consensus(["a red car", "a dog in snow", "a dog in the snow"])
    'a dog in snow'
    """
    words = [set(caption.casefold().split()) for caption in captions]

    def similarity(one: set[str], other: set[str]) -> float:
        """F1 of the words."""
        return 2 * len(one & other) / max(1, len(one) + len(other))

    totals = [sum(similarity(each, other) for other in words) for each in words]
    return captions[totals.index(max(totals))]


@dataclass(frozen=True, slots=True)
class RegionRules:
    """Which regions are things."""

    least: float = CAPTION_LEAST  # probability of a thing that has the label
    overlap: float = 0.4  # of two things: the less probable one of more is the same thing


@dataclass(frozen=True, slots=True)
class RegionWay:
    """`a cat and a red apple`: the label of each region that is a thing."""

    by: str
    names: Sequence[str]
    labels_ld: Vectors
    background_bd: Vectors
    info: ModelInfo
    rules: RegionRules = RegionRules()
    batch: int = REGION_BATCH

    def write(self, images: Sequence[CaptionSubject], store: CaptionStore) -> list[CaptionOutcome]:
        return [self._describe(each.regions) for each in store.add_regions(images)]

    def _describe(self, regions: ImageRegions | None) -> CaptionOutcome:
        if regions is None:
            return CaptionFailure(NO_REGIONS)
        names = self.name_things(regions)
        return list_things(names) if names else CaptionFailure(NO_THING)

    def name_things(self, regions: ImageRegions) -> list[str]:
        """The label of each thing, the most probable first."""
        if not len(regions.boxes_n4):
            return []
        probabilities_ln = self._estimate(regions)
        label_n, best_n = probabilities_ln.argmax(axis=0), probabilities_ln.max(axis=0)
        likely = np.flatnonzero(best_n >= self.rules.least)
        things = likely[suppress(regions.boxes_n4[likely], best_n[likely], self.rules.overlap)]
        return [self.names[label_n[each]] for each in things]

    def _estimate(self, regions: ImageRegions) -> ScoreArray:
        """(L, N): one whole thing is in the box, it is none of the background, and of all labels it has this one.

        A sigmoid model judges each label by itself, so that there the labels do not compete.
        """
        vectors_dn = regions.vectors_nd.T
        labels_ln, background_bn = self.labels_ld @ vectors_dn, self.background_bd @ vectors_dn
        probabilities_ln = calibrate(labels_ln, background_bn, self.info.logit_scale, self.info.logit_bias)
        shares_ln = 1 if self.info.logit_bias is not None else softmax(self.info.logit_scale * labels_ln)
        return np.asarray(regions.objectness_n * probabilities_ln * shares_ln, np.float32)


def softmax(logits_ln: ScoreArray) -> ScoreArray:
    """The share of each label of a region."""
    powers_ln = np.exp(logits_ln - logits_ln.max(axis=0))
    return np.asarray(powers_ln / powers_ln.sum(axis=0), np.float32)


class PictureDescriber(Protocol):
    """The sidecar, as far as captions need it."""

    def caption_each_image(self, images: Sequence[bytes]) -> list[str | SidecarRefused]: ...


@dataclass(frozen=True, slots=True)
class ModelWay:
    """The sentence of the sidecar's captioner about the stored picture."""

    by: str
    sidecar: PictureDescriber
    batch: int = 4  # each takes up to seconds, and a request must end in time

    def write(self, images: Sequence[CaptionSubject], store: CaptionStore) -> list[CaptionOutcome]:
        read = {each.id: each.picture for each in store.add_pictures(images)}
        shown = [picture for each in images if (picture := read.get(each.id))]
        captions = iter(self._describe(shown))
        return [self._read(next(captions)) if read.get(each.id) else CaptionFailure(NO_PICTURE) for each in images]

    def _describe(self, pictures: Sequence[bytes]) -> list[str | SidecarRefused]:
        """A batch that the captioner fails at, or that takes too long, is sent again picture by picture."""
        try:
            return self.sidecar.caption_each_image(pictures)
        except SidecarRefused as refusal:
            if refusal.status not in SPOILT:
                raise
            if len(pictures) <= 1:
                return [refusal] * len(pictures)
        return [outcome for picture in pictures for outcome in self._describe([picture])]

    def _read(self, answer: str | SidecarRefused) -> CaptionOutcome:
        if isinstance(answer, SidecarRefused):
            return CaptionFailure(str(answer))
        return answer.strip() or CaptionFailure(NO_WORDS)


def with_batch(way: ModelWay, batch: int | None) -> ModelWay:
    return way if batch is None else replace(way, batch=batch)
