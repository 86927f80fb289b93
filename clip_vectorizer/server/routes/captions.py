"""The route of captions: POST /caption, as `clip_vectorizer.protocol` describes it."""

import msgspec
from starlette.responses import Response

from clip_vectorizer.protocol import CAPTIONS
from clip_vectorizer.server.body import parse_body, respond_to_body
from clip_vectorizer.server.captions_service import write_captions
from clip_vectorizer.server.codec import check_item_count, decode_image_field
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.middleware import RouteHandler, TrackedRequest
from clip_vectorizer.server.regions_service import PictureInput
from clip_vectorizer.server.routes.item_errors import item_errors
from clip_vectorizer.server.routes.regions import decode_body, encode_response
from clip_vectorizer.server.routes.vectorize import BASE64_IMAGE
from clip_vectorizer.server.service import Service

CAPTION_HINT = 'send {"images": [...]}'


class CaptionBody(msgspec.Struct):
    images: list[str] | None = None


CAPTION_DECODER = msgspec.json.Decoder(CaptionBody)


def caption_handler(service: Service) -> RouteHandler:
    """`POST /caption`: images in, a sentence for each out."""

    async def respond(body: bytes, times: RequestTimes) -> Response:
        images = await parse_body(lambda body: parse_captions(body, service.limits), body)
        times.parse = times.since_start()
        with item_errors(BASE64_IMAGE):
            captions = await write_captions(service, images, times)
        return encode_response({CAPTIONS: captions}, times)

    async def caption(request: TrackedRequest) -> Response:
        return await respond_to_body(service, request, respond)

    return caption


def parse_captions(body: bytes, limits: Limits) -> list[PictureInput]:
    """Raises BadRequest for a body that does not follow the protocol, TooLarge for too many images."""
    images = decode_body(CAPTION_DECODER.decode, body, limits, CAPTION_HINT).images or []
    check_item_count(0, len(images), limits)
    return [decode_image_field(text) for text in images]
