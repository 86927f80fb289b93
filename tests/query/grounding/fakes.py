"""A sidecar that grounds and stored regions, small enough to check by eye.

Both have the same three regions: left half red, right half green, and the left half once more, a little smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from clip_vectorizer.address_guard import PUBLIC_ONLY
from clip_vectorizer.boxes import ScoreArray
from clip_vectorizer.client import Groundings, ModelInfo, PhraseScores, Regions, RegionVectors
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.query.grounding.ground import GroundContext
from clip_vectorizer.query.grounding.region_reader import StoredRegions
from clip_vectorizer.vectors import Vectors, ensemble
from tests.query.fakes import INFO, FakeSidecar, picture, vector_of

LEFT, RIGHT, SMALLER = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.9)
BOXES_N4 = np.array([LEFT, RIGHT, SMALLER], dtype=np.float32)
OBJECTNESS_N = np.array([0.9, 0.8, np.nan], dtype=np.float32)
VECTORS_ND = np.stack([vector_of("red"), vector_of("green"), vector_of("red")])


@dataclass
class FakeGroundingSidecar(FakeSidecar):
    """Probabilities are the cosines of `VECTORS_ND`; the smaller box's are a little less."""

    refusal: SidecarRefused | None = None
    stored_refusal: SidecarRefused | None = None  # of stored regions
    stored: list[RegionVectors] = field(default_factory=list)  # regions of all requests
    factor: float = 1.0  # of all scores
    phrases: list[list[str]] = field(default_factory=list)  # the prompts of the last request

    def ground(self, image: bytes, phrases: Sequence[Sequence[str]]) -> Groundings:
        if self.refusal is not None:
            raise self.refusal
        assert image.startswith(b"\x89PNG")
        scores_pn = self._compare(VECTORS_ND, phrases)
        return Groundings(Regions(BOXES_N4, np.ones(3, dtype=np.float32)), scores_pn, scores_pn)

    def score_regions(self, regions: RegionVectors, phrases: Sequence[Sequence[str]]) -> PhraseScores:
        if self.stored_refusal is not None:
            raise self.stored_refusal
        self.stored.append(regions)
        scores_pn = self._compare(regions.vectors_nd, phrases)
        return PhraseScores(scores_pn, scores_pn)

    def _compare(self, vectors_nd: Vectors, phrases: Sequence[Sequence[str]]) -> ScoreArray:
        self.phrases = [list(prompts) for prompts in phrases]
        prompts = [ensemble(np.stack([vector_of(prompt) for prompt in each])) for each in phrases]
        cosines_pn: ScoreArray = np.stack(prompts) @ vectors_nd.T * np.array([1, 1, 0.9], dtype=np.float32)
        return cosines_pn * np.float32(self.factor)


@dataclass
class FakeRegions:
    """The stored regions of `scene.png`."""

    keys: list[str] = field(default_factory=list)  # what was fetched
    vectors_nd: Vectors = field(default_factory=lambda: VECTORS_ND)

    def fetch(self, key: str) -> StoredRegions:
        self.keys.append(key)
        if key != "scene.png":
            raise InputError(f"no file and no image of the collection Image is called {key}")
        return StoredRegions("scene.png", BOXES_N4, RegionVectors(self.vectors_nd, OBJECTNESS_N))

    def fetch_picture(self, path: str) -> bytes:
        assert path == "scene.png"
        return picture("red")


def build_context(
    sidecar: FakeGroundingSidecar | None = None, regions: FakeRegions | None = None, info: ModelInfo = INFO
) -> GroundContext:
    return GroundContext(info, sidecar or FakeGroundingSidecar(), regions, PUBLIC_ONLY)
