"""The routes of places in a picture: POST /regions and POST /ground, as `clip_vectorizer.protocol` describes them.

N regions · P phrases · D dimensions
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
import orjson
from starlette.responses import Response

from clip_vectorizer.errors import BadRequest, EncoderFailed, ImageRefused, ItemProblem, TooLarge, UnreadableImage
from clip_vectorizer.models.grounding.grounder import Groundings, PhraseScores, Regions, RegionVectors
from clip_vectorizer.protocol import (
    BOXES,
    GIVEN_REGIONS,
    IMAGE,
    OBJECTNESS,
    PHRASES,
    PROBABILITIES,
    REGION_LISTS,
    SIMILARITIES,
    TRUNCATED,
    VECTORS,
    WARNINGS,
    format_truncated,
)
from clip_vectorizer.server.body import parse_body, respond_to_body
from clip_vectorizer.server.codec import check_body_size, check_item_count, decode_image_field, describe_json_error
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.middleware import JSON, RouteHandler, TrackedRequest
from clip_vectorizer.server.regions_service import (
    GroundInputs,
    PictureInput,
    RegionInputs,
    ground_phrases,
    propose_regions,
)
from clip_vectorizer.server.routes.item_errors import item_errors
from clip_vectorizer.server.routes.vectorize import BASE64_IMAGE
from clip_vectorizer.server.service import Service
from clip_vectorizer.vectors import Vectors

MOST_REGIONS = 1000  # of one image
REGIONS_HINT = 'send {"images": [...], "limit": 10, "vectors": false}'
GROUND_HINT = 'send {"image": "...", "phrases": [["a prompt", "another"]]}'
STORED_HINT = 'send {"regions": {"vectors": [[...]], "objectness": [...]}, "phrases": [["a prompt", "another"]]}'
BodyT = TypeVar("BodyT")


class RegionsBody(msgspec.Struct):
    images: list[str] | None = None
    limit: int = 10
    vectors: bool = False


class RegionsField(msgspec.Struct):
    vectors: list[list[float]] | None = None
    objectness: list[float | None] | None = None


class GroundBody(msgspec.Struct):
    image: str | None = None
    regions: RegionsField | None = None
    phrases: list[list[str]] | None = None


REGIONS_DECODER = msgspec.json.Decoder(RegionsBody)
GROUND_DECODER = msgspec.json.Decoder(GroundBody)


def regions_handler(service: Service) -> RouteHandler:
    """`POST /regions`: images in, the regions of each out."""

    async def respond(body: bytes, times: RequestTimes) -> Response:
        inputs = await parse_body(lambda body: parse_regions(body, service.limits), body)
        times.parse = times.since_start()
        with item_errors(BASE64_IMAGE):
            regions = await propose_regions(service, inputs, times)
        return encode_response({REGION_LISTS: [describe_regions(each, inputs.vectors) for each in regions]}, times)

    async def regions(request: TrackedRequest) -> Response:
        return await respond_to_body(service, request, respond)

    return regions


def ground_handler(service: Service) -> RouteHandler:
    """`POST /ground`: an image or its regions, and phrases in; all regions against all phrases out."""

    async def respond(body: bytes, times: RequestTimes) -> Response:
        inputs = await parse_body(lambda body: parse_ground(body, service.limits), body)
        times.parse = times.since_start()
        try:
            groundings = await ground_phrases(service, inputs, times)
        except ImageRefused as error:
            kind = TooLarge if error.status == TooLarge.status else UnreadableImage
            raise kind(f"{IMAGE}: {error.explain(BASE64_IMAGE)}") from error
        except EncoderFailed as error:
            subject = GIVEN_REGIONS if isinstance(inputs.subject, RegionVectors) else IMAGE
            raise EncoderFailed(f"{subject}: {error}") from error
        return encode_response(describe_groundings(groundings), times)

    async def ground(request: TrackedRequest) -> Response:
        return await respond_to_body(service, request, respond)

    return ground


def parse_regions(body: bytes, limits: Limits) -> RegionInputs:
    """Raises BadRequest for a body that does not follow the protocol, TooLarge for too many images."""
    fields = decode_body(REGIONS_DECODER.decode, body, limits, REGIONS_HINT)
    images = fields.images or []
    if not 1 <= fields.limit <= MOST_REGIONS:
        raise BadRequest(f"limit is {fields.limit}; send the most regions of one image, from 1 to {MOST_REGIONS}")
    check_item_count(0, len(images), limits)
    return RegionInputs([decode_image_field(text) for text in images], fields.limit, fields.vectors)


def parse_ground(body: bytes, limits: Limits) -> GroundInputs:
    """Raises BadRequest for a body that does not follow the protocol or an empty phrase, TooLarge for many phrases."""
    hint = STORED_HINT if b'"regions"' in body else GROUND_HINT
    fields = decode_body(GROUND_DECODER.decode, body, limits, hint)
    if fields.image is not None and fields.regions is not None:
        raise BadRequest(f"image and regions are both there; send one of them: {GROUND_HINT}, or {STORED_HINT}")
    if fields.image is None and fields.regions is None:
        raise BadRequest(f"image and regions are both missing; {GROUND_HINT}, or {STORED_HINT}")
    phrases = fields.phrases or []
    if not phrases:
        raise BadRequest(f"phrases is empty; {hint}")
    check_phrases(phrases, limits)
    return GroundInputs(read_subject(fields), phrases)


def read_subject(fields: GroundBody) -> PictureInput | RegionVectors:
    """Raises BadRequest for regions that cannot be used."""
    if fields.regions is not None:
        return read_region_vectors(fields.regions)
    assert fields.image is not None
    return decode_image_field(fields.image)


def read_region_vectors(fields: RegionsField) -> RegionVectors:
    """Unit rows, and NaN for each objectness that is not known. Raises BadRequest."""
    rows = fields.vectors or []
    if not 1 <= len(rows) <= MOST_REGIONS:
        raise BadRequest(f"regions.vectors: {len(rows)} regions; send 1 to {MOST_REGIONS}; {STORED_HINT}")
    objectness = fields.objectness if fields.objectness is not None else [None] * len(rows)
    if len(objectness) != len(rows):
        raise BadRequest(
            f"regions.objectness: {len(objectness)} numbers for {len(rows)} vectors; send as many, null where it is "
            "not known"
        )
    for index, each in enumerate(objectness):
        if each is not None and not 0 <= each <= 1:
            raise BadRequest(f"regions.objectness[{index}] is {each:g}; send 0 to 1, or null where it is not known")
    return RegionVectors(read_unit_rows(rows), np.array(objectness, np.float32))


def read_unit_rows(rows: Sequence[Sequence[float]]) -> Vectors:
    """(N, D) float32. Raises BadRequest for rows of different lengths, or whose direction is not known."""
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise BadRequest(
                f"regions.vectors[{index}]: {len(row)} numbers after {len(rows[0])}; send as many for each"
            )
    vectors_nd = np.array(rows, np.float64)
    with np.errstate(over="ignore"):  # too large for a length becomes infinity, which is refused
        lengths_n = np.linalg.norm(vectors_nd, axis=1)
    if len(wrong := np.flatnonzero(~np.isfinite(lengths_n) | (lengths_n == 0))):
        raise BadRequest(
            f"regions.vectors[{wrong[0]}]: all numbers are 0, or one is too large; send the vector of a region"
        )
    unit_nd: Vectors = (vectors_nd / lengths_n[:, None]).astype(np.float32)
    return unit_nd


def decode_body(decode: Callable[[bytes], BodyT], body: bytes, limits: Limits, hint: str) -> BodyT:
    check_body_size(body, limits)
    try:
        return decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise BadRequest(f"{describe_json_error(error, body)}; {hint}") from error


def check_phrases(phrases: Sequence[Sequence[str]], limits: Limits) -> None:
    """Raises TooLarge for more prompts than a request may have items, BadRequest for the first empty phrase."""
    prompts = sum(map(len, phrases))
    if max(len(phrases), prompts) > limits.max_items:
        raise TooLarge(
            f"{len(phrases)} phrases with {prompts} prompts; one request takes {limits.max_items} (CLIP_MAX_ITEMS): "
            "send several"
        )
    for index, each in enumerate(phrases):
        if not each or not all(prompt.strip() for prompt in each):
            problem = ItemProblem(PHRASES, index, 'it is empty; send one prompt or several, such as ["a red apple"]')
            error = BadRequest(str(problem))
            error.problem = problem
            raise error


def describe_regions(regions: Regions, vectors: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {BOXES: regions.boxes_n4, OBJECTNESS: regions.objectness_n}
    return {**fields, VECTORS: regions.vectors_nd} if vectors else fields


def describe_groundings(found: Groundings | PhraseScores) -> dict[str, Any]:
    """The fields of a response: boxes of a picture only, and those about phrases that were cut only for such."""
    boxes = describe_regions(found.regions, vectors=False) if isinstance(found, Groundings) else {}
    fields = {**boxes, SIMILARITIES: found.similarities_pn, PROBABILITIES: found.probabilities_pn}
    if cut := found.truncated:
        fields[WARNINGS] = [format_truncated(PHRASES, index, tokens) for index, tokens in cut.items()]
        fields[TRUNCATED] = {str(index): tokens for index, tokens in cut.items()}
    return fields


def encode_response(fields: dict[str, Any], times: RequestTimes) -> Response:
    """JSON; arrays at their shortest float32. orjson writes contiguous ones, and passes others to `default`."""
    start = time.perf_counter()
    content = orjson.dumps(fields, default=np.ascontiguousarray, option=orjson.OPT_SERIALIZE_NUMPY)
    times.serialise = time.perf_counter() - start
    return Response(content, media_type=JSON)
