"""The contract between the sidecar and a model that finds regions. No torch, so that fakes can implement it.

N regions · P phrases · D dimensions
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from PIL import Image

from clip_vectorizer.boxes import BoxArray, ScoreArray
from clip_vectorizer.vectors import Vectors


@dataclass(frozen=True, slots=True)
class GrounderInfo:
    """Description of a grounder, as `/meta` returns it under `grounder`."""

    name: str  # the name it was loaded by: `head`, `tiles`, `dense`, `owlv2:PATH`, ...
    revision: str  # digest of its weights and settings: equal revisions return equal regions
    fused: bool  # True: reads picture and phrases together, so its regions cannot be stored before a question
    own_vectors: bool = False  # True: `Regions.vectors_nd` are in the space of the images; else crops are embedded


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of one picture, the most object-like first."""

    boxes_n4: BoxArray
    objectness_n: ScoreArray  # 0..1: how likely the box holds one whole thing, whatever it is
    vectors_nd: Vectors | None = None  # unit rows of the grounder's own, if it has any


@dataclass(frozen=True, slots=True)
class Groundings:
    """S = O P^T of one picture, calibrated."""

    regions: Regions
    similarities_pn: ScoreArray  # what the model compares: cosines, or logits of a fused model
    probabilities_pn: ScoreArray  # 0..1: the box is of the phrase
    truncated: Mapping[int, int] = field(default_factory=dict)  # phrases that were cut: tokens read, by index


@dataclass(frozen=True, slots=True)
class RegionVectors:
    """Regions that were found before, without their picture, as a database has them."""

    vectors_nd: Vectors  # unit rows, in the space of the sidecar's model: those of crops
    objectness_n: ScoreArray  # 0..1; NaN where it is not known, as of the cells of a grid


@dataclass(frozen=True, slots=True)
class PhraseScores:
    """As `Groundings`, of regions that were found before."""

    similarities_pn: ScoreArray
    probabilities_pn: ScoreArray
    truncated: Mapping[int, int] = field(default_factory=dict)


@runtime_checkable
class RegionScorer(Protocol):
    """Compares phrases with regions that were found before. It may run in one thread at a time."""

    def score(self, regions: RegionVectors, phrases: Sequence[Sequence[str]]) -> PhraseScores:
        """All regions against all phrases, which are as in `Grounder.ground`. No picture is read."""


class Grounder(Protocol):
    """Finds regions in upright RGB pictures. Each method may run in one thread at a time."""

    @property
    def info(self) -> GrounderInfo: ...

    def propose(self, image: Image.Image, limit: int) -> Regions:
        """At most `limit` regions, without any phrase. Raises NoGrounder where the model needs phrases."""

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        """All regions against all phrases, in one pass over the picture.

        `phrases`: for each phrase its prompts, whose vectors are averaged (`vectors.ensemble`).
        """
