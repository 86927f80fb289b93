"""Regions and captions across processes arrive with every bit."""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.captioning.captioner import CaptionerInfo
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, PhraseScores, Regions, RegionVectors
from clip_vectorizer.server.grounding import Phrases
from clip_vectorizer.server.workers.ipc import FramePart, MessageType
from clip_vectorizer.server.workers.picture_frames import (
    PictureRequests,
    PictureSession,
    RemoteCaptioning,
    RemoteGrounding,
    RemoteScoring,
)

INFO = GrounderInfo("rows", "1", fused=False)


class RandomGrounding:
    """A backend whose numbers depend on the picture; it fails for a limit or a phrase of 13."""

    info = INFO

    def __init__(self, count: int, seconds: float = 0.0) -> None:
        self.count, self.seconds, self.pictures = count, seconds, [Image.new("RGB", (1, 1))]
        self.cancelled = 0

    async def propose(self, owner: object, picture: Image.Image, limit: int) -> Regions:
        self.pictures.append(picture)
        if limit == 13:
            raise EncoderFailed("the grounder failed: 13")
        await self._wait()
        return self.regions()

    async def ground(self, owner: object, picture: Image.Image, phrases: Phrases) -> Groundings:
        scores = np.random.default_rng(2).random((2, len(phrases), self.count), np.float32)
        return Groundings(self.regions(), scores[0], scores[1].T.copy().T, {0: 7})

    def regions(self) -> Regions:
        random = np.random.default_rng(1)
        boxes, objectness = random.random((self.count, 4), np.float32), random.random(self.count, np.float32)
        return Regions(boxes, objectness, random.random((self.count, 3), np.float32))

    async def _wait(self) -> None:
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class KeptScoring:
    """Keeps the regions that it gets; their scores are random numbers. It fails for no objectness at all."""

    def __init__(self) -> None:
        self.regions: list[RegionVectors] = []

    async def score(self, owner: object, regions: RegionVectors, phrases: Phrases) -> PhraseScores:
        if np.isnan(regions.objectness_n).all():
            raise EncoderFailed("the grounder failed: nothing is known")
        self.regions.append(regions)
        scores = np.random.default_rng(3).random((2, len(phrases), len(regions.objectness_n)), np.float32)
        return PhraseScores(scores[0], scores[1], {1: 7})


class SizeCaptioning:
    """The caption of a picture is its size; a picture of one pixel gets none."""

    info = CaptionerInfo("size", "1")

    async def caption(self, owner: object, picture: Image.Image) -> str:
        if picture.size == (1, 1):
            raise EncoderFailed("the captioner failed: too small")
        return f"{picture.width} \u00d7 {picture.height}"


class Wire:
    """Both ends of a stream, without a socket between."""

    def __init__(self, grounding: RandomGrounding) -> None:
        self.kept = KeptScoring()
        self.session = PictureSession(self, grounding, SizeCaptioning(), self.kept)  # type: ignore[arg-type]
        self.requests = PictureRequests(self)  # type: ignore[arg-type]
        self.worker = RemoteGrounding(self.requests, INFO)
        self.scoring = RemoteScoring(self.requests)
        self.captioning = RemoteCaptioning(self.requests, SizeCaptioning.info)

    def send(self, message: int, *parts: FramePart) -> None:
        body = bytearray(b"".join(parts))
        receive: dict[int, Any] = {
            MessageType.GROUND: self.session.start,
            MessageType.GROUND_GONE: self.session.gone,
            MessageType.GROUNDED: self.requests.receive,
        }
        receive[message](body)

    async def room(self) -> None:
        pass


@given(count=st.integers(0, 5), phrases=st.integers(1, 3))
def test_what_the_model_returns_is_what_the_worker_gets(count: int, phrases: int) -> None:
    backend = RandomGrounding(count)
    picture = Image.effect_noise((5, 3), 90).convert("RGB")

    async def run() -> None:
        wire = Wire(backend)
        found = await wire.worker.propose(object(), picture, 4)
        expected = backend.regions()
        assert np.array_equal(found.boxes_n4, expected.boxes_n4)
        assert found.vectors_nd is not None and expected.vectors_nd is not None
        assert np.array_equal(found.vectors_nd.ravel(), expected.vectors_nd.ravel())
        asked = [["a", "b"]] * phrases
        grounded, theirs = await wire.worker.ground(object(), picture, asked), await backend.ground(1, picture, asked)
        assert np.array_equal(grounded.similarities_pn, theirs.similarities_pn)
        assert np.array_equal(grounded.probabilities_pn, theirs.probabilities_pn)
        assert grounded.truncated == {0: 7}

    asyncio.run(run())
    assert backend.pictures[-1].tobytes() == picture.tobytes() and backend.pictures[-1].size == picture.size


@given(count=st.integers(1, 5), phrases=st.integers(1, 3))
def test_vectors_of_regions_and_their_scores_arrive_with_every_bit(count: int, phrases: int) -> None:
    random = np.random.default_rng(count)
    objectness_n = np.array([0.25, *[np.nan] * (count - 1)], np.float32)
    regions = RegionVectors(random.random((count, 3), np.float32), objectness_n)

    async def run() -> None:
        wire = Wire(RandomGrounding(1))
        found = await wire.scoring.score(object(), regions, [["a", "b"]] * phrases)
        [kept] = wire.kept.regions
        assert np.array_equal(kept.vectors_nd, regions.vectors_nd)
        assert np.array_equal(kept.objectness_n, objectness_n, equal_nan=True)
        expected = await wire.kept.score(object(), regions, [["a", "b"]] * phrases)
        assert np.array_equal(found.similarities_pn, expected.similarities_pn)
        assert np.array_equal(found.probabilities_pn, expected.probabilities_pn) and found.truncated == {1: 7}
        unknown = RegionVectors(regions.vectors_nd, np.full(count, np.nan, np.float32))
        with pytest.raises(EncoderFailed, match="nothing is known"):
            await wire.scoring.score(object(), unknown, [["a"]])

    asyncio.run(run())


def test_an_error_is_the_models_sentence() -> None:
    async def run() -> None:
        with pytest.raises(EncoderFailed, match="the grounder failed: 13"):
            await Wire(RandomGrounding(1)).worker.propose(object(), Image.new("RGB", (1, 1)), 13)

    asyncio.run(run())


def test_captions_and_their_errors_arrive_beside_regions() -> None:
    async def run() -> None:
        wire = Wire(RandomGrounding(2))
        pictures = [Image.new("RGB", (width, 3)) for width in (4, 5)]
        captions = asyncio.gather(*(wire.captioning.caption(object(), each) for each in pictures))
        regions = await wire.worker.propose(object(), pictures[0], 4)
        assert await captions == ["4 \u00d7 3", "5 \u00d7 3"] and len(regions.boxes_n4) == 2
        with pytest.raises(EncoderFailed, match="the captioner failed: too small"):
            await wire.captioning.caption(object(), Image.new("RGB", (1, 1)))

    asyncio.run(run())


def test_a_caller_that_leaves_and_a_worker_that_ends_cancel_their_pictures() -> None:
    backend = RandomGrounding(1, seconds=30)

    async def run() -> None:
        wire = Wire(backend)
        tasks = [asyncio.create_task(wire.worker.propose(object(), Image.new("RGB", (1, 1)), 4)) for _ in range(2)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        assert backend.cancelled == 1
        wire.session.close()
        await asyncio.sleep(0.01)
        assert backend.cancelled == 2
        tasks[1].cancel()

    asyncio.run(run())
