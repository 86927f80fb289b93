"""Regions and captions across processes: a worker sends a request with a decoded picture, or with the vectors of its
regions, and the model's process returns JSON.

N regions · P phrases · D dimensions
"""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from PIL import Image

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.captioning.captioner import CaptionerInfo
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, PhraseScores, Regions, RegionVectors
from clip_vectorizer.server.captioning import CaptioningBackend
from clip_vectorizer.server.grounding import GroundingBackend, Phrases, ScoringBackend
from clip_vectorizer.server.workers.ipc import GROUND_STRUCT, NUMBER_STRUCT, FramePart, FrameStream, MessageType
from clip_vectorizer.vectors import Vectors

Payload = Image.Image | Vectors  # a picture, or a row for each of its regions


class PictureRequests:
    """Payloads that a worker sends to the model's process. Each gets one result as long as the connection holds."""

    def __init__(self, stream: FrameStream) -> None:
        self._stream, self._numbers = stream, itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def send(self, owner: object, payload: Payload, request: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        fields: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = fields
        self._stream.send(MessageType.GROUND, *pack_request(number, id(owner), payload, request))
        try:
            await self._stream.room()
            return await fields
        finally:
            del self._waiting[number]
            if not fields.done() or fields.cancelled():  # the caller left first
                self._stream.send(MessageType.GROUND_GONE, NUMBER_STRUCT.pack(number))

    def receive(self, body: bytearray) -> None:
        """Deliver a result or an error that was received."""
        [number] = NUMBER_STRUCT.unpack_from(body)
        fields = orjson.loads(memoryview(body)[NUMBER_STRUCT.size :])
        waiting = self._waiting.get(number)
        if waiting is None or waiting.done():
            return
        if "error" in fields:
            waiting.set_exception(EncoderFailed(fields["error"]))
        else:
            waiting.set_result(fields)


class RemoteGrounding:
    """The `GroundingBackend` of a worker."""

    def __init__(self, requests: PictureRequests, info: GrounderInfo) -> None:
        self._requests, self.info = requests, info

    async def propose(self, owner: object, picture: Image.Image, limit: int) -> Regions:
        return unpack_regions(await self._requests.send(owner, picture, {"limit": limit}))

    async def ground(self, owner: object, picture: Image.Image, phrases: Phrases) -> Groundings:
        return unpack_groundings(await self._requests.send(owner, picture, {"phrases": phrases}))


class RemoteScoring:
    """The `ScoringBackend` of a worker."""

    def __init__(self, requests: PictureRequests) -> None:
        self._requests = requests

    async def score(self, owner: object, regions: RegionVectors, phrases: Phrases) -> PhraseScores:
        request = {"phrases": phrases, "objectness": regions.objectness_n}
        fields = await self._requests.send(owner, regions.vectors_nd, request)
        return unpack_scores(fields, len(phrases), len(regions.objectness_n))


class RemoteCaptioning:
    """The `CaptioningBackend` of a worker."""

    def __init__(self, requests: PictureRequests, info: CaptionerInfo) -> None:
        self._requests, self.info = requests, info

    async def caption(self, owner: object, picture: Image.Image) -> str:
        return str((await self._requests.send(owner, picture, {"caption": True}))["caption"])


class PictureSession:
    """The pictures of one worker that are in progress. When the worker is gone, none of them waits any more."""

    def __init__(
        self,
        stream: FrameStream,
        grounding: GroundingBackend | None,
        captioning: CaptioningBackend | None,
        scoring: ScoringBackend | None,
    ) -> None:
        self._stream, self._grounding, self._captioning, self._scoring = stream, grounding, captioning, scoring
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def start(self, body: bytearray) -> None:
        """A picture or its regions, and what is wanted of it; that or an error is sent back."""
        number, owner, _, _, _ = GROUND_STRUCT.unpack_from(body)
        task = self._tasks[number] = asyncio.create_task(self._answer(number, owner, body))
        task.add_done_callback(lambda _: self._tasks.pop(number, None))

    def gone(self, body: bytearray) -> None:
        [number] = NUMBER_STRUCT.unpack(body)
        if task := self._tasks.get(number):
            task.cancel()

    def close(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()

    async def _answer(self, number: int, owner: int, body: bytearray) -> None:
        try:
            content = pack_fields(await self._run((id(self), owner), body))
        except EncoderFailed as error:
            content = pack_fields({"error": str(error)})
        self._stream.send(MessageType.GROUNDED, NUMBER_STRUCT.pack(number), content)

    async def _run(self, owner: object, body: bytearray) -> dict[str, Any]:
        request, shape, content = unpack_request(body)
        if "objectness" in request:
            assert self._scoring is not None, "a sidecar has one beside every model"
            regions = unpack_vectors(request, shape, content)
            return score_fields(await self._scoring.score(owner, regions, request["phrases"]))
        picture = Image.frombytes("RGB", shape, content)
        if "caption" in request:
            assert self._captioning is not None, "a worker without a captioner sends none"
            return {"caption": await self._captioning.caption(owner, picture)}
        assert self._grounding is not None, "a worker without a grounder sends none"
        if "limit" in request:
            return region_fields(await self._grounding.propose(owner, picture, request["limit"]))
        return grounding_fields(await self._grounding.ground(owner, picture, request["phrases"]))


def pack_request(number: int, owner: int, payload: Payload, request: dict[str, Any]) -> Sequence[FramePart]:
    width, height = payload.size if isinstance(payload, Image.Image) else payload.shape[::-1]
    content = pack_fields(request)
    return GROUND_STRUCT.pack(number, owner, width, height, len(content)), content, payload.tobytes()


def unpack_request(body: bytearray) -> tuple[dict[str, Any], tuple[int, int], memoryview]:
    """The request, width and height of the payload, and its bytes."""
    _, _, width, height, length = GROUND_STRUCT.unpack_from(body)
    start = GROUND_STRUCT.size + length
    request: dict[str, Any] = orjson.loads(memoryview(body)[GROUND_STRUCT.size : start])
    return request, (width, height), memoryview(body)[start:]


def unpack_vectors(request: dict[str, Any], shape: tuple[int, int], content: memoryview) -> RegionVectors:
    """JSON has null for a NaN, and float32 takes it for one."""
    rows: Vectors = np.frombuffer(content, np.float32)  # not aligned; the copy is
    return RegionVectors(rows.reshape(shape[::-1]).copy(), np.array(request["objectness"], np.float32))


def pack_fields(fields: dict[str, Any]) -> bytes:
    return orjson.dumps(fields, default=np.ascontiguousarray, option=orjson.OPT_SERIALIZE_NUMPY)


def region_fields(regions: Regions) -> dict[str, Any]:
    return {"boxes": regions.boxes_n4, "objectness": regions.objectness_n, "vectors": regions.vectors_nd}


def unpack_regions(fields: dict[str, Any]) -> Regions:
    """float32 arrays, equal in every bit: orjson writes as many digits as that takes."""
    vectors = fields["vectors"]
    objectness_n = np.array(fields["objectness"], np.float32)
    boxes_n4 = np.array(fields["boxes"], np.float32).reshape(-1, 4)
    if vectors is None:
        return Regions(boxes_n4, objectness_n)
    dimension = len(vectors[0]) if vectors else 0
    return Regions(boxes_n4, objectness_n, np.array(vectors, np.float32).reshape(len(boxes_n4), dimension))


def grounding_fields(groundings: Groundings) -> dict[str, Any]:
    """Without the vectors of the regions: no route returns them with phrases."""
    return {**region_fields(groundings.regions), "vectors": None, **score_fields(groundings)}


def score_fields(scores: Groundings | PhraseScores) -> dict[str, Any]:
    return {
        "similarities": scores.similarities_pn,
        "probabilities": scores.probabilities_pn,
        "truncated": {str(index): tokens for index, tokens in scores.truncated.items()},
    }


def unpack_groundings(fields: dict[str, Any]) -> Groundings:
    regions = unpack_regions(fields)
    scores = unpack_scores(fields, len(fields["similarities"]), len(regions.objectness_n))
    return Groundings(regions, scores.similarities_pn, scores.probabilities_pn, scores.truncated)


def unpack_scores(fields: dict[str, Any], phrases: int, regions: int) -> PhraseScores:
    similarities_pn, probabilities_pn = (
        np.array(fields[name], np.float32).reshape(phrases, regions) for name in ("similarities", "probabilities")
    )
    truncated = {int(index): tokens for index, tokens in fields["truncated"].items()}
    return PhraseScores(similarities_pn, probabilities_pn, truncated)
