"""Writes captions for the images of one request."""

import asyncio
from collections.abc import Sequence

from clip_vectorizer.errors import ImageRefused, NoCaptioner
from clip_vectorizer.protocol import IMAGES
from clip_vectorizer.server.captioning import CaptioningBackend
from clip_vectorizer.server.engine import Engine
from clip_vectorizer.server.limits import count_places
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.regions_service import PictureInput, open_input
from clip_vectorizer.server.service import Service, check_items

OPEN_PICTURES = 8  # decoded at once for one request: as many as go into one pass


async def write_captions(service: Service, images: Sequence[PictureInput], times: RequestTimes) -> list[str]:
    """The caption of each image. Raises ItemRefused for the first without one, NoCaptioner, Overloaded."""
    engine, owner, room = service.ready_engine(), object(), asyncio.Semaphore(OPEN_PICTURES)
    captioning = require_captioning(engine)
    refused: list[ImageRefused] = []  # one is enough for the request to fail: the others are only read from then on

    async def write(data: PictureInput) -> str:
        async with room:
            try:
                picture = await open_input(engine, owner, data, times)
            except ImageRefused as error:
                refused.append(error)
                raise
            return "" if refused else await captioning.caption(owner, picture)

    with service.items.enter(count_places(0, len(images))):
        items = await asyncio.gather(*map(write, images), return_exceptions=True)
    times.images = len(items)
    check_items([(IMAGES, index) for index in range(len(items))], items, items)
    return [item for item in items if isinstance(item, str)]


def require_captioning(engine: Engine) -> CaptioningBackend:
    if engine.captioning is None:
        raise NoCaptioner(
            "this sidecar writes no captions; start it with --captioner transformers:PATH or coca:ARCHITECTURE::TAG "
            "(CLIP_CAPTIONER)"
        )
    return engine.captioning
