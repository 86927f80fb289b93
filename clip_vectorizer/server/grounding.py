"""Regions and phrases of one picture: the decoded picture, the grounder on its device, and what it returns, checked.

Regions that were found before need no picture: a scorer compares them. Grounder and scorer run on the thread of the
model's first device, one picture at a time, so they and the model never run at once; batches of texts and images run in
their breaks (`models.pauses`). Requests take turns picture by picture.

N regions · P phrases · D dimensions
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from PIL import Image

from clip_vectorizer.errors import EncoderFailed, ImageRefused
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.models.grounding.grounder import (
    Grounder,
    GrounderInfo,
    Groundings,
    PhraseScores,
    Regions,
    RegionScorer,
    RegionVectors,
)
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.decode import add_hint

LEAST_SIDE = 1024  # of a picture's shorter side that is kept: as much as any grounder reads
MOST_PIXELS = 16_000_000  # of a picture that is kept: the shorter side of a panorama is no measure
Phrases = Sequence[Sequence[str]]  # for each phrase its prompts
ResultT = TypeVar("ResultT")


class GroundingBackend(Protocol):
    """Runs a grounder: a `DeviceGrounding`, or the connection to the process that has one. Raises EncoderFailed."""

    @property
    def info(self) -> GrounderInfo: ...

    async def propose(self, owner: object, picture: Image.Image, limit: int) -> Regions: ...

    async def ground(self, owner: object, picture: Image.Image, phrases: Phrases) -> Groundings: ...


class ScoringBackend(Protocol):
    """Runs a RegionScorer: a `DeviceScoring`, or the connection to the process that has one. Raises EncoderFailed."""

    async def score(self, owner: object, regions: RegionVectors, phrases: Phrases) -> PhraseScores: ...


class DeviceRunner:
    """Runs calls on the first device of `batcher`. `observe` gets the name and the seconds of each."""

    def __init__(self, batcher: Batcher, observe: Callable[[str, float], None]) -> None:
        self._batcher, self._observe = batcher, observe

    async def run(self, operation: str, owner: object, work: Callable[[], ResultT]) -> ResultT:
        """Raises EncoderFailed for every error of the grounder: it may raise anything."""
        timed = partial(measure_seconds, work)
        try:
            result, seconds = await self._batcher.run_long(owner, timed)
        except EncoderFailed:
            raise
        except Exception as error:
            raise EncoderFailed(f"the grounder failed: {error or type(error).__name__}") from error
        self._observe(operation, seconds)
        return result


class DeviceGrounding:
    """Runs `grounder`."""

    def __init__(self, grounder: Grounder, runner: DeviceRunner) -> None:
        self._grounder, self._runner = grounder, runner

    @property
    def info(self) -> GrounderInfo:
        return self._grounder.info

    async def propose(self, owner: object, picture: Image.Image, limit: int) -> Regions:
        regions = await self._runner.run("propose", owner, partial(self._grounder.propose, picture, limit))
        check_regions(regions)
        return regions

    async def ground(self, owner: object, picture: Image.Image, phrases: Phrases) -> Groundings:
        groundings = await self._runner.run("ground", owner, partial(self._grounder.ground, picture, phrases))
        check_groundings(groundings, len(phrases))
        return groundings


class DeviceScoring:
    """Runs `scorer`."""

    def __init__(self, scorer: RegionScorer, runner: DeviceRunner) -> None:
        self._scorer, self._runner = scorer, runner

    async def score(self, owner: object, regions: RegionVectors, phrases: Phrases) -> PhraseScores:
        scores = await self._runner.run("score", owner, partial(self._scorer.score, regions, phrases))
        check_scores(scores, (len(phrases), len(regions.objectness_n)))
        return scores


def measure_seconds(work: Callable[[], ResultT]) -> tuple[ResultT, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def check_regions(regions: Regions) -> None:
    """Raises EncoderFailed where there are not four numbers and a score for each region, or one is not finite."""
    count = len(regions.objectness_n)
    if regions.boxes_n4.shape != (count, 4) or regions.objectness_n.shape != (count,):
        raise EncoderFailed(f"the grounder returned {len(regions.boxes_n4)} boxes and {count} scores")
    check_finite(regions.boxes_n4, regions.objectness_n, regions.vectors_nd)


def check_groundings(groundings: Groundings, phrases: int) -> None:
    """As `check_regions`, for a similarity and a probability of each phrase and region."""
    check_regions(groundings.regions)
    check_scores(groundings, (phrases, len(groundings.regions.objectness_n)))


def check_scores(scores: Groundings | PhraseScores, expected: tuple[int, int]) -> None:
    """Raises EncoderFailed unless there is a finite similarity and probability for each phrase and region."""
    for scores_pn in (scores.similarities_pn, scores.probabilities_pn):
        if scores_pn.shape != expected:
            raise EncoderFailed(f"the grounder returned {scores_pn.shape} scores for {expected} phrases and regions")
    check_finite(scores.similarities_pn, scores.probabilities_pn)


def check_finite(*arrays: np.ndarray | None) -> None:
    if not all(np.isfinite(array).all() for array in arrays if array is not None):
        raise EncoderFailed("the grounder gave NaN or infinity")


def open_picture(data: bytes, settings: DecodeSettings) -> Image.Image:
    """The first picture of a file, upright RGB in sRGB, with no more pixels than a grounder reads.

    Raises ImageRefused as `decode_pixels` does.
    """
    try:
        image = decode_image(data, settings, LEAST_SIDE)
    except ImageRefused as error:
        raise add_hint(error) from error
    whole = (0.0, 0.0, *image.pixels.size)
    left, top, right, bottom = map(round, image.box)
    picture = image.pixels if image.box == whole else image.pixels.crop((left, top, right, bottom))
    factor = count_reductions(*picture.size)
    return picture.reduce(factor) if factor > 1 else picture


def count_reductions(width: int, height: int) -> int:
    """How many times smaller a picture becomes.

    >>> count_reductions(1500, 1000), count_reductions(4000, 3000), count_reductions(60_000, 1000)
    (1, 2, 2)
    """
    return max(1, min(width, height) // LEAST_SIDE, math.ceil(math.sqrt(width * height / MOST_PIXELS)))
