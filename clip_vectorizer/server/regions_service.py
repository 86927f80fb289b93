"""Finds regions for one request: in each of its images, or those of its phrases, in one image or among given ones.

N regions
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from clip_vectorizer.boxes import BoxArray
from clip_vectorizer.errors import BadRequest, ImageRefused, NoGrounder, NoTexts
from clip_vectorizer.models.encoder import ModelInfo
from clip_vectorizer.models.grounding.grounder import Groundings, PhraseScores, Regions, RegionVectors
from clip_vectorizer.protocol import IMAGES
from clip_vectorizer.server.engine import Engine
from clip_vectorizer.server.grounding import GroundingBackend, Phrases
from clip_vectorizer.server.limits import count_places
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.service import Service, check_items
from clip_vectorizer.vectors import Vectors

OPEN_PICTURES = 2  # decoded at once for one request: one is read while the other one waits for the device
PictureInput = bytes | ImageRefused  # a file, or why a field holds none


@dataclass(frozen=True, slots=True)
class RegionInputs:
    images: Sequence[PictureInput]
    limit: int  # regions of each
    vectors: bool  # of each region too


@dataclass(frozen=True, slots=True)
class GroundInputs:
    subject: PictureInput | RegionVectors  # a picture, or regions that were found before
    phrases: Phrases

    def count_prompts(self) -> int:
        return sum(map(len, self.phrases))


async def propose_regions(service: Service, inputs: RegionInputs, times: RequestTimes) -> list[Regions]:
    """The regions of each image. Raises ItemRefused for the first without any, NoGrounder, Overloaded."""
    engine, owner, room = service.ready_engine(), object(), asyncio.Semaphore(OPEN_PICTURES)
    grounding = require_grounding(engine)
    if grounding.info.fused:
        raise NoGrounder(
            f"{grounding.info.name} reads picture and phrases together, so it finds no regions without phrases; send "
            "them to POST /ground, or start the sidecar with --grounder auto"
        )

    refused: list[ImageRefused] = []  # one is enough for the request to fail: the others are only read from then on

    async def propose(data: PictureInput) -> Regions | None:
        async with room:
            try:
                picture = await open_input(engine, owner, data, times)
            except ImageRefused as error:
                refused.append(error)
                raise
            if refused:
                return None
            regions = await grounding.propose(owner, picture, inputs.limit)
            if inputs.vectors and not grounding.info.own_vectors:
                return replace(regions, vectors_nd=await embed_crops(engine, owner, picture, regions.boxes_n4))
            return regions

    with service.items.enter(count_places(0, len(inputs.images))):
        items = await asyncio.gather(*map(propose, inputs.images), return_exceptions=True)
    times.images = len(items)
    check_items([(IMAGES, index) for index in range(len(items))], items, items)
    return [item for item in items if isinstance(item, Regions)]


async def ground_phrases(service: Service, inputs: GroundInputs, times: RequestTimes) -> Groundings | PhraseScores:
    """All regions against all phrases.

    Raises ImageRefused, EncoderFailed, NoGrounder, NoTexts, BadRequest, Overloaded.
    """
    engine, owner, times.texts = service.ready_engine(), object(), inputs.count_prompts()
    if isinstance(inputs.subject, RegionVectors):
        check_dimension(inputs.subject, engine.info)
        if not engine.info.texts:
            raise NoTexts(engine.info.model)
        with service.items.enter(count_places(times.texts, 0)):
            return await score_regions(engine, owner, inputs.subject, inputs.phrases, times)
    grounding, times.images = require_grounding(engine), 1
    if grounding.info.own_vectors and not engine.info.texts:  # phrases would go through the model itself
        raise NoTexts(engine.info.model)
    with service.items.enter(count_places(times.texts, 1)):
        picture = await open_input(engine, owner, inputs.subject, times)
        start = times.since_start()
        groundings = await grounding.ground(owner, picture, inputs.phrases)
        times.encode = times.since_start() - start
    return groundings


def check_dimension(regions: RegionVectors, info: ModelInfo) -> None:
    dimension = regions.vectors_nd.shape[1]
    if dimension != info.dimension:
        raise BadRequest(
            f"regions.vectors: {dimension} numbers each, and {info.model} has {info.dimension} dimensions; "
            "send vectors of the same model"
        )


async def score_regions(
    engine: Engine, owner: object, regions: RegionVectors, phrases: Phrases, times: RequestTimes
) -> PhraseScores:
    assert engine.scoring is not None, "a sidecar has one beside every model"
    start = times.since_start()
    scores = await engine.scoring.score(owner, regions, phrases)
    times.encode = times.since_start() - start
    return scores


def require_grounding(engine: Engine) -> GroundingBackend:
    if engine.grounding is None:
        raise NoGrounder("this sidecar finds no regions; start it with --grounder auto (CLIP_GROUNDER=auto)")
    return engine.grounding


async def open_input(engine: Engine, owner: object, data: PictureInput, times: RequestTimes) -> Image.Image:
    if isinstance(data, ImageRefused):
        raise data
    start = times.since_start()
    picture = await engine.open_picture(owner, data)
    times.decode = max(times.decode, times.since_start() - start)
    return picture


async def embed_crops(engine: Engine, owner: object, picture: Image.Image, boxes_n4: BoxArray) -> Vectors:
    """(N, D): vectors of the regions, as those of images of their own."""
    items = await asyncio.gather(*(engine.region(owner, picture, share) for share in boxes_n4.tolist()))
    if not items:
        return np.empty((0, engine.info.dimension), np.float32)
    return np.stack([item.row.vector for item in items])
