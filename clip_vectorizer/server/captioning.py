"""Captions: pictures of all requests, described a few at a time by the captioner on its device.

The captioner runs as a grounder does (`server.grounding`): on the thread of the model's first device, after all other
work, and batches of texts and images run in its breaks. Pictures that wait when it becomes free go together.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from PIL import Image

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.captioning.captioner import Captioner, CaptionerInfo
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.grounding import measure_seconds
from clip_vectorizer.server.queues import FairQueue

BATCH = 8  # pictures: each has several beams, so a batch is some 16 to 24 rows


class CaptioningBackend(Protocol):
    """Runs a captioner: a `DeviceCaptioning`, or the connection to the process that has one. Raises EncoderFailed."""

    @property
    def info(self) -> CaptionerInfo: ...

    async def caption(self, owner: object, picture: Image.Image) -> str: ...


@dataclass(frozen=True, slots=True)
class WaitingPicture:
    picture: Image.Image
    caption: "asyncio.Future[str]"


class DeviceCaptioning:
    """Runs `captioner` on the first device of `batcher`. Every caller gets exactly one caption or error.

    `observe` gets the number of pictures and the seconds of each pass.
    """

    def __init__(self, captioner: Captioner, batcher: Batcher, observe: Callable[[int, float], None]) -> None:
        self._captioner, self._batcher, self._observe = captioner, batcher, observe
        self._waiting: FairQueue[WaitingPicture] = FairQueue()
        self._runner: asyncio.Task[None] | None = None

    @property
    def info(self) -> CaptionerInfo:
        return self._captioner.info

    async def caption(self, owner: object, picture: Image.Image) -> str:
        waiting = WaitingPicture(picture, asyncio.get_running_loop().create_future())
        self._waiting.push(owner, waiting)
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run())
        return await waiting.caption

    async def _run(self) -> None:
        """Describe pictures while any waits."""
        while batch := self._take():
            await self._describe(batch)

    def _take(self) -> list[WaitingPicture]:
        """The next pictures whose callers still wait; owners take turns."""
        batch: list[WaitingPicture] = []
        while self._waiting and len(batch) < BATCH:
            waiting = self._waiting.pop()
            if not waiting.caption.done():
                batch.append(waiting)
        return batch

    async def _describe(self, batch: Sequence[WaitingPicture]) -> None:
        """A batch that fails is tried again picture by picture."""
        try:
            captions = await self._write([each.picture for each in batch])
        except EncoderFailed as error:
            if len(batch) > 1:
                for each in batch:
                    await self._describe([each])
            elif not batch[0].caption.done():
                batch[0].caption.set_exception(error)
            return
        for each, caption in zip(batch, captions, strict=True):
            if not each.caption.done():  # done: its caller left
                each.caption.set_result(caption)

    async def _write(self, pictures: Sequence[Image.Image]) -> list[str]:
        """Raises EncoderFailed for every error of the captioner: it may raise anything."""
        try:
            captions, seconds = await self._batcher.run_long(
                self, partial(measure_seconds, partial(self._captioner.caption, pictures))
            )
        except EncoderFailed:
            raise
        except Exception as error:
            raise EncoderFailed(f"the captioner failed: {error or type(error).__name__}") from error
        if len(captions) != len(pictures):
            raise EncoderFailed(f"the captioner returned {len(captions)} captions for {len(pictures)} pictures")
        self._observe(len(pictures), seconds)
        return captions
